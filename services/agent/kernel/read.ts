/** Reads from the kernel the state of a network's namespace, in the form in which the desired state is computed. */
import { setChecksumOffload } from "../../../ffi/checksum_offload.ts";
import type { BridgeEntry } from "../../../ffi/netlink_bridge.ts";
import { listAddresses } from "../../../ffi/netlink_address.ts";
import { type Link, listLinks, namespaceNumber } from "../../../ffi/netlink_links.ts";
import { dumpArp, dumpPort } from "../../../ffi/netlink_neigh.ts";
import { home } from "../../../ffi/netns.ts";
import { Cidr, Ip } from "../../common/ip.ts";
import { macFromBytes } from "../../common/mac.ts";
import {
  BRIDGE,
  type BridgeState,
  type NetworkState,
  type PeerState,
  UPLINK,
  type VethState,
  VXLAN,
  type VxlanState,
} from "../../overlay/state.ts";
import { refuseAdvertisements } from "./containment.ts";
import { ensureHostEnd, hostEndOf } from "./host_end.ts";
import type { UnderlaySettings } from "./underlay_settings.ts";
import { readUplink } from "./uplink.ts";
import { NetworkNamespace, OWN_NAMESPACE } from "./network_namespace.ts";
import { type Pins, readPins, readProxy } from "./proxy.ts";
import { type FoundRules, type KnownRules, readRules } from "./read_rules.ts";
import { type Fdb, readArp, readFdb, readPermanent } from "./tables.ts";

/** A network's state, and the MACs whose FDB entries the kernel does not replace. */
export interface FoundNetwork {
  readonly state: NetworkState;
  readonly irreplaceable: ReadonlySet<number>;
  readonly rules: FoundRules;
  /** The names of the bridge's ports. */
  readonly ports: readonly string[];
}

/** Name of a veth's end in the network's namespace → path of the namespace where the other end should be. */
export type Peers = ReadonlyMap<string, string>;

/** Names of veths as SAND's agents and this one choose them. */
const vethName = /^sand[\da-f]{4}$/i;

/** Reads the state of a network's whole namespace. @param known As in {@link readRules}. */
export async function readNetwork(
  namespace: NetworkNamespace,
  underlay: UnderlaySettings,
  peers: Peers,
  pins: Pins,
  known: KnownRules | undefined,
): Promise<FoundNetwork> {
  const links = new Map((await listLinks(namespace.netlink, true)).map((link) => [link.name, link]));
  const bridge = links.get(BRIDGE), vxlan = links.get(VXLAN), uplink = links.get(UPLINK);
  const veths = new Map<string, VethState>();
  const base = {
    loopbackUp: links.get("lo")?.up ?? false,
    bridge: bridge?.kind === "bridge" ? await bridgeState(namespace, bridge) : undefined,
    vxlan: vxlan && await vxlanState(namespace, vxlan, bridge, underlay),
    veths,
    ...uplink && await uplinkState(namespace, uplink, bridge, underlay),
  };
  const pinned = await readPins(namespace, bridge, links.values(), pins);
  for (const link of links.values()) {
    if (!vethName.test(link.name) && !peers.has(link.name)) continue;
    veths.set(link.name, {
      ...await vethState(namespace, link, bridge, underlay, peers.get(link.name)),
      ...pinned.has(link.index) ? { pinned: pinned.get(link.index) } : {},
    });
  }
  if (!underlay.checksumOffload) {
    for (const name of [BRIDGE, VXLAN]) {
      withoutOffload(namespace, links.get(name));
    }
  }
  const answering = bridge?.kind === "bridge" ? bridge : undefined;
  const tables = await readTables(namespace, answering, base.vxlan?.vni ? vxlan : undefined);
  const proxy = answering && readProxy(answering, base.vxlan && vxlan, tables.ofBridge, tables.behind);
  // Looking through /proc would take as long as the rest of a comparison where there are a thousand namespaces.
  if (bridge?.takesAdvertisements) refuseAdvertisements(namespace.fd, "default", BRIDGE);
  const rules = await readRules(namespace, underlay, known);
  const { arp, entries: fdb, flood } = tables;
  return {
    state: { ...base, arp, fdb, flood, ...proxy && { proxy }, ...rules.state },
    irreplaceable: tables.irreplaceable,
    rules,
    ports: [...links.values()].flatMap((link) => isPort(link, bridge) ? link.name : []),
  };
}

/** Reads one veth, at a cost that does not depend on the rest of the namespace. */
export async function readVeth(
  namespace: NetworkNamespace,
  underlay: UnderlaySettings,
  name: string,
  peer: string | undefined,
  mac: string | undefined,
): Promise<VethState | undefined> {
  // For a veth that is about to be made, this answers at once.
  const link = namespace.has(name) ? await namespace.link(name) : undefined;
  if (!link) return undefined;
  const bridge = await namespace.link(BRIDGE);
  const pinned = (await readPins(namespace, bridge, [link], new Map(mac ? [[name, mac]] : []))).get(
    link.index,
  );
  return { ...await vethState(namespace, link, bridge, underlay, peer), ...pinned ? { pinned } : {} };
}

async function bridgeState(namespace: NetworkNamespace, { index, up, mtu }: Link): Promise<BridgeState> {
  return { up, mtu, addresses: await addressesOf(namespace, index) };
}

async function vxlanState(
  namespace: NetworkNamespace,
  link: Link,
  bridge: Link | undefined,
  { vtep }: UnderlaySettings,
): Promise<VxlanState> {
  const { vxlan, mtu, up } = link;
  const ours = vxlan && (vxlan.local.length === 0 || ipOf(vxlan.local).equals(vtep));
  return {
    // A device of another kind or with another source address cannot be changed into ours, so it is reported without
    // a VNI and will be replaced.
    vni: ours ? vxlan.vni : 0,
    port: vxlan?.port ?? 0,
    proxy: vxlan?.proxy ?? false,
    rootUnderlay: link.peerNamespace !== undefined &&
      link.peerNamespace === await namespaceNumber(namespace.netlink, home),
    learning: vxlan?.learning ?? false,
    mtu,
    inBridge: isPort(link, bridge),
    up,
  };
}

async function vethState(
  namespace: NetworkNamespace,
  link: Link,
  bridge: Link | undefined,
  underlay: UnderlaySettings,
  peer: string | undefined,
): Promise<VethState> {
  if (!underlay.checksumOffload) withoutOffload(namespace, link);
  const state = { mac: macFromBytes(link.mac), mtu: link.mtu, inBridge: isPort(link, bridge), up: link.up };
  if (link.kind === "veth") {
    return {
      ...state,
      peer: peer === undefined ? undefined : await peerState(namespace, link, underlay, peer),
    };
  }
  using host = NetworkNamespace.open(OWN_NAMESPACE);
  const end = await hostEndOf(namespace, link, host);
  if (!end) return { ...state, peer: undefined };
  await ensureHostEnd(host, end);
  if (!underlay.checksumOffload) withoutOffload(host, end);
  return {
    ...state,
    mtu: Math.min(link.mtu, end.mtu),
    up: link.up && end.up,
    hostEnd: end.name,
    peer: peer === undefined ? undefined : await peerState(host, end, underlay, peer),
  };
}

/** Undefined also for a link with the name of the uplink that is none. */
async function uplinkState(
  namespace: NetworkNamespace,
  link: Link,
  bridge: Link | undefined,
  { checksumOffload }: UnderlaySettings,
): Promise<Pick<NetworkState, "uplink"> | undefined> {
  using host = NetworkNamespace.open(OWN_NAMESPACE);
  const uplink = await leadsTo(namespace, link, host)
    ? await readUplink(namespace, link, bridge, host)
    : undefined;
  if (!uplink) return undefined;
  if (!checksumOffload) {
    withoutOffload(namespace, link);
    setChecksumOffload(host.fd, uplink.name, false);
  }
  return { uplink };
}

async function peerState(
  namespace: NetworkNamespace,
  link: Link,
  underlay: UnderlaySettings,
  path: string,
): Promise<PeerState | undefined> {
  using target = NetworkNamespace.openOrNone(path, namespace.isBrief);
  if (!target || !(await leadsTo(namespace, link, target))) return undefined;
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

async function leadsTo(
  namespace: NetworkNamespace,
  { peerNamespace }: Link,
  target: NetworkNamespace,
): Promise<boolean> {
  return peerNamespace === undefined
    ? target.identity === namespace.identity
    : peerNamespace === await namespaceNumber(namespace.netlink, target.fd);
}

/** The tables of vxlan0, and the ARP entries of br0. */
interface Tables extends Fdb {
  readonly arp: Map<number, number>;
  /** Address → MAC of br0's permanent entries. */
  readonly ofBridge: Map<number, number>;
  readonly behind: readonly BridgeEntry[];
}

async function readTables(
  namespace: NetworkNamespace,
  bridge: Link | undefined,
  vxlan: Link | undefined,
): Promise<Tables> {
  const none = {
    arp: new Map(),
    entries: new Map(),
    flood: new Set<number>(),
    irreplaceable: new Set<number>(),
  };
  // Both tables are read at the same time over two sockets: the kernel walks an FDB from its start for every 400 entries.
  using other = namespace.newNetlink();
  const [arp, port] = await Promise.all([
    dumpArp(other, [bridge, vxlan].flatMap((link) => link?.index ?? [])),
    vxlan && dumpPort(namespace.netlink, vxlan.index),
  ]);
  const ofBridge = bridge && arp.get(bridge.index), ofVxlan = vxlan && arp.get(vxlan.index);
  return {
    ...none,
    ...port && readFdb(port.fdb),
    ...ofVxlan && { arp: readArp(ofVxlan) },
    ofBridge: ofBridge ? readPermanent(ofBridge) : new Map(),
    behind: port?.behind ?? [],
  };
}

/** Addresses in CIDR form, without the link-local ones that the kernel adds. */
async function addressesOf(namespace: NetworkNamespace, link: number): Promise<string[]> {
  const found = await listAddresses(namespace.netlink, link);
  return found.map(({ address, prefix }) => ({ ip: ipOf(address), prefix }))
    .filter(({ ip }) => !LINK_LOCAL.contains(ip)).map(({ ip, prefix }) => `${ip}/${prefix}`);
}

function ipOf(octets: Uint8Array): Ip {
  return new Ip(octets.length === 4 ? 4 : 6, octets);
}

/** IPv6 link-local addresses (RFC 4291 §2.5.6). */
const LINK_LOCAL = Cidr.parse("fe80::/10");

function isPort({ master }: Link, bridge: Link | undefined): boolean {
  return bridge?.kind === "bridge" && master === bridge.index;
}

/** Offload is no part of the state: it is turned off at each comparison, which changes nothing where it is off. */
function withoutOffload(namespace: NetworkNamespace, link: Link | undefined): void {
  if (link) setChecksumOffload(namespace.fd, link.name, false);
}
