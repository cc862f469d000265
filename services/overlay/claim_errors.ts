/** The refusals of an address that is taken, and of a network that has no address left. */
import type { Cidr, Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import type { NetworkRecord } from "../store/sand_records.ts";

/** The refusal of an address that another endpoint has. */
export function taken(network: NetworkRecord, address: Ip, holder: string): Refusal {
  return new Refusal("exists", `ipv4_address: ${address} of network ${network.name} belongs to ${holder}`);
}

/** The refusal of an endpoint in a network without a free address, with the number of addresses. */
export function exhausted(network: NetworkRecord, range: Cidr, gateway: Ip): Refusal {
  // No endpoint can have the network, broadcast or gateway address; in the narrowest ranges some of these coincide.
  const own = new Set(
    [range.first, range.last, gateway].filter((ip) => range.contains(ip)).map(String),
  );
  const size = Number(range.size) - own.size;
  const message = size > 0
    ? `network ${network.name}: none of the ${size} addresses of ${range} is left`
    : `network ${network.name}: its range ${range} has no address for an endpoint: give it one of a /30 or wider, ` +
      "in a new network";
  return new Refusal("exhausted", message);
}
