import type { Netlink } from "../../../ffi/netlink.ts";
import { deleteNeighbours } from "../../../ffi/netlink_neigh.ts";
import { sendFrames } from "../../../ffi/packet.ts";
import type { KernelOp } from "../../overlay/ops.ts";
import { BRIDGE, type NetworkState, type VethState } from "../../overlay/state.ts";
import { announcement } from "./announcement.ts";
import { type IsTarget, KernelBatch } from "./carry_out.ts";
import { hostEndsOf } from "./host_end.ts";
import type { NamespaceWatch, Notifications } from "./notifications.ts";
import { NetworkNamespace, OWN_NAMESPACE } from "./network_namespace.ts";
import type { Pins } from "./proxy.ts";
import { type Peers, readNetwork, readVeth, type UnderlaySettings } from "./read.ts";
import { addressesOnly } from "./tables.ts";

/**
 * One network's part of this host's kernel. Between two calls only the socket of {@link watch} is held open: whatever
 * others have done to the namespace meanwhile is met as it is. Calls on one network must not overlap.
 */
export class NetworkKernel {
  #irreplaceable: ReadonlySet<number> = new Set();
  #closed = false;
  #onForeign: (() => void) | undefined;
  #watch: NamespaceWatch | undefined;

  /**
   * @param netlink a socket in the underlay's namespace
   * @param notifications where namespaces are watched
   */
  constructor(
    readonly path: string,
    private readonly underlay: UnderlaySettings,
    private readonly netlink: Netlink,
    private readonly notifications?: Notifications,
  ) {}

  /** Has a change that others make in the namespace told of: from the next {@link read} on, perhaps several times. */
  watch(onForeign: () => void): void {
    this.#onForeign = onForeign;
  }

  /**
   * All of it; undefined without a namespace.
   * @param pins the MACs that ports should be known for: whether they are is found for these alone
   * @throws NamespaceError when something else is at the path
   */
  async read(peers: Peers, pins: Pins = new Map()): Promise<NetworkState | undefined> {
    using namespace = NetworkNamespace.openIfAny(this.path);
    this.#listen(namespace);
    this.#watch?.skip();
    if (!namespace) return undefined;
    const { state, irreplaceable } = await readNetwork(namespace, this.underlay, peers, pins);
    this.#irreplaceable = irreplaceable;
    this.#watch?.answers(state.proxy?.arp.keys() ?? []);
    return state;
  }

  /**
   * One veth, at a cost that does not depend on what else is there; undefined when it is not.
   * @param peer path of the namespace where the other end should be
   * @param mac what its port should be known for
   */
  async readVeth(name: string, peer: string | undefined, mac?: string): Promise<VethState | undefined> {
    using namespace = NetworkNamespace.openIfAny(this.path);
    return namespace && await readVeth(namespace, this.underlay, name, peer, mac);
  }

  /** Names of the ends that its veths have in the host's namespace, also of veths whose endpoint is gone. */
  async hostEnds(): Promise<string[]> {
    using host = NetworkNamespace.open(OWN_NAMESPACE);
    return await hostEndsOf(this.path, host);
  }

  /**
   * Carries out operations in their order, up to the first that fails; of a table's entries, all that can be.
   *
   * @param onDone Called after each; of two that the kernel is given in one message, after both.
   * @param isTarget Whether the namespace at a target's path is the one that is meant: it is asked of the one in use.
   * @throws NamespaceGone when a target's namespace is gone or another one, Refusal "exists" when a name or the VNI is taken,
   * SystemError with what was done and the kernel's reason
   */
  async carryOut(
    ops: readonly KernelOp[],
    onDone?: (op: KernelOp) => void,
    isTarget?: IsTarget,
  ): Promise<void> {
    if (this.#closed) throw new Error(`the network at ${this.path} is not looked after any more`);
    // The socket would keep the namespace, and the VNI with it.
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
   * Tells the containers on this host which MAC some addresses have now, in a broadcast of br0's: it goes to its ports,
   * and no further, since vxlan0 sends no ARP on.
   *
   * @param pairs address → MAC
   * @param learned br0's own entries for these are such that the kernel has learned, and are forgotten
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

  /** Nothing is changed from now on. */
  close(): void {
    this.#closed = true;
    this.#listen(undefined);
  }

  /** Watches this namespace and no other. */
  #listen(namespace: NetworkNamespace | undefined): void {
    if (namespace && this.#watch?.isOf(namespace.fd)) return;
    this.#watch?.close();
    this.#watch = undefined;
    if (!namespace || !this.#onForeign || this.#closed) return;
    this.#watch = this.notifications?.watch(namespace.fd, this.#onForeign);
  }
}
