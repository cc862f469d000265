/** The operations by which the agent changes a network's kernel state. */
import type { PeerState, RouteState, VxlanState } from "./state.ts";

/**
 * One operation in a network's namespace; `arp-*`, `fdb-*` and `flood-*` change many entries. Each operation is complete by
 * itself: after any of them a new diff can start from the kernel's state.
 */
export type KernelOp =
  | { readonly op: "namespace-add" }
  /** Everything in it goes too, and with their other ends the veths in target namespaces. */
  | { readonly op: "namespace-remove" }
  | { readonly op: "loopback-up" }
  /** Down, without an address. */
  | { readonly op: "bridge-add"; readonly mtu: number }
  | { readonly op: "bridge-set"; readonly mtu?: number; readonly up?: true }
  | { readonly op: "bridge-address-add"; readonly address: string }
  | { readonly op: "bridge-address-remove"; readonly address: string }
  /** Down and outside the bridge, with l2miss and l3miss as SAND's agents have it. */
  | { readonly op: "vxlan-add"; readonly vxlan: Pick<VxlanState, "vni" | "port" | "mtu"> }
  /** Its ARP and FDB entries go too. */
  | { readonly op: "vxlan-remove" }
  | {
    readonly op: "vxlan-set";
    readonly learning?: false;
    readonly mtu?: number;
    readonly inBridge?: true;
    readonly up?: true;
  }
  /** The pair, down and outside the bridge; the other end in its namespace with its MAC, without an address. */
  | {
    readonly op: "veth-add";
    readonly name: string;
    readonly mac?: string;
    readonly mtu: number;
    readonly hostEnd?: string | undefined;
    readonly peer: PeerState;
  }
  /** With its end in the host's namespace, where it has one. */
  | { readonly op: "veth-remove"; readonly name: string }
  /** An end in the host's namespace whose port is gone already; with it, the veth's other end. */
  | { readonly op: "host-end-remove"; readonly name: string }
  | {
    readonly op: "veth-set";
    readonly name: string;
    readonly mac?: string;
    readonly mtu?: number;
    readonly inBridge?: true;
    readonly up?: true;
    readonly pinned?: string;
  }
  /** The port is again one that frames are flooded to. Without a MAC, whatever is pinned to it goes. */
  | { readonly op: "veth-unpin"; readonly name: string; readonly mac?: string }
  | {
    readonly op: "peer-set";
    /** Of the end in the overlay's namespace. */
    readonly veth: string;
    readonly netns: string;
    /** Of the end that is to be changed, as it is now. */
    readonly at: string;
    readonly name?: string;
    readonly mac?: string;
    readonly mtu?: number;
    readonly addAddresses?: readonly string[];
    /** Once it is up and has its addresses. */
    readonly addRoutes?: readonly RouteState[];
    readonly up?: true;
  }
  /** Sound, without routes of the host's. */
  | { readonly op: "uplink-add"; readonly name: string; readonly mtu: number }
  /** The host's routes over it go too. */
  | { readonly op: "uplink-remove" }
  | { readonly op: "uplink-set"; readonly name: string; readonly mtu: number }
  /** For the endpoint that has the veth. */
  | {
    readonly op: "uplink-route-add";
    readonly veth: string;
    /** Its name in the host's namespace. */
    readonly uplink: string;
    readonly address: string;
  }
  | { readonly op: "uplink-route-remove"; readonly uplink: string; readonly address: string }
  /** Adds or replaces: address → MAC. */
  | { readonly op: "arp-set"; readonly entries: ReadonlyMap<number, number> }
  | { readonly op: "arp-remove"; readonly addresses: ReadonlySet<number> }
  /** Adds or replaces: MAC → VTEP. */
  | { readonly op: "fdb-set"; readonly entries: ReadonlyMap<number, number> }
  | { readonly op: "fdb-remove"; readonly macs: ReadonlySet<number> }
  | { readonly op: "flood-remove"; readonly vteps: ReadonlySet<number> }
  /** Adds or replaces parts of {@link ProxyState}. */
  | {
    readonly op: "proxy-set";
    readonly port?: true;
    readonly arp: ReadonlyMap<number, number>;
    readonly fdb: ReadonlySet<number>;
  }
  | {
    readonly op: "proxy-remove";
    readonly port?: true;
    readonly arp: ReadonlySet<number>;
    readonly fdb: ReadonlySet<number>;
  };
