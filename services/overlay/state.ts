/**
 * One network's part of a host's kernel, as data: what it should be, and what a dump says it is.
 *
 * In the two tables, which may have 100,000 rows, an IPv4 address is its 32-bit value and a MAC its 48-bit value.
 */

/** The vxlan device of the probes, in a namespace of its own. */
export const PROBE = "probe0";

/** What is in the network's namespace; a network without a namespace is `undefined` instead. */
export interface NetworkState {
  readonly loopbackUp: boolean;
  /** br0 */
  readonly bridge: BridgeState | undefined;
  /** vxlan0; a device of that name that is something else has a VNI of 0. */
  readonly vxlan: VxlanState | undefined;
  /** By the name of the end in this namespace: those called `sandXXXX`. */
  readonly veths: ReadonlyMap<string, VethState>;
  /** Permanent ARP entries on vxlan0: address → MAC. */
  readonly arp: ReadonlyMap<number, number>;
  /** Permanent FDB entries of vxlan0 itself (NTF_SELF): MAC → VTEP. */
  readonly fdb: ReadonlyMap<number, number>;
  /** VTEPs of the all-zero MAC, to which unknown frames are flooded: none is ever wanted. */
  readonly flood: ReadonlySet<number>;
  /** Absent: the network is apart from the host that it is on. */
  readonly uplink?: UplinkState | undefined;
  /** Absent: ARP requests are flooded, and answered by the endpoints themselves and by vxlan0. */
  readonly proxy?: ProxyState | undefined;
}

/** What br0 answers ARP requests from, which are then not flooded to the ports (net/bridge/br_arp_nd_proxy.c). */
export interface ProxyState {
  /** vxlan0's port is one that is answered for (IFLA_BRPORT_PROXYARP_WIFI). */
  readonly port: boolean;
  /** Permanent ARP entries on br0: address → MAC. */
  readonly arp: ReadonlyMap<number, number>;
  /** Static entries of br0's own FDB: MACs that are behind vxlan0. */
  readonly fdb: ReadonlySet<number>;
}

/** The way between the host's own namespace and the network's gateway on it: a pair of veths. */
export interface UplinkState {
  /** Of the end in the host's namespace; the other one is {@link UPLINK}. */
  readonly name: string;
  readonly mtu: number;
  /** Both ends are up, need no ARP, and packets go over them and br0 in both directions. */
  readonly sound: boolean;
  /** Endpoints' addresses that the host has a route to over it, in text form. */
  readonly routes: ReadonlySet<string>;
}

export interface BridgeState {
  readonly up: boolean;
  readonly mtu: number;
  /** In CIDR form. */
  readonly addresses: readonly string[];
}

export interface VxlanState {
  readonly vni: number;
  readonly port: number;
  readonly proxy: boolean;
  /** Its packets travel in the host's root namespace. */
  readonly rootUnderlay: boolean;
  readonly learning: boolean;
  readonly mtu: number;
  readonly inBridge: boolean;
  readonly up: boolean;
}

export interface VethState {
  /** Of this end, in text form. Wanted: undefined where any will do. */
  readonly mac?: string | undefined;
  readonly mtu: number;
  readonly inBridge: boolean;
  readonly up: boolean;
  /**
   * The name of the veth's end in the host's own namespace, which br0 has a macvlan of for its port; absent: the veth's
   * end is the port.
   */
  readonly hostEnd?: string | undefined;
  /**
   * The MAC, in text form, that br0 has behind this port in a static, sticky FDB entry, which frames at other ports cannot
   * move. A frame for a MAC that br0 does not know is not flooded to the port then, and br0 answers ARP requests for the
   * port's endpoint. Found: {@link PARTLY_PINNED} where only a part of this is so.
   */
  readonly pinned?: string | undefined;
  /** Wanted: undefined where Docker moves the other end. Found: undefined where it was not found. */
  readonly peer: PeerState | undefined;
}

/** The end in the target namespace. */
export interface PeerState {
  /** Path of the namespace. */
  readonly netns: string;
  readonly name: string;
  /** In text form. Wanted: empty where any will do. */
  readonly mac: string;
  /** In CIDR form. Wanted: all of them; others may be there, they are the container's. */
  readonly addresses: readonly string[];
  /** Wanted: those that it gets along with its addresses. They are the container's from then on: never looked for. */
  readonly routes?: readonly RouteState[];
  readonly mtu: number;
  readonly up: boolean;
}

/** A route in a container, over the end that is there. */
export interface RouteState {
  /** In CIDR form: 0.0.0.0/0 for the default route. */
  readonly dst: string;
  /** The next hop; without one, the destination is on the network itself. */
  readonly gw?: string | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  readonly priority?: number | undefined;
}

/** In place of a MAC in {@link VethState.pinned}, so that the port is pinned anew or made one that is flooded to. */
export const PARTLY_PINNED = "partly";

/** The devices' names, in every network's namespace. */
export const BRIDGE = "br0", VXLAN = "vxlan0", UPLINK = "host0";

/** What a network's uplink is called in the host's namespace, where those of other networks are too. */
export function uplinkName(networkId: string): string {
  return `sandh${networkId.replaceAll("-", "").slice(0, 10)}`;
}

/** IANA's port for VXLAN (RFC 7348 §5). */
export const VXLAN_PORT = 4789;

/** The VNI by which hosts find out whether VXLAN passes between them: the last one, which no network gets. */
export const PROBE_VNI = 0xffffff;

/** Octets of the largest probe, a whole IPv4 packet: the MTU that every kernel lets the probes' device have. */
export const LARGEST_PROBE = 65_000;

/** The 48-bit value of a MAC in stored form. */
export function macNumber(mac: string): number {
  return parseInt(mac.replaceAll(":", ""), 16);
}
