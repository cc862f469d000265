/** Lists links by rtnetlink(7) with their settings. */
import { ENODEV, SystemError } from "./errno.ts";
import type { Netlink } from "./netlink.ts";
import { type PortSettings, readPort } from "./netlink_bridge.ts";
import {
  AF_INET,
  AF_INET6,
  IFF_NOARP,
  IFF_UP,
  IFINFOMSG,
  IFLA_ADDRESS,
  IFLA_AF_SPEC,
  IFLA_EXT_MASK,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_INET6_CONF,
  IFLA_INET_CONF,
  IFLA_INFO_DATA,
  IFLA_INFO_KIND,
  IFLA_LINK,
  IFLA_LINK_NETNSID,
  IFLA_LINKINFO,
  IFLA_MASTER,
  IFLA_MTU,
  IFLA_VXLAN_GROUP,
  IFLA_VXLAN_GROUP6,
  IFLA_VXLAN_ID,
  IFLA_VXLAN_L2MISS,
  IFLA_VXLAN_L3MISS,
  IFLA_VXLAN_LEARNING,
  IFLA_VXLAN_LOCAL,
  IFLA_VXLAN_LOCAL6,
  IFLA_VXLAN_PORT,
  IFLA_VXLAN_PROXY,
  IPV4_DEVCONF_FORWARDING,
  IPV4_DEVCONF_RP_FILTER,
  RTM_GETLINK,
} from "./netlink_link.ts";
import {
  encodeMessage,
  readAttributes,
  readNested,
  readOctets,
  readText,
  text,
  u32,
} from "./netlink_message.ts";

const RTEXT_FILTER_SKIP_STATS = 8, IFF_LOWER_UP = 0x10000;
/** The position of accept_ra in IFLA_INET6_CONF (include/uapi/linux/ipv6.h). */
const IPV6_ACCEPT_RA = 3;
const RTM_GETNSID = 90, NETNSA_NSID = 1, NETNSA_FD = 3, RTGENMSG = 1;

/** The attributes of a link that are read, of some sixty. */
const READ: ReadonlySet<number> = new Set([
  IFLA_ADDRESS,
  IFLA_AF_SPEC,
  IFLA_IFALIAS,
  IFLA_IFNAME,
  IFLA_LINK,
  IFLA_LINKINFO,
  IFLA_LINK_NETNSID,
  IFLA_MASTER,
  IFLA_MTU,
]);

/** Kinds of links whose IFLA_LINK is a veth's peer, or the link that they lie on. */
const WITH_PEER = ["veth", "macvlan", "macvtap", "vlan", "ipvlan", "ipvtap", "macsec"];

/** A link with its settings. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** Its alias; empty when it has none. */
  readonly alias: string;
  /** `bridge`, `vxlan`, `veth`, `macvlan`; empty for hardware and `lo`. */
  readonly kind: string;
  readonly up: boolean;
  /** False: it neither sends nor answers ARP requests (IFF_NOARP). */
  readonly arp: boolean;
  /** True: IPv4 packets that it receives are forwarded. */
  readonly forwarding: boolean;
  /** True: IPv4 packets with a source that is not reached over it are dropped. */
  readonly checksSources: boolean;
  /** True: router advertisements (IPv6) make routes and addresses of it. */
  readonly takesAdvertisements: boolean;
  /** True: its peer or lower link is up too. */
  readonly carrier: boolean;
  /** IFF_… of netdevice(7). */
  readonly flags: number;
  readonly mtu: number;
  readonly mac: Uint8Array;
  /** The index of the bridge that it is a port of; 0 when there is none. */
  readonly master: number;
  /** Its settings as a port of that bridge. */
  readonly port: PortSettings | undefined;
  /** The index in `peerNamespace` of a veth's peer, or of the lower link of a macvlan or VLAN device; 0 when there is none. */
  readonly peer: number;
  /**
   * The number, as {@link namespaceNumber} returns it, of the namespace of a veth's peer, a macvlan's lower link or a
   * vxlan's underlay; undefined when that is this one.
   */
  readonly peerNamespace: number | undefined;
  /** The settings of a vxlan device. */
  readonly vxlan: Vxlan | undefined;
}

/** Settings of a vxlan device. */
export interface Vxlan {
  readonly vni: number;
  readonly port: number;
  /** 4 or 16 octets; none when the routes choose it. */
  readonly local: Uint8Array;
  /** The destination of unknown MACs: 4 or 16 octets; empty on a device that does not flood. */
  readonly group: Uint8Array;
  readonly learning: boolean;
  readonly proxy: boolean;
  readonly l2miss: boolean;
  readonly l3miss: boolean;
}

/** All links of the socket's namespace. @param few As in {@link Netlink.dump}. */
export function listLinks(netlink: Netlink, few?: boolean): Promise<Link[]> {
  return netlink.dump("list the links", question(0), () => [] as Link[], (links, view, from, to) => {
    if (to - from >= IFINFOMSG) links.push(readLink(view, from, to));
  }, few);
}

/** One link by index or name; undefined when there is none. */
export async function findLink(netlink: Netlink, link: number | string): Promise<Link | undefined> {
  let found: Link | undefined;
  const message = typeof link === "number" ? question(link) : question(0, link);
  try {
    await netlink.request(
      { what: `look for ${link}`, message },
      (view, from, to) => found = readLink(view, from, to),
    );
  } catch (error) {
    if (!(error instanceof SystemError && error.errno === ENODEV)) throw error;
  }
  return found;
}

/**
 * The number by which links of the socket's namespace refer to another one in {@link Link.peerNamespace}; undefined
 * when none ever did.
 */
export async function namespaceNumber(netlink: Netlink, namespace: number): Promise<number | undefined> {
  const message = encodeMessage(RTM_GETNSID, 0, new Uint8Array(RTGENMSG), [[NETNSA_FD, u32(namespace)]]);
  let number = -1;
  await netlink.request({ what: "look up a namespace", message }, (view, from, to) => {
    number = readAttributes(view, from + 4, to).get(NETNSA_NSID)?.getInt32(0, true) ?? -1;
  }, "here");
  return number < 0 ? undefined : number;
}

function question(index: number, name?: string): Uint8Array {
  const fixed = new Uint8Array(IFINFOMSG);
  fixed.set(u32(index), 4);
  return encodeMessage(RTM_GETLINK, 0, fixed, [
    [IFLA_EXT_MASK, u32(RTEXT_FILTER_SKIP_STATS)],
    name === undefined ? undefined : [IFLA_IFNAME, text(name)],
  ]);
}

/** Reads struct ifinfomsg {u8 family, pad, u16 type, i32 index, u32 flags, u32 change} and its attributes. */
function readLink(view: DataView, from: number, to: number): Link {
  const found = readAttributes(view, from + IFINFOMSG, to, READ);
  const number = (type: number) => found.get(type)?.getUint32(0, true);
  const flags = view.getUint32(from + 8, true);
  const info = readNested(found.get(IFLA_LINKINFO));
  const kind = readText(info.get(IFLA_INFO_KIND)), families = readNested(found.get(IFLA_AF_SPEC));
  const ipv4 = readNested(families.get(AF_INET)).get(IFLA_INET_CONF);
  const ipv6 = readNested(families.get(AF_INET6)).get(IFLA_INET6_CONF);
  return {
    index: view.getInt32(from + 4, true),
    name: readText(found.get(IFLA_IFNAME)),
    alias: readText(found.get(IFLA_IFALIAS)),
    kind,
    up: (flags & IFF_UP) !== 0,
    arp: (flags & IFF_NOARP) === 0,
    forwarding: settingOf(ipv4, IPV4_DEVCONF_FORWARDING - 1) !== 0,
    checksSources: settingOf(ipv4, IPV4_DEVCONF_RP_FILTER - 1) === 1,
    takesAdvertisements: settingOf(ipv6, IPV6_ACCEPT_RA) !== 0,
    carrier: (flags & IFF_LOWER_UP) !== 0,
    flags,
    mtu: number(IFLA_MTU) ?? 0,
    mac: readOctets(found.get(IFLA_ADDRESS)),
    master: number(IFLA_MASTER) ?? 0,
    port: readPort(info),
    peer: WITH_PEER.includes(kind) ? number(IFLA_LINK) ?? 0 : 0,
    peerNamespace: number(IFLA_LINK_NETNSID),
    vxlan: kind === "vxlan" ? readVxlan(readNested(info.get(IFLA_INFO_DATA))) : undefined,
  };
}

/** Reads one of a link's settings of a family from their array; IPv4's begins with the one numbered 1. */
function settingOf(values: DataView | undefined, position: number): number {
  const at = 4 * position;
  return values !== undefined && values.byteLength >= at + 4 ? values.getUint32(at, true) : 0;
}

function readVxlan(data: Map<number, DataView>): Vxlan {
  const on = (type: number) => data.get(type)?.getUint8(0) === 1;
  return {
    vni: data.get(IFLA_VXLAN_ID)?.getUint32(0, true) ?? 0,
    port: data.get(IFLA_VXLAN_PORT)?.getUint16(0) ?? 0,
    local: readOctets(data.get(IFLA_VXLAN_LOCAL) ?? data.get(IFLA_VXLAN_LOCAL6)),
    group: readOctets(data.get(IFLA_VXLAN_GROUP) ?? data.get(IFLA_VXLAN_GROUP6)),
    learning: on(IFLA_VXLAN_LEARNING),
    proxy: on(IFLA_VXLAN_PROXY),
    l2miss: on(IFLA_VXLAN_L2MISS),
    l3miss: on(IFLA_VXLAN_L3MISS),
  };
}
