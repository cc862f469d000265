/**
 * One network's part of a host's kernel as data, both as desired and as read from the kernel.
 *
 * In the ARP and FDB tables, which may have 100,000 rows, an IPv4 address is its 32-bit value and a MAC its 48-bit
 * value.
 */

/** The name of the probes' vxlan device, which is in a namespace of its own. */
export const PROBE = "probe0";

/** The state of the network's namespace; `undefined` stands for a network without one. */
export interface NetworkState {
  readonly loopbackUp: boolean;
  /** br0 */
  readonly bridge: BridgeState | undefined;
  /** vxlan0; a device of that name that is something else has a VNI of 0. */
  readonly vxlan: VxlanState | undefined;
  /** The veths called `sandXXXX`, by the name of the end in this namespace. */
  readonly veths: ReadonlyMap<string, VethState>;
  /** Permanent ARP entries on vxlan0: address → MAC. */
  readonly arp: ReadonlyMap<number, number>;
  /** Permanent FDB entries of vxlan0 itself (NTF_SELF): MAC → VTEP. */
  readonly fdb: ReadonlyMap<number, number>;
  /** VTEPs of the all-zero MAC, to which broadcast and multicast are sent; without them, these stay on their host. */
  readonly flood: ReadonlySet<number>;
  /**
   * How many frames of broadcast and multicast a port may send to other hosts in a second, by rules that keep DHCP, router
   * advertisements and ARP on their host. Absent: there are no such rules. Read: 0 where they are others.
   */
  readonly broadcast?: number | undefined;
  /** Absent: the network is isolated from its host. */
  readonly uplink?: UplinkState | undefined;
  /** Absent: ARP requests are flooded, and answered by the endpoints themselves and by vxlan0. */
  readonly proxy?: ProxyState | undefined;
  /** Absent: frames from ports are not checked. */
  readonly containment?: ContainmentState | undefined;
  /** The rules for what passes the uplink. Absent: there are none. */
  readonly egress?: EgressRules | undefined;
}

/**
 * The rules of a network whose machines reach the world: what leaves by the uplink gets its {@link UplinkState.transfer} address.
 * "closed": only answers come in; "routed": what the host has a route for comes in too. Read: "edited" where they are neither.
 */
export type EgressRules = "closed" | "routed" | "edited";

/** The check of frames that arrive at ports: see containment.ts. */
export interface ContainmentState {
  /** Read: "edited" where the rules are none of those that agents make, so that they are made again. */
  readonly rules: "drop" | "count" | "served" | "none" | "edited";
  /**
   * The elements of ports: a port's name alone, since other programs' ports may send nothing; its name and `device` for a device of
   * the host, or `unchecked` for one that may send anything; its name and a MAC; its name, a MAC and an address that goes with it,
   * like `sand00ff 02:84:0a:00:00:02 10.0.0.2`.
   */
  readonly own: ReadonlySet<string>;
}

/**
 * The entries from which br0 answers ARP requests, which are then not flooded to the ports
 * (net/bridge/br_arp_nd_proxy.c).
 */
export interface ProxyState {
  /** True: br0 also answers requests from vxlan0's port (IFLA_BRPORT_PROXYARP_WIFI). */
  readonly port: boolean;
  /** Permanent ARP entries on br0: address → MAC. */
  readonly arp: ReadonlyMap<number, number>;
  /** Static entries of br0's own FDB: MACs that are behind vxlan0. */
  readonly fdb: ReadonlySet<number>;
  /** True: frames for MACs without such an entry are not sent to vxlan0, which would send them to every host. */
  readonly closed?: true | undefined;
}

/** A veth pair between the host's own namespace and the network's. */
export interface UplinkState {
  /** The name of the end in the host's namespace; the other end is {@link UPLINK}. */
  readonly name: string;
  readonly mtu: number;
  /** True when both ends are up, need no ARP, and packets are forwarded over them and br0 in both directions. */
  readonly sound: boolean;
  /** Endpoints' addresses that the host has a route to over it, in text form. */
  readonly routes: ReadonlySet<string>;
  /**
   * The address, in text form, that what leaves the network has on the host, which has a route to it. Absent: there is none.
   * Read: empty where there is another number of addresses, or no route.
   */
  readonly transfer?: string | undefined;
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
  /** True when its packets are sent in the host's root namespace. */
  readonly rootUnderlay: boolean;
  readonly learning: boolean;
  readonly mtu: number;
  readonly inBridge: boolean;
  readonly up: boolean;
}

export interface VethState {
  /** The MAC of this end, in text form. Desired: undefined where any will do. */
  readonly mac?: string | undefined;
  readonly mtu: number;
  readonly inBridge: boolean;
  readonly up: boolean;
  /**
   * The name of the veth's end in the host's own namespace; a macvlan over it is the port of br0. Absent: the veth's
   * end is the port.
   */
  readonly hostEnd?: string | undefined;
  /**
   * The MAC, in text form, of the port's static, sticky FDB entry, which frames at other ports cannot move. Frames
   * for unknown MACs are then not flooded to the port, and br0 answers ARP requests for its endpoint. Read:
   * {@link PARTLY_PINNED} where only a part of this applies.
   */
  readonly pinned?: string | undefined;
  /** Desired: undefined where Docker moves the other end. Read: undefined where it was not found. */
  readonly peer: PeerState | undefined;
}

/** The end in the target namespace. */
export interface PeerState {
  /** Path of the namespace. */
  readonly netns: string;
  readonly name: string;
  /** The MAC in text form. Desired: empty where any will do. */
  readonly mac: string;
  /** In CIDR form. Desired: the required ones; the container may have added others. */
  readonly addresses: readonly string[];
  /** Desired: routes that are added with its addresses. They belong to the container from then on and are not read. */
  readonly routes?: readonly RouteState[];
  readonly mtu: number;
  readonly up: boolean;
}

/** A route in a container over the veth's end. */
export interface RouteState {
  /** In CIDR form: 0.0.0.0/0 for the default route. */
  readonly dst: string;
  /** The next hop; without one, the destination is on the network itself. */
  readonly gw?: string | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  readonly priority?: number | undefined;
}

/** Stands for the MAC in {@link VethState.pinned} of a port that is partly pinned, so that it is pinned again or unpinned. */
export const PARTLY_PINNED = "partly";

/** The devices' names in each network's namespace. */
export const BRIDGE = "br0", VXLAN = "vxlan0", UPLINK = "host0";

/** The name of a network's uplink in the host's namespace, where those of other networks are as well. */
export function uplinkName(networkId: string): string {
  return `sandh${networkId.replaceAll("-", "").slice(0, 10)}`;
}

/** IANA's port for VXLAN (RFC 7348 §5). */
export const VXLAN_PORT = 4789;

/** The VNI of the probes between hosts: the highest one, which no network gets. */
export const PROBE_VNI = 0xffffff;

/** The size of the largest probe in octets, a whole IPv4 packet: the MTU that every kernel allows for the device. */
export const LARGEST_PROBE = 65_000;

/** The 48-bit value of a MAC in stored form. */
export function macNumber(mac: string): number {
  return parseInt(mac.replaceAll(":", ""), 16);
}
