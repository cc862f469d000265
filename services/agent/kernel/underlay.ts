/** Finds the VTEP's interface and its MTU from the host's addresses and routes, and a VTEP where none is configured. */
import { Netlink } from "../../../ffi/netlink.ts";
import {
  type KernelRoute,
  type LinkAddress,
  listAddresses,
  listMultipathRoutes,
  listRoutes,
  outgoingLink,
} from "../../../ffi/netlink_address.ts";
import { listLinks } from "../../../ffi/netlink_links.ts";
import { Ip } from "../../common/ip.ts";

const LOOPBACK = 127, IFF_LOOPBACK = 8;
/** The MTU where no route or interface tells one: that of Ethernet. */
const ETHERNET = 1500;

/** The interface and MTU that VXLAN packets are sent with. */
export interface Underlay {
  /** The interface that has the VTEP. */
  readonly name: string;
  readonly up: boolean;
  /** The largest packet that this host can send to its peers, in octets. */
  readonly mtu: number;
}

/**
 * Finds the underlay in this process's namespace; undefined when no interface has the VTEP's address.
 *
 * The MTU is the least one of the routes to the peers. Without peers it is the interface's, or the default route's
 * where the VTEP is on a loopback interface, over which nothing is sent.
 *
 * @param peers Other hosts' VTEPs.
 */
export async function underlayOf(vtep: Ip, peers: Iterable<Ip> = []): Promise<Underlay | undefined> {
  using netlink = new Netlink();
  const at = (await addresses4(netlink)).find(({ ip }) => ip.equals(vtep));
  const links = new Map((await listLinks(netlink)).map((link) => [link.index, link]));
  const link = at && links.get(at.link);
  if (!link) return undefined;
  const leaves = (index: number) => {
    const over = links.get(index);
    return over && !(over.flags & IFF_LOOPBACK) ? over.mtu : undefined;
  };
  let mtu = Infinity;
  for (const peer of peers) {
    if (peer.family !== 4) continue;
    const way = await outgoingLink(netlink, vtep.bytes, peer.bytes);
    mtu = Math.min(mtu, way && leaves(way.link) || Infinity, way?.mtu ?? Infinity);
  }
  if (mtu === Infinity) {
    const route = leaves(link.index) ? undefined : await defaultRoute(netlink);
    mtu = leaves(link.index) ?? (route && leaves(route.link)) ?? ETHERNET;
  }
  return { name: link.name, up: link.up, mtu };
}

/**
 * The names of the interfaces by which packets of other hosts may come: the VTEP's, and those by which any route of any table leads
 * to a peer, be it a standby or one of several at the same time, since peers may answer by another way than they are sent to by.
 * Default routes lead to every peer. Packets of an interface in a VRF come by the VRF's.
 *
 * @param vtepsInterface The name of the interface that has the VTEP.
 */
export async function interfacesTowards(peers: Iterable<Ip>, vtepsInterface: string): Promise<Set<string>> {
  using netlink = new Netlink();
  const links = new Map((await listLinks(netlink)).map((link) => [link.index, link]));
  const all = [...peers].filter(({ family }) => family === 4).map(({ u32 }) => u32);
  /** The peers' networks by the length of the prefix. */
  const networks = new Map<number, Set<number>>();
  const networkOf = (address: number, prefix: number) => prefix ? address >>> (32 - prefix) : 0;
  const found = new Set<number>();
  for (const { destination, prefix, links: its } of await listMultipathRoutes(netlink)) {
    let known = networks.get(prefix);
    if (!known) networks.set(prefix, known = new Set(all.map((peer) => networkOf(peer, prefix))));
    if (prefix === 0 || known.has(networkOf(new Ip(4, destination).u32, prefix))) {
      for (const index of its) found.add(index);
    }
  }
  const names = new Set([vtepsInterface]);
  for (const link of links.values()) {
    if (!found.has(link.index) && link.name !== vtepsInterface) continue;
    names.add(link.name);
    const master = links.get(link.master);
    if (master?.kind === "vrf") names.add(master.name);
  }
  return names;
}

/**
 * The VTEP where none is configured: the first address of the default route's interface, else the only IPv4 address
 * that is not loopback's; undefined when there is none or more than one.
 */
export async function defaultVtep(): Promise<Ip | undefined> {
  using netlink = new Netlink();
  const all = await candidates(netlink);
  return await routed(netlink, all) ?? (all.length === 1 ? all[0]?.ip : undefined);
}

/**
 * The address that a running agent may change to: `current` while the default route's interface has it, else that
 * interface's first IPv4 address; undefined when there is none. An address that remains on the host for a moment
 * while it is reconfigured, such as a container bridge's, is never chosen.
 */
export async function routedVtep(current: Ip): Promise<Ip | undefined> {
  using netlink = new Netlink();
  return await routed(netlink, await candidates(netlink), current);
}

async function routed(
  netlink: Netlink,
  all: Awaited<ReturnType<typeof candidates>>,
  current?: Ip,
): Promise<Ip | undefined> {
  const route = await defaultRoute(netlink), there = all.filter(({ link }) => link === route?.link);
  return (there.find(({ ip }) => current && ip.equals(current)) ?? there[0])?.ip;
}

async function candidates(netlink: Netlink) {
  return (await addresses4(netlink)).filter(({ ip }) => ip.bytes[0] !== LOOPBACK);
}

async function defaultRoute(netlink: Netlink): Promise<KernelRoute | undefined> {
  // The kernel lists its preferred default route first.
  return (await listRoutes(netlink)).find(({ prefix, destination }) =>
    prefix === 0 && destination.length === 4
  );
}

async function addresses4(netlink: Netlink): Promise<(LinkAddress & { readonly ip: Ip })[]> {
  const four = (await listAddresses(netlink)).filter(({ address }) => address.length === 4);
  return four.map((address) => ({ ...address, ip: new Ip(4, address.address) }));
}
