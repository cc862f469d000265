/** Creates, changes and deletes links by rtnetlink(7): bridges, veths, vxlan devices and macvlans. */
import { ENODEV } from "./errno.ts";
import type { Request } from "./netlink.ts";
import {
  type Attribute,
  be16,
  encodeMessage,
  HEADER,
  NLM_F_CREATE,
  NLM_F_EXCL,
  text,
  u32,
  u8,
} from "./netlink_message.ts";

/** Numbers of if_link.h that changes and listings share. */
export const RTM_NEWLINK = 16, RTM_DELLINK = 17, RTM_GETLINK = 18;
export const IFINFOMSG = 16, IFF_UP = 1, IFF_NOARP = 0x80;
export const IFLA_ADDRESS = 1,
  IFLA_IFNAME = 3,
  IFLA_MTU = 4,
  IFLA_LINK = 5,
  IFLA_MASTER = 10,
  IFLA_LINKINFO = 18,
  IFLA_IFALIAS = 20,
  IFLA_AF_SPEC = 26;
export const AF_INET = 2, IFLA_INET_CONF = 1, AF_INET6 = 10, IFLA_INET6_CONF = 2;
/** The number of a setting under net.ipv4.conf (linux/ip.h). */
export const IPV4_DEVCONF_FORWARDING = 1, IPV4_DEVCONF_RP_FILTER = 8;
export const IFLA_GROUP = 27, IFLA_EXT_MASK = 29, IFLA_LINK_NETNSID = 37;
export const IFLA_INFO_KIND = 1, IFLA_INFO_DATA = 2;
export const IFLA_VXLAN_ID = 1, IFLA_VXLAN_GROUP = 2, IFLA_VXLAN_LOCAL = 4, IFLA_VXLAN_LEARNING = 7;
export const IFLA_VXLAN_PORT = 15, IFLA_VXLAN_PROXY = 11, IFLA_VXLAN_L2MISS = 13, IFLA_VXLAN_L3MISS = 14;
const IFLA_VXLAN_DF = 29, VXLAN_DF_SET = 1;
export const IFLA_VXLAN_GROUP6 = 16, IFLA_VXLAN_LOCAL6 = 17;
const IFLA_NET_NS_FD = 28, VETH_INFO_PEER = 1, IFLA_MACVLAN_MODE = 1, MACVLAN_MODE_PASSTHRU = 8;

/** The longest name of an interface, in octets (IFNAMSIZ without the NUL). */
export const nameLimit = 15;

/** A link by its index, or by its name. */
export type LinkReference = number | string;

/** Settings of any link. Omitted ones stay as they are, or are the kernel's choice. */
export interface LinkSettings {
  readonly mtu?: number;
  /** Six octets. */
  readonly mac?: Uint8Array;
  readonly up?: boolean;
  /** False: it neither sends nor answers ARP requests (IFF_NOARP of netdevice(7)). */
  readonly arp?: boolean;
  /** The alias, 255 octets at most. */
  readonly alias?: string;
  /** The index of the bridge that it is a port of, in the namespace where it is; 0 for none. */
  readonly master?: number;
  /** A descriptor of the namespace to which it is moved. */
  readonly namespace?: number;
}

/** A link's name, and what any link may have. */
export interface NewLink extends LinkSettings {
  readonly name: string;
}

/** A vxlan device (RFC 7348) whose FDB is filled by netlink: it neither learns nor floods. */
export interface NewVxlan extends NewLink {
  readonly vni: number;
  readonly port: number;
  /** The address to send from: 4 or 16 octets. */
  readonly local: Uint8Array;
  /** Answers ARP and neighbour solicitations from its table. */
  readonly proxy?: boolean;
  /** True: notifies about unknown MACs (RTM_GETNEIGH to user space). */
  readonly l2miss?: boolean;
  /** True: notifies about addresses that are not in its ARP table. */
  readonly l3miss?: boolean;
  readonly learning?: boolean;
  /** True: sets DF in outer packets. Kernels before 4.20 do not support that. */
  readonly dontFragment?: boolean;
}

/** Creates a bridge. */
export function newBridge(link: NewLink): Request {
  return create(link, "bridge");
}

/**
 * Creates a vxlan device. Its underlay is the namespace of the socket that this is sent through, even if
 * `namespace` moves the device elsewhere.
 */
export function newVxlan(link: NewVxlan): Request {
  return create(link, "vxlan", [
    [IFLA_VXLAN_ID, u32(link.vni)],
    [IFLA_VXLAN_PORT, be16(link.port)],
    [link.local.length === 4 ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6, link.local],
    [IFLA_VXLAN_PROXY, u8(link.proxy ?? false)],
    [IFLA_VXLAN_L2MISS, u8(link.l2miss ?? false)],
    [IFLA_VXLAN_L3MISS, u8(link.l3miss ?? false)],
    [IFLA_VXLAN_LEARNING, u8(link.learning ?? false)],
    ...link.dontFragment ? [[IFLA_VXLAN_DF, u8(VXLAN_DF_SET)] as const] : [],
  ]);
}

/**
 * Creates a veth pair. The kernel does not create the second end up or as a port: those are separate changes in its
 * namespace.
 */
export function newVeth(link: NewLink, peer: Omit<NewLink, "up" | "master">): Request {
  const far = encodeMessage(0, 0, ifinfomsg(0), settings(peer, peer.name)).subarray(HEADER);
  return create(link, "veth", [[VETH_INFO_PEER, far]]);
}

/**
 * Creates a macvlan in mode passthru: it has the lower link's MAC, and gets every frame that the lower link receives.
 *
 * @param link.lower The index of the lower link, in the namespace of the socket that this is sent through.
 */
export function newMacvlan(link: NewLink & { readonly lower: number }): Request {
  return create(link, "macvlan", [[IFLA_MACVLAN_MODE, u32(MACVLAN_MODE_PASSTHRU)]], [
    IFLA_LINK,
    u32(link.lower),
  ]);
}

/** Enables or disables forwarding of IPv4 packets that a link receives (net.ipv4.conf.LINK.forwarding). */
export function changeForwarding(link: LinkReference, on: boolean): Request {
  return changeIpv4(link, IPV4_DEVCONF_FORWARDING, Number(on));
}

/** Has a link drop IPv4 packets with a source that is not reached over it (net.ipv4.conf.LINK.rp_filter = 1). */
export function checkSources(link: LinkReference): Request {
  return changeIpv4(link, IPV4_DEVCONF_RP_FILTER, 1);
}

function changeIpv4(link: LinkReference, setting: number, value: number): Request {
  const settings: Attribute = [AF_INET, [[IFLA_INET_CONF, [[setting, u32(value)]]]]];
  return {
    what: `change ${label(link)}`,
    message: encodeMessage(RTM_NEWLINK, 0, ifinfomsg(link), [...reference(link), [IFLA_AF_SPEC, [settings]]]),
  };
}

/** Changes a link; a name is changed while it is down, or by kernels from 6.2 on. */
export function changeLink(link: LinkReference, change: LinkSettings & { readonly name?: string }): Request {
  const named: Attribute | undefined = change.name === undefined ? undefined : nameOf(change.name);
  if (typeof link === "string" && named) throw new TypeError("a link is renamed by its index");
  return {
    what: `change ${label(link)}`,
    message: encodeMessage(RTM_NEWLINK, 0, ifinfomsg(link, change), [
      ...reference(link),
      named,
      ...settings(change),
    ]),
  };
}

/** Turns a vxlan device's learning on or off while it is in use. */
export function changeLearning(link: LinkReference, learning: boolean): Request {
  return {
    what: `change ${label(link)}`,
    message: encodeMessage(RTM_NEWLINK, 0, ifinfomsg(link), [
      ...reference(link),
      linkInfo("vxlan", [[IFLA_VXLAN_LEARNING, u8(learning)]]),
    ]),
  };
}

/** Deletes a link; with one end of a veth pair the other is deleted too. It may take the kernel 40 ms. */
export function deleteLink(link: LinkReference): Request {
  return {
    what: `delete ${label(link)}`,
    message: encodeMessage(RTM_DELLINK, 0, ifinfomsg(link), reference(link)),
    already: ENODEV,
  };
}

function create(link: NewLink, kind: string, data?: readonly Attribute[], lower?: Attribute): Request {
  return {
    what: `create ${link.name}`,
    message: encodeMessage(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, ifinfomsg(0, link), [
      ...settings(link, link.name),
      lower,
      linkInfo(kind, data),
    ]),
  };
}

function settings(
  { mtu, mac, alias, master, namespace }: LinkSettings,
  name?: string,
): (Attribute | undefined)[] {
  return [
    name === undefined ? undefined : nameOf(name),
    mtu === undefined ? undefined : [IFLA_MTU, u32(mtu)],
    mac && [IFLA_ADDRESS, mac],
    alias === undefined ? undefined : [IFLA_IFALIAS, new TextEncoder().encode(alias)],
    master === undefined ? undefined : [IFLA_MASTER, u32(master)],
    namespace === undefined ? undefined : [IFLA_NET_NS_FD, u32(namespace)],
  ];
}

function linkInfo(kind: string, data?: readonly Attribute[]): Attribute {
  return [IFLA_LINKINFO, [[IFLA_INFO_KIND, text(kind)], data && [IFLA_INFO_DATA, data]]];
}

function nameOf(name: string): Attribute {
  const octets = text(name);
  if (octets.length < 2 || octets.length > nameLimit + 1 || /[\s/:\0]/.test(name)) {
    throw new TypeError(
      `"${name}" is not the name of an interface: 1 to ${nameLimit} octets, no space, / or :`,
    );
  }
  return [IFLA_IFNAME, octets];
}

function reference(link: LinkReference): Attribute[] {
  return typeof link === "string" ? [nameOf(link)] : [];
}

function label(link: LinkReference): string {
  return typeof link === "string" ? link : `interface ${link}`;
}

/** struct ifinfomsg {u8 family, pad, u16 type, i32 index, u32 flags, u32 change} */
function ifinfomsg(link: LinkReference, { up, arp }: Pick<LinkSettings, "up" | "arp"> = {}): Uint8Array {
  const fixed = new Uint8Array(IFINFOMSG);
  if (typeof link === "number") fixed.set(u32(link), 4);
  fixed[8] = (up ? IFF_UP : 0) | (arp === false ? IFF_NOARP : 0);
  fixed[12] = (up === undefined ? 0 : IFF_UP) | (arp === undefined ? 0 : IFF_NOARP);
  return fixed;
}
