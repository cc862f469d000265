import { setChecksumOffload } from "../../../ffi/checksum_offload.ts";
import { Netlink } from "../../../ffi/netlink.ts";
import { listAddresses } from "../../../ffi/netlink_address.ts";
import { type Link, listLinks, namespaceNumber } from "../../../ffi/netlink_links.ts";
import { dumpNeighbours } from "../../../ffi/netlink_neigh.ts";
import { home } from "../../../ffi/netns.ts";
import { Cidr, Ip } from "../../common/ip.ts";
import { macFromBytes } from "../../common/mac.ts";
import {
  BRIDGE,
  type BridgeState,
  LEG,
  type NetworkState,
  type PeerState,
  type VethState,
  VXLAN,
  type VxlanState,
} from "../../overlay/state.ts";
import { hostEndOf, seeToHostEnd } from "./host_end.ts";
import { readLeg } from "./leg.ts";
import { OWN_NAMESPACE, Place } from "./place.ts";
import { type Pins, readPins, readProxy } from "./proxy.ts";
import { type Fdb, readArp, readFdb } from "./tables.ts";

/** What of the host a network's state depends on. */
export interface Underlay {
  /** Where the host's vxlan devices send from. */
  readonly vtep: Ip;
  /** False: checksums are made on this host. */
  readonly checksumOffload: boolean;
}

/** A network's state, with what the kernel would not let a forwarding table's entries be replaced by. */
export interface Found {
  readonly state: NetworkState;
  readonly irreplaceable: ReadonlySet<number>;
}

/** Veths by their names in the network's namespace → path of the namespace where the other end should be. */
export type Peers = ReadonlyMap<string, string>;

/** The names that SAND's agents give to veths. */
const vethName = /^sand[\da-f]{4}$/i;

/** All of a network's namespace. */
export async function readNetwork(
  place: Place,
  underlay: Underlay,
  peers: Peers,
  pins: Pins,
): Promise<Found> {
  const links = new Map((await listLinks(place.netlink)).map((link) => [link.name, link]));
  const bridge = links.get(BRIDGE), vxlan = links.get(VXLAN), leg = links.get(LEG);
  const veths = new Map<string, VethState>();
  const base = {
    loopbackUp: links.get("lo")?.up ?? false,
    bridge: bridge?.kind === "bridge" ? await bridgeState(place, bridge) : undefined,
    vxlan: vxlan && await vxlanState(place, vxlan, bridge, underlay),
    veths,
    ...leg && await legState(place, leg, bridge, underlay),
  };
  const pinned = await readPins(place, bridge, links.values(), pins);
  for (const link of links.values()) {
    if (!vethName.test(link.name) && !peers.has(link.name)) continue;
    veths.set(link.name, {
      ...await vethState(place, link, bridge, underlay, peers.get(link.name)),
      ...pinned.has(link.index) ? { pinned: pinned.get(link.index) } : {},
    });
  }
  if (!underlay.checksumOffload) {
    for (const name of [BRIDGE, VXLAN]) {
      withoutOffload(place, links.get(name));
    }
  }
  const proxy = bridge?.kind === "bridge" ? await readProxy(place, bridge, base.vxlan && vxlan) : undefined;
  const tables = await readTables(place, base.vxlan?.vni ? vxlan : undefined);
  return {
    state: { ...base, arp: tables.arp, fdb: tables.entries, flood: tables.flood, ...proxy && { proxy } },
    irreplaceable: tables.irreplaceable,
  };
}

/** One veth of it, whatever else is there. */
export async function readVeth(
  place: Place,
  underlay: Underlay,
  name: string,
  peer: string | undefined,
  mac: string | undefined,
): Promise<VethState | undefined> {
  // One that is about to be made is not there: that much is known at once.
  const link = place.has(name) ? await place.link(name) : undefined;
  if (!link) return undefined;
  const bridge = await place.link(BRIDGE);
  const [pinned] = mac ? [...(await readPins(place, bridge, [link], new Map([[name, mac]]))).values()] : [];
  return { ...await vethState(place, link, bridge, underlay, peer), ...pinned ? { pinned } : {} };
}

async function bridgeState(place: Place, { index, up, mtu }: Link): Promise<BridgeState> {
  return { up, mtu, addresses: await addressesOf(place, index) };
}

async function vxlanState(
  place: Place,
  link: Link,
  bridge: Link | undefined,
  { vtep }: Underlay,
): Promise<VxlanState> {
  const { vxlan, mtu, up } = link;
  const ours = vxlan && (vxlan.local.length === 0 || ipOf(vxlan.local).equals(vtep));
  return {
    // Of another kind, or sending from another address: nothing that can be made ours.
    vni: ours ? vxlan.vni : 0,
    port: vxlan?.port ?? 0,
    proxy: vxlan?.proxy ?? false,
    rootUnderlay: link.peerNamespace !== undefined &&
      link.peerNamespace === await namespaceNumber(place.netlink, home),
    learning: vxlan?.learning ?? false,
    mtu,
    inBridge: isPort(link, bridge),
    up,
  };
}

async function vethState(
  place: Place,
  link: Link,
  bridge: Link | undefined,
  underlay: Underlay,
  peer: string | undefined,
): Promise<VethState> {
  if (!underlay.checksumOffload) withoutOffload(place, link);
  const state = { mac: macFromBytes(link.mac), mtu: link.mtu, inBridge: isPort(link, bridge), up: link.up };
  if (link.kind === "veth") {
    return { ...state, peer: peer === undefined ? undefined : await peerState(place, link, underlay, peer) };
  }
  using host = Place.open(OWN_NAMESPACE);
  const end = await hostEndOf(place, link, host);
  if (!end) return { ...state, peer: undefined };
  await seeToHostEnd(host, end);
  if (!underlay.checksumOffload) withoutOffload(host, end);
  return {
    ...state,
    mtu: Math.min(link.mtu, end.mtu),
    up: link.up && end.up,
    hostEnd: end.name,
    peer: peer === undefined ? undefined : await peerState(host, end, underlay, peer),
  };
}

/** Undefined also for what is called like a leg and is none. */
async function legState(
  place: Place,
  link: Link,
  bridge: Link | undefined,
  { checksumOffload }: Underlay,
): Promise<Pick<NetworkState, "leg"> | undefined> {
  using host = Place.open(OWN_NAMESPACE);
  const leg = await leadsTo(place, link, host) ? await readLeg(place, link, bridge, host) : undefined;
  if (!leg) return undefined;
  if (!checksumOffload) {
    withoutOffload(place, link);
    setChecksumOffload(host.fd, leg.name, false);
  }
  return { leg };
}

async function peerState(
  place: Place,
  link: Link,
  underlay: Underlay,
  path: string,
): Promise<PeerState | undefined> {
  using target = Place.openOrNone(path);
  if (!target || !(await leadsTo(place, link, target))) return undefined;
  const peer = await target.link(link.peer);
  if (peer?.kind !== "veth") return undefined;
  if (!underlay.checksumOffload) withoutOffload(target, peer);
  return {
    netns: path,
    name: peer.name,
    mac: macFromBytes(peer.mac),
    addresses: await addressesOf(target, peer.index),
    mtu: peer.mtu,
    up: peer.up,
  };
}

async function leadsTo(place: Place, { peerNamespace }: Link, target: Place): Promise<boolean> {
  return peerNamespace === undefined
    ? target.identity === place.identity
    : peerNamespace === await namespaceNumber(place.netlink, target.fd);
}

async function readTables(
  place: Place,
  vxlan: Link | undefined,
): Promise<Fdb & { readonly arp: Map<number, number> }> {
  if (!vxlan) return { arp: new Map(), entries: new Map(), flood: new Set(), irreplaceable: new Set() };
  // At the same time, each through a socket: the kernel goes through an fdb from its start for every 400 entries.
  using other = new Netlink(place.fd);
  const [arp, fdb] = await Promise.all([
    dumpNeighbours(other, "arp", vxlan.index).then(readArp),
    dumpNeighbours(place.netlink, "fdb", vxlan.index).then(readFdb),
  ]);
  return { arp, ...fdb };
}

/** In CIDR form, without those that the kernel makes itself. */
async function addressesOf(place: Place, link: number): Promise<string[]> {
  const found = await listAddresses(place.netlink, link);
  return found.map(({ address, prefix }) => ({ ip: ipOf(address), prefix }))
    .filter(({ ip }) => !LINK_LOCAL.contains(ip)).map(({ ip, prefix }) => `${ip}/${prefix}`);
}

function ipOf(octets: Uint8Array): Ip {
  return new Ip(octets.length === 4 ? 4 : 6, octets);
}

/** RFC 4291 §2.5.6. */
const LINK_LOCAL = Cidr.parse("fe80::/10");

function isPort({ master }: Link, bridge: Link | undefined): boolean {
  return bridge?.kind === "bridge" && master === bridge.index;
}

/** Not a part of the state: seen to at every look, which changes nothing where it is so. */
function withoutOffload(place: Place, link: Link | undefined): void {
  if (link) setChecksumOffload(place.fd, link.name, false);
}
