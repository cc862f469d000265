/** Computes from etcd's records the kernel state that a network should have on a host. */
import { Cidr } from "../common/ip.ts";
import { tryParseMac } from "../common/mac.ts";
import type { NetworkRecord } from "../store/sand_records.ts";
import { floodOf, isBroadcast } from "./broadcast.ts";
import { gatewayOf } from "./claims.ts";
import { ownOf, ownOfDevice, rulesOf } from "./containment.ts";
import { LEAST_MTU, localFault, notCarriedOut, vethTaken } from "./faults.ts";
import { NetworkNeighbours } from "./neighbours.ts";
import { BRIDGE_MAC, isCrowded } from "./proxy.ts";
import { older } from "./holders.ts";
import type { OverlayEndpoint } from "./overlay_endpoint.ts";
import { type NetworkState, type PeerState, uplinkName, type VethState, VXLAN_PORT } from "./state.ts";
import type { OverlayView } from "./view.ts";

/** The octets that VXLAN adds to a frame: Ethernet 14, IPv4 20, UDP 8, VXLAN 8 (RFC 7348 §5). */
const VXLAN_OVERHEAD = 50;

/** The MTU that SAND's agents set for every network. */
export const OLD_MTU = 1450;

export interface DesiredOptions {
  readonly hostname: string;
  /** The MTU of the path to the other hosts. */
  readonly underlayMtu: number;
  /** The host's VTEP, as 32 bits: no endpoint of another host can be behind it. */
  readonly vtep?: number | undefined;
  /** The current MTU of the network's vxlan0 on this host; undefined when there is none. */
  readonly currentMtu?: number | undefined;
  /** True when br0 already answers ARP for the endpoints. */
  readonly proxied?: boolean | undefined;
  /** Devices of the host that are ports of the network, or are to be. */
  readonly devices?: readonly string[] | undefined;
  /** True when frames from ports can be checked. */
  readonly contains?: boolean | undefined;
  /** How many frames a second a port may send to all hosts; undefined where that cannot be limited, so that it may send none. */
  readonly broadcast?: number | undefined;
  /** The address on the host of what leaves the network; undefined where its machines reach nothing beyond it. */
  readonly transfer?: string | undefined;
}

export interface Desired {
  /** Undefined: this host has neither an endpoint nor a port of the network, so nothing should exist. */
  readonly state: NetworkState | undefined;
  /** Why parts of the store's records are not applied, a sentence each. */
  readonly problems: readonly string[];
}

/**
 * Computes the kernel state of a network on a host: the whole network if the host has an endpoint or a port of it,
 * nothing otherwise.
 */
export function desiredState(view: OverlayView, networkId: string, options: DesiredOptions): Desired {
  const network = view.network(networkId), { endpoints } = view.space(networkId);
  const problems: string[] = [];
  const { devices = [] } = options, own = new Set(devices.flatMap(ownOfDevice));
  let here = devices.length > 0;
  const arp = new Map<number, number>(),
    fdb = new Map<number, number>(),
    veths = new Map<string, VethState>(),
    routes = new Set<string>(),
    owners = new Map<string, OverlayEndpoint>();
  if (!network) return { state: undefined, problems };
  const mtu = mtuOf(view, networkId, options);
  const proxied = isProxied(view, networkId, options);
  const neighbours = new NetworkNeighbours(view, networkId, options.hostname, proxied, options.vtep);
  const closed = options.broadcast !== undefined && isBroadcast(view, networkId);
  const answered = new Map(proxied ? [[gatewayOf(network).u32, BRIDGE_MAC]] : []);
  const proxy = { port: proxied, arp: answered, fdb: new Set<number>(), ...closed && { closed } };
  for (const endpoint of endpoints.values()) {
    const answer = neighbours.answerOf(endpoint);
    if (answer) proxy.arp.set(answer.address, answer.mac);
    const entry = neighbours.entryOf(endpoint);
    if (entry) {
      arp.set(entry.address, entry.mac);
      fdb.set(entry.mac, entry.vtep);
      proxy.fdb.add(entry.mac);
      continue;
    }
    const problem = neighbours.problem(endpoint);
    if (problem) problems.push(`network ${network.name}: ${problem}`);
    if (endpoint.host !== options.hostname) continue;
    here = true;
    const { overlay_veth_name: name } = endpoint.record;
    if (name === "") { for (const element of ownOf(endpoint)) own.add(element); }
    // The veth of a refused endpoint is neither created nor removed.
    if (!endpoint.active || name === "" || localFault(endpoint, network, view) !== undefined) continue;
    const other = owners.get(name);
    if (other) problems.push(twice(view, network, name, endpoint, other));
    if (other && older(other, endpoint) < 0) continue;
    owners.set(name, endpoint);
    veths.set(name, desiredVeth(endpoint, mtu, neighbours));
    const route = hostRouteOf(endpoint);
    if (route !== undefined) routes.add(route);
  }
  for (const { address, mac, vtep } of neighbours.held()) {
    arp.set(address, mac);
    // A MAC of an endpoint's own stays where that endpoint is.
    if (!fdb.has(mac)) fdb.set(mac, vtep);
  }
  for (const { address, mac } of view.space(networkId).allowed.reachable()) proxy.arp.set(address, mac);
  const { transfer } = options, leaves = transfer === undefined ? {} : { transfer };
  const uplink = routes.size || transfer !== undefined
    ? { uplink: { name: uplinkName(networkId), mtu, sound: true, routes, ...leaves } }
    : {};
  const rules = options.contains ? rulesOf(view.space(networkId)) : undefined;
  for (const endpoint of owners.values()) for (const element of ownOf(endpoint)) own.add(element);
  const parts = {
    veths,
    arp,
    fdb,
    ...uplink,
    ...proxied || closed ? { proxy } : {},
    ...closed ? { broadcast: options.broadcast } : {},
    ...transfer === undefined ? {} : { egress: routes.size ? "routed" as const : "closed" as const },
    ...rules ? { containment: { rules, own } } : {},
  };
  return here
    ? {
      state: stateOf(network, mtu, portOf(view, network, options.hostname), {
        ...parts,
        flood: closed ? floodOf(view, networkId, options.vtep) : new Set(),
      }),
      problems,
    }
    : { state: undefined, problems: [] };
}

function twice(
  view: OverlayView,
  { name: network }: NetworkRecord,
  name: string,
  a: OverlayEndpoint,
  b: OverlayEndpoint,
): string {
  const [first, second] = older(a, b) < 0 ? [a, b] : [b, a];
  const key = view.keys.hostEndpoint(second.host, second.id);
  return `network ${network}: ${notCarriedOut(key, vethTaken(name, first))}`;
}

/**
 * The network's MTU, which must be the same on all hosts: the least that one of them can have, or 1450 while a host
 * with a SAND agent, which knows no other, has the network.
 */
export function mtuOf(view: OverlayView, network: string, options: DesiredOptions): number {
  const space = view.space(network), { hostname } = options;
  let mtu = mtuHere(options);
  for (const [its, hosts] of space.hostsByMtu) {
    if (its >= LEAST_MTU && hosts.size > (hosts.has(hostname) ? 1 : 0)) mtu = Math.min(mtu, its);
  }
  return space.hasOldHostBeside(hostname) ? Math.min(mtu, OLD_MTU) : mtu;
}

/**
 * The UDP port of the network's VXLAN packets: the one that the network was created with, or SAND's while a host with
 * a SAND agent, which knows no other, has the network.
 */
export function portOf(
  view: OverlayView,
  { id, strand_vxlan_port: port = VXLAN_PORT }: NetworkRecord,
  hostname: string,
): number {
  if (port === VXLAN_PORT) return port;
  return view.space(id).hasOldHostBeside(hostname) ? VXLAN_PORT : port;
}

/**
 * The largest MTU that the network can have on this host: the underlay's less VXLAN's overhead, or 1450 where a SAND
 * agent created the device.
 */
export function mtuHere({ underlayMtu, currentMtu }: DesiredOptions): number {
  return currentMtu === OLD_MTU
    ? Math.min(OLD_MTU, underlayMtu - VXLAN_OVERHEAD)
    : underlayMtu - VXLAN_OVERHEAD;
}

/** True when this host's br0 should answer ARP for the network's endpoints. */
export function isProxied(
  view: OverlayView,
  network: string,
  { hostname, proxied = false }: DesiredOptions,
): boolean {
  return isCrowded(view.space(network).endpointsOn(hostname).size, proxied);
}

/** The kernel state of an active endpoint of this host. */
export function desiredVeth(
  endpoint: OverlayEndpoint,
  mtu: number,
  neighbours: NetworkNeighbours,
): VethState {
  const { overlay_veth_mac, strand_host_veth: hostEnd } = endpoint.record;
  const mac = tryParseMac(overlay_veth_mac);
  return {
    ...mac === undefined ? {} : { mac },
    mtu,
    inBridge: true,
    up: true,
    ...hostEnd === undefined ? {} : { hostEnd },
    ...neighbours.answerOf(endpoint) ? { pinned: endpoint.mac } : {},
    peer: peerOf(endpoint, mtu),
  };
}

/** The address to which the host gets a route for the endpoint; undefined: no route. */
export function hostRouteOf(endpoint: OverlayEndpoint | undefined): string | undefined {
  if (!endpoint?.active || !endpoint.record.strand_host_route) return undefined;
  return endpoint.address?.toString();
}

/**
 * The other end of an endpoint's veth; undefined where Docker moves it, or where the record has no namespace, as
 * those of SAND's Docker endpoints.
 */
function peerOf({ record, address, mac }: OverlayEndpoint, mtu: number): PeerState | undefined {
  if (record.target_netns_path === "" || record.strand_docker) return undefined;
  return {
    netns: record.target_netns_path,
    name: record.target_veth_name,
    mac: mac ?? "",
    addresses: address ? [canonical(record.target_veth_ip)] : [],
    ...record.strand_routes ? { routes: record.strand_routes } : {},
    mtu,
    up: true,
  };
}

/** Returns the address as the kernel writes it: a record may have it as 10.0.0.2/024. */
function canonical(cidr: string): string {
  return Cidr.parse(cidr).toString();
}

function stateOf(
  network: NetworkRecord,
  mtu: number,
  port: number,
  tables: Pick<
    NetworkState,
    "veths" | "arp" | "fdb" | "uplink" | "flood" | "proxy" | "containment" | "egress" | "broadcast"
  >,
): NetworkState {
  return {
    loopbackUp: true,
    bridge: { up: true, mtu, addresses: [canonical(network.gateway)] },
    vxlan: {
      vni: network.vxlan_vni,
      port,
      proxy: true,
      rootUnderlay: true,
      // With learning enabled, the kernel drops inbound frames for a static entry that has moved.
      learning: false,
      mtu,
      inBridge: true,
      up: true,
    },
    ...tables,
  };
}
