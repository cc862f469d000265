/** Addresses that a client found in use by another machine (DHCPDECLINE): put aside for a while, listed, given back. */
import { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import { keyOf } from "../store/keys.ts";
import { type DeclinedRecord, writeRecord } from "../store/records.ts";
import type { Member } from "./member.ts";
import { memberStep } from "./member_step.ts";
import { inRange, type Network } from "./network.ts";
import { findNetwork } from "./networks.ts";
import { type Draft, merge, type Step } from "./steps.ts";
import type { View } from "./view.ts";

/** For how long a declined address is not handed out, unless the pool runs out: a day, in seconds. */
export const DECLINED_SECONDS = 24 * 3600;
/** So many addresses one client may decline within so many seconds. */
const MOST_DECLINES = 8, WITHIN_SECONDS = 600;

/** An address in quarantine. */
export interface Declined extends DeclinedRecord {
  readonly address: string;
}

/** The addresses in quarantine, of one network or of all, lowest first. */
export function declinedIn(view: View, network?: string): Declined[] {
  const found = [...view.declined].filter(([, { net }]) => network === undefined || net === network);
  return found.map(([address, record]) => ({ ...record, address }))
    .sort((a, b) => a.net < b.net ? -1 : a.net > b.net ? 1 : numberOf(a.address) - numberOf(b.address));
}

function numberOf(address: string): number {
  const ip = Ip.tryParse(address);
  return ip?.family === 4 ? ip.u32 : 0;
}

/** False for a client that has declined many addresses within the last minutes: it is not taken at its word again. */
export function mayDecline(view: View, mac: string, now: number): boolean {
  const since = now - WITHIN_SECONDS + DECLINED_SECONDS;
  let count = 0;
  for (const declined of view.declined.values()) if (declined.mac === mac && declined.until > since) count++;
  return count < MOST_DECLINES;
}

/**
 * Plans the quarantine of an address that its client found in use: a dynamic client goes, and a member gets another
 * address of the range when it next asks. Static addresses are left alone.
 */
export function planDecline(view: View, network: Network, member: Member, now: number): Step | undefined {
  const address = member.ip4 ? Ip.tryParse(member.ip4) : undefined;
  if (!address || !inRange(network, address)) return undefined;
  const { hostname: _, ip4: __, ...rest } = member.record;
  const quarantine = writeRecord({ net: network.name, mac: member.mac, until: now + DECLINED_SECONDS });
  return merge([
    memberStep(view, member.mac, member, member.dynamic ? undefined : rest),
    { guards: [], ops: [{ put: keyOf.declined(address.toString()), value: quarantine }] },
  ]);
}

/**
 * Plans the early end of quarantines in a network.
 * @throws Refusal "not-found" for an address that is not in quarantine there
 */
export function deleteDeclined(draft: Draft, net: string, addresses: readonly string[]): void {
  const { name } = findNetwork(draft, net);
  for (const address of new Set(addresses.map((text) => Ip.parse(text, "address").toString()))) {
    const isThere = draft.declined.get(address)?.net === name;
    if (!draft.attempts.found(`declined ${address}`, isThere)) {
      throw new Refusal("not-found", `network ${name}: ${address} is not among its declined addresses`);
    }
    const key = keyOf.declined(address);
    if (isThere) draft.steps.push({ guards: [draft.guard(key)], ops: [{ remove: key }] });
  }
}
