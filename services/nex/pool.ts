/** Finds free addresses in a network's range, and declined ones that are given out again where no other is left. */
import { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import { isHeldFor } from "./held.ts";
import type { AddressState } from "./lease_space.ts";
import { inRange, type Network } from "./network.ts";
import type { Draft } from "./steps.ts";

/**
 * The lowest address of the network's range that no member has and that is not the network's own (network, broadcast, gateway,
 * server); undefined when there is none.
 *
 * @param excluded Further addresses to pass over, as 32-bit values.
 * @param above Addresses below are passed over too.
 */
export function lowestFree(
  from: AddressState,
  network: Network,
  excluded?: { has(address: number): boolean },
  above = 0,
): number | undefined {
  const { range4 } = network;
  if (!range4) return undefined;
  const own = ownAddresses(network);
  const begin = Math.max(from.lowest(network), range4.begin, above);
  for (let address = begin; address <= range4.end; address++) {
    if (!from.taken(address) && !own.has(address) && !excluded?.has(address)) return address;
  }
  return undefined;
}

/** True when an address of the range may be given to a client. */
export function isFree(from: AddressState, network: Network, address: number): boolean {
  const { range4 } = network;
  return range4 !== undefined && address >= range4.begin && address <= range4.end && !from.taken(address) &&
    !ownAddresses(network).has(address);
}

/**
 * The address of the network's range that was declined longest ago and that no member has; undefined when there is none. It is used
 * where no other address is left.
 *
 * @param excluded Further addresses to pass over, as 32-bit values.
 */
export function oldestDeclined(
  from: AddressState,
  network: Network,
  excluded?: { has(address: number): boolean },
): number | undefined {
  let oldest: number | undefined, least = Infinity;
  for (const [text, { until, leased }] of from.withheld) {
    if (leased || until >= least) continue;
    const ip = Ip.tryParse(text);
    if (!ip || !isReusable(from, network, ip) || excluded?.has(ip.u32)) continue;
    [oldest, least] = [ip.u32, until];
  }
  return oldest;
}

/** True when a client may have an address that is held for it, or a declined one because the network has no other left. */
export function mayReuse(from: AddressState, network: Network, mac: string, address: Ip): boolean {
  const record = from.withheld.get(address.toString());
  if (!record || !isReusable(from, network, address)) return false;
  return record.leased
    ? isHeldFor(from, network, mac, address.toString())
    : lowestFree(from, network) === undefined;
}

/** The address of the network's range that is held for this client's lease. */
export function heldAddress(from: AddressState, network: Network, mac: string): Ip | undefined {
  for (const text of from.heldFor(mac)) {
    const ip = Ip.tryParse(text);
    if (ip && mayReuse(from, network, mac, ip)) return ip;
  }
  return undefined;
}

function isReusable(from: AddressState, network: Network, address: Ip): boolean {
  return inRange(network, address) && from.memberAt(address.toString()) === undefined &&
    !ownAddresses(network).has(address.u32);
}

/**
 * An address for a member: the one that its client still has a lease on, else the lowest free one; or a refusal that names the
 * network and its size.
 *
 * @param excluded Further addresses to pass over, as 32-bit values: the draft gives them to other members.
 */
export function giveAddress(
  draft: Draft,
  network: Network,
  mac: string,
  excluded?: { has(address: number): boolean },
): Ip {
  const held = heldAddress(draft, network, mac);
  if (held && !excluded?.has(held.u32)) return held;
  const address = lowestFree(draft, network, excluded) ?? oldestDeclined(draft, network, excluded);
  if (address === undefined) {
    const size = network.range4 ? network.range4.end - network.range4.begin + 1 : 0;
    throw new Refusal(
      "exhausted",
      `network ${network.name}: none of the ${size} addresses of its range is left for member ${mac}`,
    );
  }
  if (!draft.withheld.has(Ip.from4(address).toString())) draft.searched(network, address);
  return Ip.from4(address);
}

const ownOf = new WeakMap<Network, ReadonlySet<number>>();

function ownAddresses(network: Network): ReadonlySet<number> {
  let own = ownOf.get(network);
  if (!own) {
    const ips = [...network.gateways, ...network.nameservers, network.dhcp4server, network.siaddr];
    const numbers = ips.flatMap((ip) => ip?.family === 4 ? ip.u32 : []);
    if (network.subnet4 && network.subnet4.prefix < 31) {
      numbers.push(network.subnet4.first.u32, network.subnet4.last.u32);
    }
    ownOf.set(network, own = new Set(numbers));
  }
  return own;
}
