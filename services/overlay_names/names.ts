/** Maps the labels of a named network to addresses, for DNS and for the commands that show names. */
import { Ip } from "../common/ip.ts";
import { isOwnLabel } from "../overlay/own_labels.ts";
import { labelsOf, type Space } from "../overlay/space.ts";
import type { OverlayEndpoint } from "../overlay/overlay_endpoint.ts";
import { macNumber } from "../overlay/state.ts";
import type { EndpointRecord } from "../store/sand_records.ts";
import type { NetworkChange } from "../overlay/network_change.ts";

/**
 * The addresses of a label, as 32-bit values; empty for one that nothing has.
 *
 * A reservation has its name before any endpoint. Of endpoints with one name the oldest has it; those that have the label as an
 * alias share it. The gateway's own labels stand for no machine. A reservation that is shared is one of several machines; one
 * without an address stands for the endpoint with its MAC.
 */
export function addressesOf(space: Space, label: string): number[] {
  const found = new Set<number>();
  if (isOwnLabel(label)) return [];
  let reserved = false, shared = true;
  for (const mac of space.reservationsNamed(label)) {
    const reservation = space.reservations.get(mac), ip = Ip.tryParse(reservation?.ip4 ?? "");
    reserved = true;
    if (!reservation?.shared) shared = false;
    if (ip) found.add(ip.u32);
    else {
      for (const { hot } of space.holdersOfMac(macNumber(mac))) if (hot.address >= 0) found.add(hot.address);
    }
  }
  if (reserved && !shared) return [...found];
  let named = false;
  for (const endpoint of space.endpointsNamed(label)) {
    const isAlias = endpoint.record.strand_aliases?.includes(label) === true;
    const isName = ownName(space, endpoint) === label;
    if (endpoint.hot.address < 0 || !(isAlias || (isName && (!named || reserved)))) continue;
    if (isName) named = true;
    found.add(endpoint.hot.address);
  }
  return [...found];
}

/** The label that an endpoint would have: that of its MAC's reservation, or else its own. */
export function ownName(space: Space, { mac, record }: OverlayEndpoint): string | undefined {
  return (mac === undefined ? undefined : space.reservations.get(mac)?.name) ?? record.strand_name;
}

/** An endpoint's record with the label that it has by {@link ownName}. */
export function namedRecord(space: Space, endpoint: OverlayEndpoint): EndpointRecord {
  const name = ownName(space, endpoint), { record } = endpoint;
  return name === record.strand_name ? record : { ...record, strand_name: name };
}

/** The label that an address is called by, by its 32-bit value; undefined where it has none. */
export function nameAt(space: Space, address: number): string | undefined {
  const reserved = space.reservations.get(space.reservedAt(address) ?? "")?.name;
  if (reserved !== undefined) return isOwnLabel(reserved) ? undefined : reserved;
  const [endpoint] = space.holdersOf(address);
  const name = endpoint && ownName(space, endpoint);
  return name !== undefined && addressesOf(space, name).includes(address) ? name : undefined;
}

/** All labels with their addresses. */
export function namesOf(space: Space): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const label of new Set([...space.reservedNames(), ...space.endpointNames()])) {
    const addresses = addressesOf(space, label);
    if (addresses.length) found.set(label, addresses);
  }
  return found;
}

/** The labels whose addresses a change of the network may have changed; settings change none. */
export function labelsChanged(space: Space, { endpoints, labels }: NetworkChange): Set<string> {
  const changed = new Set(labels);
  for (const { before, after } of endpoints) {
    for (const endpoint of [before, after]) {
      if (!endpoint) continue;
      for (const label of labelsOf(endpoint)) changed.add(label);
      const reserved = space.reservations.get(endpoint.mac ?? "")?.name;
      if (reserved !== undefined) changed.add(reserved);
    }
  }
  return changed;
}
