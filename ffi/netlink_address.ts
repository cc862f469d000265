/** Adds, deletes and lists addresses and routes by rtnetlink(7). */
import { EADDRNOTAVAIL, ESRCH, SystemError } from "./errno.ts";
import type { Netlink, Request } from "./netlink.ts";
import {
  type Attribute,
  encodeMessage,
  NLM_F_CREATE,
  NLM_F_EXCL,
  NLM_F_REPLACE,
  readAttributes,
  readOctets,
  u32,
} from "./netlink_message.ts";

const RTM_NEWADDR = 20,
  RTM_DELADDR = 21,
  RTM_GETADDR = 22,
  RTM_NEWROUTE = 24,
  RTM_DELROUTE = 25,
  RTM_GETROUTE = 26;
const AF_INET = 2, AF_INET6 = 10;
const IFADDRMSG = 8, IFA_ADDRESS = 1, IFA_LOCAL = 2, IFA_F_NODAD = 2;
const RTMSG = 12,
  RTA_DST = 1,
  RTA_SRC = 2,
  RTA_OIF = 4,
  RTA_GATEWAY = 5,
  RTA_PRIORITY = 6,
  RTA_METRICS = 8,
  RTA_MULTIPATH = 9,
  RTA_CACHEINFO = 12,
  RTA_TABLE = 15;
const RTM_F_FIB_MATCH = 0x2000;
const RTAX_MTU = 2, RTAX_ADVMSS = 8;
const RT_TABLE_MAIN = 254,
  RTPROT_UNSPEC = 0,
  RTPROT_STATIC = 4,
  RT_SCOPE_UNIVERSE = 0,
  RT_SCOPE_LINK = 253,
  RTN_UNICAST = 1;

/** An address with the prefix length of its subnet, on a link. */
export interface LinkAddress {
  /** The link's index. */
  readonly link: number;
  /** 4 or 16 octets. */
  readonly address: Uint8Array;
  readonly prefix: number;
}

/** A route: where packets to a prefix are sent. */
export interface KernelRoute {
  /** 4 or 16 octets, those of `0.0.0.0` or `::` for the default route. */
  readonly destination: Uint8Array;
  readonly prefix: number;
  /** The next hop; without one, the destination is on the link itself. */
  readonly gateway?: Uint8Array;
  /** The link's index. */
  readonly link: number;
  /** The metric: of several routes to one destination, the one with the lowest is used; 0 when it is not set. */
  readonly priority?: number;
  readonly mtu?: number;
  /** The largest TCP segment that is announced to the other side. */
  readonly advmss?: number;
}

/**
 * Adds an address to a link, unless it has it. IPv6 addresses are usable at once, without duplicate address
 * detection.
 */
export function addAddress({ link, address, prefix }: LinkAddress): Request {
  return {
    what: `add an address to interface ${link}`,
    message: encodeMessage(
      RTM_NEWADDR,
      NLM_F_CREATE | NLM_F_REPLACE,
      ifaddrmsg(link, address, prefix),
      [[IFA_LOCAL, address], [IFA_ADDRESS, address]],
    ),
  };
}

/** Deletes an address of a link, if it has it. */
export function deleteAddress({ link, address, prefix }: LinkAddress): Request {
  return {
    what: `take an address from interface ${link}`,
    message: encodeMessage(RTM_DELADDR, 0, ifaddrmsg(link, address, prefix), [[IFA_LOCAL, address]]),
    already: EADDRNOTAVAIL,
  };
}

/** Sets a route of the main table, replacing one to the same destination. */
export function setRoute(route: KernelRoute): Request {
  return {
    what: "set a route",
    message: encodeMessage(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, rtmsg(route), routeAttributes(route)),
  };
}

/** Adds a route; fails with EEXIST when there is one to the same destination with the same priority. */
export function addRoute(route: KernelRoute): Request {
  return {
    what: "add a route",
    message: encodeMessage(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, rtmsg(route), routeAttributes(route)),
  };
}

/** Deletes a route of any origin (rtm_protocol), if it exists. */
export function deleteRoute(route: KernelRoute): Request {
  return {
    what: "delete a route",
    message: encodeMessage(RTM_DELROUTE, 0, rtmsg(route, RTPROT_UNSPEC), routeAttributes(route)),
    already: ESRCH,
  };
}

/** Lists the addresses of the socket's namespace, of both families, optionally of one link only. */
export function listAddresses(netlink: Netlink, link = 0): Promise<LinkAddress[]> {
  const message = encodeMessage(RTM_GETADDR, 0, ifaddrmsg(link, new Uint8Array(), 0));
  return netlink.dump("list the addresses", message, () => [] as LinkAddress[], (list, view, from, to) => {
    if (to - from < IFADDRMSG) return;
    const found = readAttributes(view, from + IFADDRMSG, to);
    list.push({
      link: view.getUint32(from + 4, true),
      address: readOctets(found.get(IFA_LOCAL) ?? found.get(IFA_ADDRESS)),
      prefix: view.getUint8(from + 1),
    });
  }, link !== 0);
}

/**
 * Lists the unicast routes of the main table that lead over a single link, of both families; optionally over this
 * link only.
 */
export function listRoutes(netlink: Netlink, link?: number): Promise<KernelRoute[]> {
  const filter: Attribute[] = link === undefined ? [] : [[RTA_OIF, u32(link)]];
  return netlink.dump(
    "list the routes",
    encodeMessage(RTM_GETROUTE, 0, new Uint8Array(RTMSG), filter),
    () => [] as KernelRoute[],
    (list, view, from, to) => {
      if (to - from < RTMSG || view.getUint8(from + 7) !== RTN_UNICAST) return;
      const table = readAttributes(view, from + RTMSG, to).get(RTA_TABLE)?.getUint32(0, true);
      const route = table === RT_TABLE_MAIN ? readRoute(view, from, to) : undefined;
      if (route) list.push(route);
    },
  );
}

/** A route of any table with all links that it leads over. */
export interface MultipathRoute {
  /** 4 octets. */
  readonly destination: Uint8Array;
  readonly prefix: number;
  readonly links: readonly number[];
}

/** Lists the IPv4 unicast routes of all tables, those over several links included. */
export function listMultipathRoutes(netlink: Netlink): Promise<MultipathRoute[]> {
  const fixed = new Uint8Array(RTMSG);
  fixed[0] = AF_INET;
  const message = encodeMessage(RTM_GETROUTE, 0, fixed, []);
  return netlink.dump(
    "list the routes of all tables",
    message,
    () => [] as MultipathRoute[],
    (list, view, from, to) => {
      if (to - from < RTMSG || view.getUint8(from + 7) !== RTN_UNICAST) return;
      const found = readAttributes(view, from + RTMSG, to), destination = found.get(RTA_DST);
      const links: number[] = [],
        only = found.get(RTA_OIF)?.getUint32(0, true),
        several = found.get(RTA_MULTIPATH);
      if (only !== undefined) links.push(only);
      // struct rtnexthop {u16 length, u8 flags, u8 hops, i32 index}, each with attributes.
      for (let at = 0; several && at + 8 <= several.byteLength;) {
        links.push(several.getInt32(at + 4, true));
        at += Math.max(8, several.getUint16(at, true) + 3 & ~3);
      }
      list.push({
        destination: destination ? readOctets(destination) : new Uint8Array(4),
        prefix: view.getUint8(from + 1),
        links,
      });
    },
  );
}

/** The route by which the socket's namespace reaches an address. */
export interface RouteOnLink extends KernelRoute {
  /** True: the address is local to the namespace, or a broadcast address. */
  readonly own: boolean;
}

/** Looks up the route to an address of 4 or 16 octets; undefined when there is none. */
export async function findRoute(netlink: Netlink, address: Uint8Array): Promise<RouteOnLink | undefined> {
  const fixed = new Uint8Array(RTMSG), view = new DataView(fixed.buffer);
  fixed[0] = familyOf(address);
  fixed[1] = address.length * 8;
  view.setUint32(8, RTM_F_FIB_MATCH, true);
  const message = encodeMessage(RTM_GETROUTE, 0, fixed, [[RTA_DST, address]]);
  let way: RouteOnLink | undefined;
  try {
    await netlink.request({ what: "look for a route", message }, (view, from, to) => {
      const route = readRoute(view, from, to);
      if (route) way = { ...route, own: view.getUint8(from + 7) !== RTN_UNICAST };
    });
  } catch (error) {
    // ENETUNREACH, or what a blackhole, prohibit or unreachable route is set to answer.
    if (!(error instanceof SystemError)) throw error;
  }
  return way;
}

/**
 * The link by which packets from a local address to another address leave, and the MTU that the route sets, if any;
 * undefined when there is no route. Results of path MTU discovery, which expire, are ignored.
 */
export async function outgoingLink(
  netlink: Netlink,
  source: Uint8Array,
  destination: Uint8Array,
): Promise<{ readonly link: number; readonly mtu?: number } | undefined> {
  const fixed = new Uint8Array(RTMSG);
  fixed[0] = familyOf(destination);
  fixed[1] = destination.length * 8;
  fixed[2] = source.length * 8;
  const message = encodeMessage(RTM_GETROUTE, 0, fixed, [[RTA_DST, destination], [RTA_SRC, source]]);
  let found: { link: number; mtu?: number } | undefined;
  try {
    await netlink.request({ what: "look for a route", message }, (view, from, to) => {
      const attributes = readAttributes(view, from + RTMSG, to);
      const link = attributes.get(RTA_OIF)?.getUint32(0, true), metrics = attributes.get(RTA_METRICS);
      if (link === undefined) return;
      // struct rta_cacheinfo {u32 clntref, u32 lastuse, s32 expires, …}
      const passes = (attributes.get(RTA_CACHEINFO)?.getInt32(8, true) ?? 0) !== 0;
      const mtu = metrics && !passes
        ? readAttributes(metrics, 0, metrics.byteLength).get(RTAX_MTU)?.getUint32(0, true)
        : undefined;
      found = { link, ...mtu !== undefined && { mtu } };
    });
  } catch (error) {
    // ENETUNREACH, or EINVAL when the source is no address of this namespace.
    if (!(error instanceof SystemError)) throw error;
  }
  return found;
}

/** Reads struct rtmsg and its attributes; undefined for a route over no link, or over several. */
function readRoute(view: DataView, from: number, to: number): KernelRoute | undefined {
  const found = readAttributes(view, from + RTMSG, to);
  const link = found.get(RTA_OIF)?.getUint32(0, true), gateway = found.get(RTA_GATEWAY);
  if (link === undefined) return undefined;
  const destination = found.get(RTA_DST);
  return {
    destination: destination
      ? readOctets(destination)
      : new Uint8Array(view.getUint8(from) === AF_INET ? 4 : 16),
    prefix: view.getUint8(from + 1),
    ...(gateway && { gateway: readOctets(gateway) }),
    link,
  };
}

function familyOf(address: Uint8Array): number {
  return address.length === 4 ? AF_INET : address.length === 16 ? AF_INET6 : 0;
}

/** struct ifaddrmsg {u8 family, u8 prefix length, u8 flags, u8 scope, u32 index} */
function ifaddrmsg(link: number, address: Uint8Array, prefix: number): Uint8Array {
  const family = familyOf(address);
  return Uint8Array.of(family, prefix, family === AF_INET6 ? IFA_F_NODAD : 0, 0, ...u32(link));
}

/** struct rtmsg {u8 family, dst_len, src_len, tos, table, protocol, scope, type, u32 flags} */
function rtmsg({ destination, prefix, gateway }: KernelRoute, protocol = RTPROT_STATIC): Uint8Array {
  const scope = gateway || destination.length !== 4 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  const fixed = [familyOf(destination), prefix, 0, 0, RT_TABLE_MAIN, protocol, scope, RTN_UNICAST];
  return Uint8Array.of(...fixed, 0, 0, 0, 0);
}

function routeAttributes(
  { destination, prefix, gateway, link, priority, mtu, advmss }: KernelRoute,
): Attribute[] {
  const metrics: Attribute[] = [];
  if (mtu !== undefined) metrics.push([RTAX_MTU, u32(mtu)]);
  if (advmss !== undefined) metrics.push([RTAX_ADVMSS, u32(advmss)]);
  const attributes: Attribute[] = [[RTA_OIF, u32(link)]];
  if (prefix) attributes.push([RTA_DST, destination]);
  if (gateway) attributes.push([RTA_GATEWAY, gateway]);
  if (priority !== undefined) attributes.push([RTA_PRIORITY, u32(priority)]);
  if (metrics.length) attributes.push([RTA_METRICS, metrics]);
  return attributes;
}
