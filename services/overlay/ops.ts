/** The operations by which the agent changes a network's kernel state. */
import type { PeerState, RouteState, VxlanState } from "./state.ts";

/**
 * One operation in a network's namespace; `arp-*`, `fdb-*` and `flood-*` change many entries. Each operation is complete by
 * itself: after any of them a new diff can start from the kernel's state.
 */
export type KernelOp =
  | { readonly op: "namespace-add" }
  /** Deletes everything in it, and the other ends of veths in target namespaces. */
  | { readonly op: "namespace-remove" }
  | { readonly op: "loopback-up" }
  /** Creates the bridge, down and without an address. */
  | { readonly op: "bridge-add"; readonly mtu: number }
  | { readonly op: "bridge-set"; readonly mtu?: number; readonly up?: true }
  | { readonly op: "bridge-address-add"; readonly address: string }
  | { readonly op: "bridge-address-remove"; readonly address: string }
  /** Creates vxlan0, down and outside the bridge, with l2miss and l3miss as SAND's agents do. */
  | { readonly op: "vxlan-add"; readonly vxlan: Pick<VxlanState, "vni" | "port" | "mtu"> }
  /** Deletes its ARP and FDB entries as well. */
  | { readonly op: "vxlan-remove" }
  | {
    readonly op: "vxlan-set";
    readonly learning?: false;
    readonly mtu?: number;
    readonly inBridge?: true;
    readonly up?: true;
  }
  /**
   * Creates the pair, down and outside the bridge; the other end is in its namespace with its MAC, without an
   * address.
   */
  | {
    readonly op: "veth-add";
    readonly name: string;
    readonly mac?: string;
    readonly mtu: number;
    readonly hostEnd?: string | undefined;
    readonly peer: PeerState;
  }
  /** Deletes it with its end in the host's namespace, where it has one. */
  | { readonly op: "veth-remove"; readonly name: string }
  /** Deletes an end in the host's namespace whose port is gone already, and with it the veth's other end. */
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
  /** Floods frames to the port again. Without a MAC, all pinned entries of the port are removed. */
  | { readonly op: "veth-unpin"; readonly name: string; readonly mac?: string }
  | {
    readonly op: "peer-set";
    /** The name of the end in the overlay's namespace. */
    readonly veth: string;
    readonly netns: string;
    /** The present name of the end that is changed. */
    readonly at: string;
    readonly name?: string;
    readonly mac?: string;
    readonly mtu?: number;
    readonly addAddresses?: readonly string[];
    /** Added once it is up and has its addresses. */
    readonly addRoutes?: readonly RouteState[];
    readonly up?: true;
  }
  /** Creates a sound uplink, without routes of the host. */
  | { readonly op: "uplink-add"; readonly name: string; readonly mtu: number; readonly transfer?: string }
  /** Deletes the host's routes over it as well. */
  | { readonly op: "uplink-remove" }
  /** Without a transfer address, one that is there is removed. */
  | { readonly op: "uplink-set"; readonly name: string; readonly mtu: number; readonly transfer?: string }
  /** Makes the rules of {@link EgressRules}, or makes them again. */
  | { readonly op: "egress-add"; readonly rules: "closed" | "routed"; readonly replaces: boolean }
  | { readonly op: "egress-remove" }
  /** Adds the host's route to the endpoint with that veth. */
  | {
    readonly op: "uplink-route-add";
    readonly veth: string;
    /** The uplink's name in the host's namespace. */
    readonly uplink: string;
    readonly address: string;
  }
  | { readonly op: "uplink-route-remove"; readonly uplink: string; readonly address: string }
  /** Forgets what br0 has learned of MACs at a port, which may be gone. */
  | { readonly op: "port-forget"; readonly port: string; readonly macs: ReadonlySet<number> }
  /** Adds or replaces: address → MAC. */
  | { readonly op: "arp-set"; readonly entries: ReadonlyMap<number, number> }
  | { readonly op: "arp-remove"; readonly addresses: ReadonlySet<number> }
  /** Adds or replaces: MAC → VTEP. */
  | { readonly op: "fdb-set"; readonly entries: ReadonlyMap<number, number> }
  | { readonly op: "fdb-remove"; readonly macs: ReadonlySet<number> }
  /** Adds VTEPs of the all-zero MAC that are not there. */
  | { readonly op: "flood-set"; readonly vteps: ReadonlySet<number> }
  /** Removes all of them: single ones with a port of their own could not be removed. */
  | { readonly op: "flood-remove"; readonly vteps: ReadonlySet<number> }
  /** Makes the rules for broadcast and multicast, or makes them again. */
  | { readonly op: "broadcast-add"; readonly limit: number; readonly replaces: boolean }
  | { readonly op: "broadcast-remove" }
  /** Makes the rules and their elements at once; `replaces`: in the place of what is there. */
  | {
    readonly op: "containment-add";
    readonly rules: "drop" | "count" | "served" | "none";
    readonly add: ReadonlySet<string>;
    readonly replaces: boolean;
  }
  /** Adds elements as in {@link ContainmentState}, which may be there. */
  | { readonly op: "containment-set"; readonly add: ReadonlySet<string> }
  /** Removes elements that are there. */
  | { readonly op: "containment-unset"; readonly remove: ReadonlySet<string> }
  | { readonly op: "containment-remove" }
  /** Adds or replaces parts of {@link ProxyState}. */
  | {
    readonly op: "proxy-set";
    readonly port?: true;
    readonly closed?: true;
    readonly arp: ReadonlyMap<number, number>;
    readonly fdb: ReadonlySet<number>;
  }
  | {
    readonly op: "proxy-remove";
    readonly port?: true;
    readonly closed?: true;
    readonly arp: ReadonlySet<number>;
    readonly fdb: ReadonlySet<number>;
  };
