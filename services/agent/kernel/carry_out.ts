/** Turns the operations of services/overlay/ops.ts into netlink requests, and sends them to one network's namespace. */
import { setChecksumOffload } from "../../../ffi/checksum_offload.ts";
import { ENODEV, EXFULL, SystemError } from "../../../ffi/errno.ts";
import type { Netlink } from "../../../ffi/netlink.ts";
import { addAddress, deleteAddress, type LinkAddress, listAddresses } from "../../../ffi/netlink_address.ts";
import { type Link, listLinks } from "../../../ffi/netlink_links.ts";
import { changeLearning, changeLink, deleteLink, newBridge } from "../../../ffi/netlink_link.ts";
import { removeNamespace } from "../../../ffi/netns.ts";
import { Cidr } from "../../common/ip.ts";
import { macToBytes, randomMacBytes, tryParseMac } from "../../common/mac.ts";
import { Refusal } from "../../common/refusal.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import { MOST_PORTS } from "../../overlay/proxy.ts";
import { BRIDGE, UPLINK, VXLAN } from "../../overlay/state.ts";
import { refuseAdvertisements } from "./containment.ts";
import { addOverHost, hostEndOf } from "./host_end.ts";
import { addUplink, addUplinkRoute, removeUplink, removeUplinkRoute, setUplink } from "./uplink.ts";
import { addPair } from "./pair.ts";
import { NamespaceGone, NetworkNamespace, OWN_NAMESPACE } from "./network_namespace.ts";
import { pin, removeProxy, setProxy, unpin } from "./proxy.ts";
import type { UnderlaySettings } from "./underlay_settings.ts";
import { addRoutes } from "./routes.ts";
import { refuseTarget } from "./target.ts";
import { addVxlan, explainPortInUse } from "./vxlan.ts";
import { VxlanTables } from "./vxlan_tables.ts";

type Named<Name extends KernelOp["op"]> = Extract<KernelOp, { readonly op: Name }>;
/** One handler for each kind of operation. */
type Handlers = { readonly [Name in KernelOp["op"]]: (op: Named<Name>) => void | Promise<void> };

const NO_MACS: ReadonlySet<number> = new Set();

/** True when this identity, as namespaceIdentity() returns it, is that of the intended namespace. */
export type IsTarget = (identity: string) => boolean;

/** Carries out operations in one network's namespace, which is opened once for all of them. */
export class KernelBatch implements Disposable {
  #namespace: NetworkNamespace | undefined;
  /** The target namespace that was opened last: operations on one endpoint follow one another. */
  #target: NetworkNamespace | undefined;
  #home: NetworkNamespace | undefined;

  /**
   * @param netlink A socket in the underlay's namespace.
   * @param isTarget Tests whether the namespace at a target's path is the intended one.
   * @param irreplaceable MACs whose entry must be deleted before another one is set; see {@link Fdb.irreplaceable}.
   */
  constructor(
    private readonly path: string,
    private readonly underlay: UnderlaySettings,
    private readonly netlink: Netlink,
    private readonly irreplaceable: ReadonlySet<number> = NO_MACS,
    private readonly isTarget: IsTarget = () => true,
  ) {
    this.#namespace = NetworkNamespace.openIfAny(path);
  }

  /** @see {@link NetworkKernel.carryOut}. @throws NamespaceGone for a target's; Refusal for a taken name or VNI; SystemError */
  async carryOut(ops: readonly KernelOp[], done: (op: KernelOp) => void = () => {}): Promise<void> {
    for (let i = 0; i < ops.length; i++) {
      const op = ops[i]!, next = ops[i + 1], together = this.#together(op, next);
      await (together ?? this.#carryOut(op));
      done(op);
      if (!together || !next) continue;
      done(next);
      i++;
    }
  }

  /** Carries out two operations in one message; undefined where they are not of that kind. */
  #together(op: KernelOp, next: KernelOp | undefined): Promise<void> | undefined {
    // A new veth becomes a port and is set up in the message that creates it.
    if (op.op === "veth-add" && next?.op === "veth-set" && next.name === op.name) {
      return this.#addVeth(op, next);
    }
    if (op.op === "fdb-set" && next?.op === "arp-set") return this.#tables.set(op.entries, next.entries);
    return undefined;
  }

  async #carryOut<Name extends KernelOp["op"]>(op: Named<Name>): Promise<void> {
    const handler = this.#handlers[op.op as Name] as (op: Named<Name>) => void | Promise<void>;
    await handler(op);
  }

  readonly #handlers: Handlers = {
    "namespace-add": () => {
      this.#namespace = NetworkNamespace.create(this.path);
      refuseAdvertisements(this.#namespace.fd, "default");
    },
    "namespace-remove": async () => {
      // Deleting the namespace deletes these links only when the kernel gets round to it, but their VNIs and names
      // may be needed at once.
      const netlink = this.#namespace?.netlink, links = netlink ? await listLinks(netlink) : [];
      for (const link of links) if (link.kind === "macvlan") await this.#removeVeth(link);
      const pairs = links.filter(({ kind }) => kind === "veth");
      await netlink?.run(deleteLink(VXLAN), ...pairs.map(({ index }) => deleteLink(index)));
      this.#namespace?.[Symbol.dispose]();
      this.#namespace = undefined;
      removeNamespace(this.path);
    },
    "loopback-up": () => this.#here.netlink.run(changeLink("lo", { up: true })),
    "bridge-add": (op) => this.#addBridge(op),
    "bridge-set": ({ mtu, up }) => this.#here.netlink.run(changeLink(BRIDGE, given({ mtu, up }))),
    "bridge-address-add": ({ address }) =>
      this.#here.netlink.run(addAddress(linkAddress(this.#here.index(BRIDGE), address))),
    "bridge-address-remove": ({ address }) => this.#removeAddress(address),
    "vxlan-add": async ({ vxlan }) => {
      await addVxlan(this.#here, this.netlink, this.underlay.vtep, vxlan);
      this.#made(this.#here, VXLAN);
    },
    "vxlan-remove": async () => {
      await this.#here.netlink.run(deleteLink(VXLAN));
      this.#here.forget(VXLAN);
    },
    "vxlan-set": async ({ learning, mtu, inBridge, up }) => {
      const { netlink } = this.#here;
      const master = inBridge && this.#here.index(BRIDGE);
      await netlink.run(
        ...learning === undefined ? [] : [changeLearning(VXLAN, learning)],
        changeLink(VXLAN, given({ mtu, master, up })),
      ).catch((error) => explainPortInUse(this.#here, this.netlink, error));
    },
    "veth-add": (op) => this.#addVeth(op),
    "veth-remove": async ({ name }) => {
      const link = await this.#here.link(name);
      if (link) await this.#removeVeth(link);
    },
    "veth-unpin": async ({ name, mac }) => {
      const link = await this.#here.link(name);
      if (link?.port) await unpin(this.#here, link, mac);
    },
    "host-end-remove": ({ name }) => this.#host.netlink.run(deleteLink(name)),
    "veth-set": (op) => this.#setVeth(op),
    "peer-set": (op) => this.#setPeer(op),
    "uplink-add": async ({ name, mtu, transfer }) => {
      await addUplink(this.#here, this.#host, name, mtu, transfer);
      this.#made(this.#here, UPLINK);
      this.#made(this.#host, name);
    },
    "uplink-remove": () => removeUplink(this.#here),
    "uplink-set": ({ name, mtu, transfer }) => setUplink(this.#here, this.#host, name, mtu, transfer),
    "egress-add": (op) => this.underlay.egress.carryOut(this.#here, op),
    "broadcast-add": (op) => this.underlay.broadcast.carryOut(this.#here, op),
    "broadcast-remove": (op) => this.underlay.broadcast.carryOut(this.#here, op),
    "egress-remove": (op) => this.underlay.egress.carryOut(this.#here, op),
    "uplink-route-add": ({ uplink, address }) => addUplinkRoute(this.#host, uplink, address),
    "uplink-route-remove": ({ uplink, address }) => removeUplinkRoute(this.#host, uplink, address),
    "arp-set": ({ entries }) => this.#tables.set(undefined, entries),
    "port-forget": ({ port, macs }) => this.#tables.forget(port, macs),
    "arp-remove": ({ addresses }) => this.#tables.removeAddresses(addresses),
    "fdb-set": ({ entries }) => this.#tables.set(entries, undefined),
    "fdb-remove": ({ macs }) => this.#tables.removeMacs(macs),
    "flood-set": ({ vteps }) => this.#tables.flood(vteps),
    // All flood entries are deleted at once: deleting them one by one would leave those with a port of their own.
    "flood-remove": () => this.#tables.removeMacs(new Set([0])),
    "containment-add": (op) => this.underlay.containment.carryOut(this.#here, op),
    "containment-set": (op) => this.underlay.containment.carryOut(this.#here, op),
    "containment-unset": (op) => this.underlay.containment.carryOut(this.#here, op),
    "containment-remove": (op) => this.underlay.containment.carryOut(this.#here, op),
    "proxy-set": (op) => setProxy(this.#here, op),
    "proxy-remove": (op) => removeProxy(this.#here, op),
  };

  get #here(): NetworkNamespace {
    if (!this.#namespace) throw new Error(`there is no network namespace at ${this.path}`);
    return this.#namespace;
  }

  get #tables(): VxlanTables {
    return new VxlanTables(this.#here, this.irreplaceable);
  }

  /** The namespace that this process runs in. */
  get #host(): NetworkNamespace {
    return this.#home ??= NetworkNamespace.open(OWN_NAMESPACE);
  }

  async #addBridge({ mtu }: Named<"bridge-add">): Promise<void> {
    const { netlink } = this.#here, there = await this.#here.link(BRIDGE);
    if (there && there.kind !== "bridge") await netlink.run(deleteLink(there.index));
    refuseAdvertisements(this.#here.fd, "default");
    // Without a MAC of its own the bridge takes one of its ports, and changes it whenever ports come and go.
    await netlink.run(newBridge({ name: BRIDGE, mtu, mac: randomMacBytes() }));
    this.#made(this.#here, BRIDGE);
  }

  /**
   * When the first address of a subnet is deleted, the kernel deletes the others of it as well; these are added
   * again.
   */
  async #removeAddress(text: string): Promise<void> {
    const { netlink } = this.#here, gone = linkAddress(this.#here.index(BRIDGE), text);
    const same = (a: LinkAddress) => `${a.address}/${a.prefix}` === `${gone.address}/${gone.prefix}`;
    const others = (await listAddresses(netlink, gone.link)).filter((address) => !same(address));
    await netlink.run(deleteAddress(gone), ...others.map(addAddress));
  }

  async #addVeth(
    { name, mac, mtu, hostEnd, peer }: Named<"veth-add">,
    set: Omit<Named<"veth-set">, "op" | "name"> = {},
  ): Promise<void> {
    const target = await this.#open(peer.netns);
    // Records that SAND's agents wrote may have no MAC.
    const near = { name, mtu, mac: randomMacBytes(), ...macOf(mac), ...this.#vethSettings(set) };
    const far = { name: peer.name, mtu: peer.mtu, mac: randomMacBytes(), ...macOf(peer.mac) };
    if (hostEnd === undefined) {
      await addPair(this.#here, near, target, far).catch((error) => explainFullBridge(error, this.path));
    } else {
      this.#host.forget(hostEnd);
      await addOverHost(this.#here, near, this.#host, hostEnd, target, far)
        .catch((error) => explainFullBridge(error, this.path));
      this.#made(this.#host, hostEnd);
    }
    this.#made(this.#here, name);
    target.forget(peer.name);
    this.#made(target, peer.name);
    await this.#pin(name, set.pinned);
  }

  async #pin(name: string, mac: string | undefined): Promise<void> {
    if (mac === undefined) return;
    const link = await this.#here.link(name);
    if (!link) throw new SystemError(`look for ${name}`, ENODEV);
    await pin(this.#here, link, mac);
  }

  async #setVeth({ op: _, name, ...settings }: Named<"veth-set">): Promise<void> {
    const { netlink } = this.#here, link = await this.#here.link(name), { mtu, up } = settings;
    // The lower interface comes first: a macvlan cannot have a larger MTU.
    const end = link && await hostEndOf(this.#here, link, this.#host);
    if (end && (mtu || up)) await this.#host.netlink.run(changeLink(end.index, given({ mtu, up })));
    await netlink.run(changeLink(name, this.#vethSettings(settings)))
      .catch((error) => explainFullBridge(error, this.path));
    await this.#pin(name, settings.pinned);
  }

  /** Deleting the lower interface deletes the macvlan and the veth's other end. */
  async #removeVeth(link: Link): Promise<void> {
    const end = await hostEndOf(this.#here, link, this.#host);
    if (end) await this.#host.netlink.run(deleteLink(end.index));
    else await this.#here.netlink.run(deleteLink(link.index));
  }

  #vethSettings({ mac, mtu, inBridge, up }: Omit<Named<"veth-set">, "op" | "name">) {
    return given({ ...macOf(mac), mtu, master: inBridge && this.#here.index(BRIDGE), up });
  }

  async #setPeer(op: Named<"peer-set">): Promise<void> {
    const { netns, at, name, mac, mtu, addAddresses = [], addRoutes: routes = [], up } = op;
    const target = await this.#open(netns), index = target.index(at);
    await target.netlink.run(
      changeLink(index, given({ name, ...macOf(mac), mtu, up })),
      ...addAddresses.map((address) => addAddress(linkAddress(index, address))),
    );
    target.forget(at);
    await addRoutes(target, index, routes);
  }

  async #open(path: string): Promise<NetworkNamespace> {
    if (this.#target?.path === path) return this.#target;
    this.#target?.[Symbol.dispose]();
    this.#target = undefined;
    const target = NetworkNamespace.open(path);
    try {
      // Docker takes its interfaces from the agent's own namespace; a record can never name that path.
      if (path !== OWN_NAMESPACE) {
        if (!this.isTarget(target.identity)) throw new NamespaceGone(path);
        await refuseTarget(target);
      }
    } catch (error) {
      target[Symbol.dispose]();
      throw error;
    }
    return this.#target = target;
  }

  #made(namespace: NetworkNamespace, name: string): void {
    if (!this.underlay.checksumOffload) setChecksumOffload(namespace.fd, name, false);
  }

  [Symbol.dispose](): void {
    this.#target?.[Symbol.dispose]();
    this.#home?.[Symbol.dispose]();
    this.#namespace?.[Symbol.dispose]();
  }
}

/** Replaces the error that the kernel reports for a bridge without a free port. */
function explainFullBridge(error: unknown, path: string): never {
  if (!(error instanceof SystemError && error.errno === EXFULL)) throw error;
  const message = `the bridge ${BRIDGE} in ${path} has no port left, of ${MOST_PORTS} for endpoints`;
  throw new Refusal("exhausted", message, { cause: error });
}

function linkAddress(link: number, text: string): LinkAddress {
  const { address: { bytes }, prefix } = Cidr.parse(text);
  return { link, address: bytes, prefix };
}

function macOf(text: string | undefined): { mac?: Uint8Array } {
  const mac = tryParseMac(text ?? "");
  return mac === undefined ? {} : { mac: macToBytes(mac) };
}

/** Returns the properties whose values are defined. */
function given<T extends object>(properties: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(properties).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
