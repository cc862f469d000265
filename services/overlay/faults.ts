/**
 * Checks records that can be parsed but must not be applied. Other hosts and any etcd client can write them, so the
 * agent refuses in a record what its API refuses in a request. The kernel's state stays as it is then.
 */
import { Cidr } from "../common/ip.ts";
import type { NetworkRecord } from "../store/sand_records.ts";
import { gatewayOf, rangeOf } from "./claims.ts";
import { isPublic, unusableRange } from "./ranges.ts";
import { older } from "./holders.ts";
import type { OverlayEndpoint } from "./overlay_endpoint.ts";
import type { OverlayView } from "./view.ts";

/** The least MTU of a host: what every IPv4 host must accept (RFC 791 §3.2). */
export const LEAST_MTU = 576;

/** The widest range: the bit set of a wider one exceeds the 1.5 MiB of an etcd request. */
const WIDEST = 8;

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;

/** True for a valid network id, which becomes part of a path on every host that has the network. */
export function isNetworkId(id: string): boolean {
  return UUID.test(id);
}

/** The sentence for a record that is not applied. */
export function notCarriedOut(key: string, why: string): string {
  return `the record ${key} in etcd is not carried out: ${why}`;
}

/**
 * The oldest of a host's active endpoints that claims a veth name, by that name.
 * @param names The names to look up; without it, all.
 */
export function vethOwners(
  endpoints: Iterable<OverlayEndpoint>,
  names?: ReadonlySet<string>,
): Map<string, OverlayEndpoint> {
  const owners = new Map<string, OverlayEndpoint>();
  for (const endpoint of endpoints) {
    const name = endpoint.record.overlay_veth_name;
    if (names && !names.has(name)) continue;
    const other = owners.get(name);
    if (endpoint.active && name && (!other || older(endpoint, other) < 0)) owners.set(name, endpoint);
  }
  return owners;
}

/** Why no endpoint can be created in a network, as a sentence that names its record; undefined when one can. */
export function networkProblem(view: OverlayView, id: string): string | undefined {
  const network = view.network(id), fault = view.broken(id) ?? (network && networkFault(network));
  return fault === undefined ? undefined : notCarriedOut(view.keys.network(id), fault);
}

/** The reason not to set up an endpoint whose veth name belongs to an older one. */
export function vethTaken(name: string, older: OverlayEndpoint): string {
  return `overlay_veth_name: ${name} is that of endpoint ${older.id}, which is older`;
}

/** Why the record of a network is not applied, as part of a sentence; undefined when it is valid. */
export function networkFault({ id, vxlan_vni: vni, ip_range }: NetworkRecord): string | undefined {
  if (!isNetworkId(id)) return `id: "${id}" is not a UUID`;
  if (vni < 1) return `vxlan_vni: ${vni} is not a VNI from 1 to 16777215`;
  const prefix = Cidr.tryParse(ip_range)?.prefix ?? 0;
  if (prefix < WIDEST) return `ip_range: ${ip_range} is wider than a /${WIDEST}`;
  return undefined;
}

/** Why the record of an endpoint of this host is not applied, as part of a sentence; undefined when it is valid. */
export function localFault(
  { record, address, mac, hot }: OverlayEndpoint,
  network: NetworkRecord,
  view: OverlayView,
): string | undefined {
  const { overlay_veth_name: name, strand_host_veth: hostEnd } = record;
  if (hostEnd !== undefined && hostEnd !== hostVethName(name)) {
    return `strand_host_veth: ${hostEnd} is not ${hostVethName(name)}, the one that goes with ${name}`;
  }
  if (mac !== undefined && hot.mac < 0) return `target_veth_mac: ${mac} is not a MAC that a host can have`;
  if (!address) return undefined;
  const range = rangeOf(network);
  if (record.strand_host_route || hostEnd !== undefined) {
    const others = isPublic(range) ? "has public addresses" : unusableRange(range);
    const theirs = others ?? (view.hasVtep(address) ? `has ${address}, the VTEP of a host` : undefined);
    if (theirs !== undefined) {
      return `strand_host_route, strand_host_veth: ${range}: ${theirs}; this host has a way to others there`;
    }
  }
  if (!range.contains(address) || range.reserved(address) || address.equals(gatewayOf(network))) {
    return `target_veth_ip: no endpoint of ${range} can have ${address}`;
  }
  const { prefix } = Cidr.parse(record.target_veth_ip);
  if (prefix < range.prefix) {
    return `target_veth_ip: /${prefix} would have the container take more than ${range} for the network`;
  }
  return undefined;
}

/**
 * The name of a veth's end in the host's own namespace; it differs from the names of ends that Docker has yet to take
 * from there.
 */
export function hostVethName(overlayVethName: string): string {
  return overlayVethName.replace(/^sand/i, "sandc");
}

/** Invalid values in the hosts' records of a network, which are ignored; a sentence each. */
export function presenceProblems(view: OverlayView, network: string): string[] {
  const problems: string[] = [];
  const { hostsByMtu, refusedApplied } = view.space(network);
  for (const [mtu, hosts] of hostsByMtu) {
    for (const host of mtu < LEAST_MTU ? hosts : []) {
      const key = view.keys.networkHost(network, host);
      problems.push(`the record ${key} in etcd is not believed: mtu: ${mtu} is less than ${LEAST_MTU}`);
    }
  }
  for (const [host, revision] of refusedApplied) {
    const key = view.keys.applied(network, host);
    problems.push(
      `the record ${key} in etcd is not believed: revision: ${revision} was not there yet when it was written`,
    );
  }
  return problems;
}
