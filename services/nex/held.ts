/**
 * Addresses whose lease outlives the membership, as when a member is deleted or given another address. They are held
 * for their client until the lease is over. In etcd they are under the same prefix as declined addresses.
 */
import { Ip } from "../common/ip.ts";
import { keyOf } from "../store/keys.ts";
import { type LeaseRecord, type WithheldRecord, writeRecord } from "../store/records.ts";
import type { Plan } from "../store/types.ts";
import type { Network } from "./network.ts";
import type { AddressState } from "./lease_space.ts";
import type { NexState } from "./nex_state.ts";

/**
 * For how long after its stored end a lease is still respected, in seconds. A client is given an end that is less
 * than a second after the stored one, and its address is free a second or more after that.
 */
export const GRACE_SECONDS = 2;

/** An address that is withheld from other clients, with its record. */
export interface WithheldEntry extends WithheldRecord {
  readonly address: string;
}

/** False once a lease that ends at `until` is over, with its grace. `now` in seconds since the epoch, rounded down. */
export function stillRuns(until: number, now: number): boolean {
  return until + GRACE_SECONDS > now;
}

/** True for an address that is held for this client's own lease in the network. */
export function isHeldFor(
  from: Pick<AddressState, "withheld">,
  network: Network,
  mac: string,
  address: string,
): boolean {
  const record = from.withheld.get(address);
  return record?.leased === true && record.mac === mac && record.net === network.name;
}

/** The addresses that are held for leases, of one network, lowest first. */
export function heldIn(from: Pick<NexState, "withheld">, network: string): WithheldEntry[] {
  return sorted([...from.withheld].filter(([, { net, leased }]) => leased && net === network));
}

/** Records with their addresses, by network, lowest address first. */
export function sorted(found: readonly (readonly [string, WithheldRecord])[]): WithheldEntry[] {
  return found.map(([address, record]) => ({ ...record, address }))
    .sort((a, b) => a.net < b.net ? -1 : a.net > b.net ? 1 : ip4Number(a.address) - ip4Number(b.address));
}

/** An IPv4 address as a 32-bit value; 0 for any other text. */
export function ip4Number(address: string): number {
  const ip = Ip.tryParse(address);
  return ip?.family === 4 ? ip.u32 : 0;
}

/** Plans that an address is withheld from other clients. */
export function withhold(from: Pick<NexState, "guard">, address: string, record: WithheldRecord): Plan {
  const key = keyOf.withheld(address);
  return { guards: [from.guard(key)], ops: [{ put: key, value: writeRecord(record) }] };
}

/** An address as it is given to a client: with the lease that the client still has on it, where it was held for that. */
export function leaseOn(
  from: Pick<AddressState, "withheld">,
  network: Network,
  mac: string,
  address: string,
): LeaseRecord {
  const until = isHeldFor(from, network, mac, address) && from.withheld.get(address)?.until;
  return { address, ...until ? { expires: { seconds: until } } : {} };
}
