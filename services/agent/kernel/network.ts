/** One network's namespace on this host: its state is read, operations on it are carried out, and changes by others noticed. */
import type { Netlink } from "../../../ffi/netlink.ts";
import type { NftTable } from "../../../ffi/netlink_nftables.ts";
import { deleteNeighbours } from "../../../ffi/netlink_neigh.ts";
import { NftablesReader } from "../../../ffi/nftables_reader.ts";
import { sendFrames } from "../../../ffi/packet.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import { BRIDGE, type NetworkState, type VethState } from "../../overlay/state.ts";
import { announcement } from "./announcement.ts";
import { type IsTarget, KernelBatch } from "./carry_out.ts";
import type { ForeignKind } from "./containment.ts";
import { EGRESS_TABLE } from "./egress.ts";
import { BEYOND_LIMIT } from "./egress_limits.ts";
import { hostEndsOf } from "./host_end.ts";
import type { NamespaceWatch, Notifications } from "./notifications.ts";
import { NetworkNamespace } from "./network_namespace.ts";
import type { Pins } from "./proxy.ts";
import type { FoundRules } from "./read_rules.ts";
import { type Peers, readNetwork, readVeth } from "./read.ts";
import type { UnderlaySettings } from "./underlay_settings.ts";
import { addressesOnly } from "./tables.ts";

/** Tables with so many entries come in one part or two. */
const FEW_ENTRIES = 150;

/**
 * One network's part of this host's kernel. Between two calls only the socket of {@link watch} is open, so each call
 * sees the namespace as it is then, with what other programs have done to it. Calls on one network must not overlap.
 */
export class NetworkKernel {
  #irreplaceable: ReadonlySet<number> = new Set();
  /** How many entries vxlan0's ARP table had when it was last read; its FDB has about as many. */
  #entries = Infinity;
  #rules: FoundRules | undefined;
  /** The names of the bridge's ports when they were last read. */
  ports: readonly string[] = [];
  #closed = false;
  #onForeign: (() => void) | undefined;
  #watch: NamespaceWatch | undefined;

  /**
   * @param netlink A socket in the underlay's namespace.
   * @param notifications The watch of namespaces.
   */
  constructor(
    readonly path: string,
    private readonly underlay: UnderlaySettings,
    private readonly netlink: Netlink,
    private readonly notifications?: Notifications,
  ) {}

  /**
   * Reports changes by other programs in the namespace, from the next {@link read} on; one change may be reported
   * several times.
   */
  watch(onForeign: () => void): void {
    this.#onForeign = onForeign;
  }

  /**
   * Reads the whole network; undefined without a namespace.
   * @param pins The MACs that ports should be pinned to: only for these it is read whether they are.
   * @param isCheck Rules that the kernel does not say were changed since the last call are not read again.
   * @throws NamespaceError when something else is at the path
   */
  async read(peers: Peers, pins: Pins = new Map(), isCheck = false): Promise<NetworkState | undefined> {
    using namespace = NetworkNamespace.openIfAny(this.path, this.#entries <= FEW_ENTRIES);
    this.#listen(namespace);
    this.#watch?.skip();
    if (!namespace) return undefined;
    const known = isCheck && this.#rules
      ? { ...this.#rules, now: () => this.#readNftables(namespace, (reader) => reader.generation()) }
      : undefined;
    const { state, irreplaceable, rules, ports } = await readNetwork(
      namespace,
      this.underlay,
      peers,
      pins,
      known,
    );
    this.#irreplaceable = irreplaceable;
    this.#rules = rules;
    this.ports = ports;
    this.#entries = state.arp.size;
    this.#watch?.answers(state.proxy?.arp.keys() ?? []);
    return state;
  }

  /**
   * Reads one veth, at a cost that does not depend on the rest of the namespace; undefined when it does not exist.
   * @param peer Path of the namespace where the other end should be.
   * @param mac The MAC that its port should be pinned to.
   */
  async readVeth(name: string, peer: string | undefined, mac?: string): Promise<VethState | undefined> {
    using namespace = NetworkNamespace.openIfAny(this.path);
    return namespace && await readVeth(namespace, this.underlay, name, peer, mac);
  }

  /** Tests whether a link of that name is there, at next to no cost; undefined for a network that is not watched. */
  hasLink(name: string): boolean | undefined {
    return this.#watch?.has(name);
  }

  /** How many frames from its ports have been counted by its rules, by kind; undefined without a namespace. */
  counted(): ReadonlyMap<ForeignKind, number> | undefined {
    return this.#counting((read) => this.underlay.containment.counted(read));
  }

  /** How many packets were to open one connection to the world more than may be open; undefined without a namespace. */
  refusedConnections(): number | undefined {
    return this.#counting((read) => read(EGRESS_TABLE).get(BEYOND_LIMIT) ?? 0);
  }

  #counting<T>(take: (read: (table: NftTable) => ReadonlyMap<string, number>) => T): T | undefined {
    const open = this.#watch?.openReader;
    if (open) return take((table) => open.counters(table));
    using namespace = NetworkNamespace.openIfAny(this.path);
    return namespace && take((table) => this.#readNftables(namespace, (reader) => reader.counters(table)));
  }

  /** Names of veth ends of this network in the host's namespace, including those of endpoints that are gone. */
  hostEnds(): Promise<string[]> {
    return hostEndsOf(this.path, this.netlink);
  }

  /**
   * Carries out operations in order, up to the first that fails; of a table's entries, all that can be set.
   *
   * @param onDone Called after each operation; where two go to the kernel in one message, after both.
   * @param isTarget Tests whether the namespace at a target's path is the intended one; it is asked about the namespace
   *   that was opened.
   * @throws NamespaceGone when a target's namespace is gone or another one, Refusal "exists" when a name or the VNI
   *   is taken, SystemError with the operation and the kernel's reason
   */
  async carryOut(
    ops: readonly KernelOp[],
    onDone?: (op: KernelOp) => void,
    isTarget?: IsTarget,
  ): Promise<void> {
    if (this.#closed) throw new Error(`the network at ${this.path} has been closed on this host`);
    // An open socket keeps the namespace alive, and the VNI with it.
    if (ops.some(({ op }) => op === "namespace-remove")) this.#listen(undefined);
    const done = this.#watch?.own(ops);
    try {
      using batch = new KernelBatch(this.path, this.underlay, this.netlink, this.#irreplaceable, isTarget);
      await batch.carryOut(ops, onDone);
    } finally {
      done?.();
    }
    if (ops.some(({ op }) => op === "namespace-add")) {
      using namespace = NetworkNamespace.openIfAny(this.path);
      this.#listen(namespace);
    }
  }

  /**
   * Announces the MACs of some addresses to the containers on this host, in broadcasts of br0. They reach the
   * bridge's ports only, since vxlan0 forwards no ARP.
   *
   * @param pairs address → MAC
   * @param learned Addresses for which br0's own entries were learned by the kernel; these are deleted.
   */
  async announce(
    pairs: ReadonlyMap<number, number>,
    { learned }: { readonly learned: boolean },
  ): Promise<void> {
    using namespace = this.#closed ? undefined : NetworkNamespace.openIfAny(this.path);
    if (!namespace) return;
    sendFrames(namespace.fd, BRIDGE, [...pairs].map(([address, mac]) => announcement(address, mac)));
    if (!learned) return;
    const addresses = addressesOnly(new Set(pairs.keys()));
    await deleteNeighbours(namespace.netlink, "arp", namespace.index(BRIDGE), addresses);
  }

  /** Refuses all operations from now on. */
  close(): void {
    this.#closed = true;
    this.#listen(undefined);
  }

  /** Asks nf_tables by the socket that is open while the namespace is watched. @throws SystemError where the kernel has none */
  #readNftables<T>(namespace: NetworkNamespace, question: (reader: NftablesReader) => T): T {
    const watch = this.#watch;
    if (watch?.identity === namespace.identity) return question(watch.reader(namespace.fd));
    using own = new NftablesReader(namespace.fd);
    return question(own);
  }

  /** Moves the watch to this namespace, or ends it. */
  #listen(namespace: NetworkNamespace | undefined): void {
    if (!namespace) this.underlay.tables.forget(this.path);
    if (namespace && this.#watch?.identity === namespace.identity) return;
    this.#watch?.close();
    this.#watch = undefined;
    if (!namespace || !this.#onForeign || this.#closed) return;
    this.#watch = this.notifications?.watch(namespace.fd, this.#onForeign);
  }
}
