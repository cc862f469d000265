/** The kernel of this host as the agent's other folders see it: its networks, containers' namespaces, routes and VTEP. */
import { listRoutes } from "../../../ffi/netlink_address.ts";
import { Netlink } from "../../../ffi/netlink.ts";
import { home, homeIdentity, openNamespace } from "../../../ffi/netns.ts";
import type { Ip } from "../../common/ip.ts";
import { invalid, messageOf } from "../../common/refusal.ts";
import type { RouteState } from "../../overlay/state.ts";
import { BroadcastTables } from "./broadcast.ts";
import { Containment } from "./containment.ts";
import { EgressTables } from "./egress.ts";
import { type ConnectionLimits, connectionLimits } from "./egress_limits.ts";
import { NetworkKernel } from "./network.ts";
import type { Notifications } from "./notifications.ts";
import { NamespaceGone, NetworkNamespace } from "./network_namespace.ts";
import { NftablesSockets } from "./nftables_sockets.ts";
import type { UnderlaySettings } from "./underlay_settings.ts";
import { missingRoutes } from "./routes.ts";
import { madeByAgents, refuseTarget, TargetRefused } from "./target.ts";

/** Settings of this host's kernel side. */
export interface KernelHostOptions {
  /** The source address of vxlan devices. It may change: devices are then recreated by the next comparison. */
  readonly vtep: Ip;
  /** False: checksums are computed in software, for hardware or drivers with broken offload. Default true. */
  readonly checksumOffload?: boolean;
  /** The watcher of the networks' namespaces; without it, none is watched. */
  readonly notifications?: Notifications;
  /** How many frames of broadcast a port may send to other hosts in a second. Default 500. */
  readonly broadcastLimit?: number;
  /** Connections to the world that may be open. Default: by the size of the host's table. */
  readonly egressLimits?: ConnectionLimits;
  /** Called once when this kernel turns out to be unable to limit these, with the reason. */
  readonly onUnlimited?: (reason: string) => void;
  /** Called once when this kernel turns out to be unable to check frames from ports, with the reason. */
  readonly onUncontained?: (reason: string) => void;
}

/** An open network namespace of a container, to be inspected before an endpoint is made in it. */
export class ContainerNamespace implements Disposable {
  /** The identity of the namespace, which stays the same for as long as it exists. */
  readonly identity: string;
  /** True for the namespace that this process runs in. */
  readonly isHome: boolean;

  constructor(private readonly namespace: NetworkNamespace) {
    this.identity = namespace.identity;
    this.isHome = this.identity === homeIdentity();
  }

  /** True when an interface of that name exists. */
  has(name: string): boolean {
    return this.namespace.has(name);
  }

  /** True when it has a default route over IPv4. */
  async hasDefaultRoute(): Promise<boolean> {
    const routes = await listRoutes(this.namespace.netlink);
    return routes.some(({ destination, prefix }) => prefix === 0 && destination.length === 4);
  }

  /** @throws Refusal "invalid" for a namespace that is no container's: this process's own, or one that an agent made */
  async assertContainers(path: string): Promise<void> {
    const what = this.isHome ? "the agent's own network namespace" : await madeByAgents(this.namespace);
    if (what !== undefined) throw invalid(`ns_handle_path: "${path}" is ${what}: name that of a container`);
  }

  [Symbol.dispose](): void {
    this.namespace[Symbol.dispose]();
  }
}

/** This host's kernel: the namespace that this process runs in is the underlay of all networks. */
export class HostKernel implements Disposable {
  readonly #netlink = new Netlink(home);
  readonly #underlay: UnderlaySettings;
  readonly #notifications: Notifications | undefined;
  readonly containment: Containment;
  readonly #tables = new NftablesSockets();

  constructor(options: KernelHostOptions) {
    const tables = this.#tables;
    this.containment = new Containment(tables, options.onUncontained);
    this.#underlay = {
      tables,
      containment: this.containment,
      egress: new EgressTables(tables, options.egressLimits ?? connectionLimits(), options.onUnlimited),
      broadcast: new BroadcastTables(tables, options.broadcastLimit ?? 500),
      get vtep() {
        return options.vtep;
      },
      checksumOffload: options.checksumOffload ?? true,
    };
    this.#notifications = options.notifications;
  }

  /** Why connections to the world are not limited; undefined: nothing is known against it. */
  get unlimited(): string | undefined {
    return this.#underlay.egress.unlimited;
  }

  /** Returns the part of a network; nothing is opened until it is used. */
  network(namespacePath: string): NetworkKernel {
    return new NetworkKernel(namespacePath, this.#underlay, this.#netlink, this.#notifications);
  }

  /**
   * Opens a namespace that a request names.
   * @throws Refusal "invalid" when there is none at the path
   */
  inspect(path: string): ContainerNamespace {
    return new ContainerNamespace(openFor(path));
  }

  /** The identity of the namespace at a path, as {@link ContainerNamespace.identity}; undefined where there is none. */
  identity(path: string): string | undefined {
    using namespace = NetworkNamespace.openOrNone(path);
    return namespace?.identity;
  }

  /**
   * Like {@link identity}, but undefined as well for namespaces in which no endpoint may be: this process's own and those of
   * overlay networks.
   */
  async targetIdentity(path: string): Promise<string | undefined> {
    using namespace = NetworkNamespace.openOrNone(path);
    try {
      if (namespace) await refuseTarget(namespace);
    } catch (error) {
      if (error instanceof TargetRefused) return undefined;
      throw error;
    }
    return namespace?.identity;
  }

  /**
   * Returns the routes of an interface that the namespace lacks.
   *
   * @param identity The identity of the intended namespace.
   * @throws NamespaceGone when another namespace is at the path; Error when the interface does not exist
   */
  async missingRoutes(
    path: string,
    identity: string,
    name: string,
    routes: readonly RouteState[],
  ): Promise<RouteState[]> {
    using namespace = NetworkNamespace.open(path);
    if (namespace.identity !== identity) throw new NamespaceGone(path);
    return await missingRoutes(namespace, namespace.index(name), routes);
  }

  [Symbol.dispose](): void {
    this.#tables.close();
    this.#netlink.close();
  }
}

function openFor(path: string): NetworkNamespace {
  try {
    return new NetworkNamespace(path, openNamespace(path));
  } catch (error) {
    const reason = messageOf(error).replace(`${path}: `, "").replace(/^open /, "");
    throw invalid(
      `ns_handle_path: "${path}" (${reason}): name the path of a network namespace, like /var/run/netns/NAME`,
    );
  }
}
