/** Which labels of a named network stand for which addresses; DNS and the commands that show names both use it. */
import { Ip } from "../common/ip.ts";
import type { OverlayEndpoint, Space } from "../overlay/space.ts";

/**
 * The addresses of a label, as 32-bit values; empty for one that nothing has.
 *
 * A reservation has its name before any endpoint. Of endpoints with one name the oldest has it; those that have the label as an
 * alias share it. A reservation that is shared is one of several machines.
 */
export function addressesOf(space: Space, label: string): number[] {
  const found = new Set<number>();
  let reserved = false, shared = true;
  for (const mac of space.reservationsNamed(label)) {
    const reservation = space.reservations.get(mac), ip = Ip.tryParse(reservation?.ip4 ?? "");
    reserved = true;
    if (!reservation?.shared) shared = false;
    if (ip) found.add(ip.u32);
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

/** The label that an address is called by, by its 32-bit value; undefined where it has none. */
export function nameAt(space: Space, address: number): string | undefined {
  const reserved = space.reservations.get(space.reservedAt(address) ?? "")?.name;
  if (reserved !== undefined) return reserved;
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
