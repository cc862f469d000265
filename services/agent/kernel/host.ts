import { Netlink } from "../../../ffi/netlink.ts";
import { home, homeIdentity, openNamespace } from "../../../ffi/netns.ts";
import type { Ip } from "../../common/ip.ts";
import { invalid, messageOf } from "../../common/refusal.ts";
import type { RouteState } from "../../overlay/state.ts";
import { NetworkKernel } from "./network.ts";
import type { Notifications } from "./notifications.ts";
import { NamespaceGone, NetworkNamespace } from "./network_namespace.ts";
import type { UnderlaySettings } from "./read.ts";
import { missingRoutes } from "./routes.ts";
import { madeByAgents, refuseTarget, TargetRefused } from "./target.ts";

/** Settings of a host. */
export interface HostOptions {
  /** The address that its vxlan devices send from. It may be another one later: devices are then made again when compared. */
  readonly vtep: Ip;
  /** False: checksums are made on this host, for hardware or drivers that get them wrong. Default true. */
  readonly checksumOffload?: boolean;
  /** Where the networks' namespaces are watched; without it, none is. */
  readonly notifications?: Notifications;
}

/** A namespace that a container has, or is to have, while it is looked into. */
export class ContainerNamespace implements Disposable {
  /** The same text for the same namespace, as long as it is there. */
  readonly identity: string;
  /** True for the namespace that this process runs in. */
  readonly isHome: boolean;

  constructor(private readonly namespace: NetworkNamespace) {
    this.identity = namespace.identity;
    this.isHome = this.identity === homeIdentity;
  }

  /** True for the name of an interface that is there. */
  has(name: string): boolean {
    return this.namespace.has(name);
  }

  /** What it is when an agent has made it for itself, as part of a sentence; undefined: none has. */
  async agentsOwn(): Promise<string | undefined> {
    return await madeByAgents(this.namespace);
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

  constructor(options: HostOptions) {
    this.#underlay = {
      get vtep() {
        return options.vtep;
      },
      checksumOffload: options.checksumOffload ?? true,
    };
    this.#notifications = options.notifications;
  }

  /** Opens nothing yet. */
  network(namespacePath: string): NetworkKernel {
    return new NetworkKernel(namespacePath, this.#underlay, this.#netlink, this.#notifications);
  }

  /**
   * Looks into a namespace that a request names.
   * @throws Refusal "invalid" when there is none at the path
   */
  inspect(path: string): ContainerNamespace {
    return new ContainerNamespace(openFor(path));
  }

  /** Which namespace is at a path, as {@link ContainerNamespace.identity}; undefined: none. */
  identity(path: string): string | undefined {
    using namespace = NetworkNamespace.openOrNone(path);
    return namespace?.identity;
  }

  /** The same for a namespace that an endpoint may be in: neither this process's own nor an overlay network's. */
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
   * Those of an interface's routes that a namespace does not have.
   *
   * @param identity Which namespace is meant.
   * @throws NamespaceGone when another one is at the path; Error when there is no such interface
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
