/**
 * Plans the quarantine of addresses that a client found in use by another machine (DHCPDECLINE), and its early end.
 * It lasts a day.
 */
import { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import { merge } from "../store/plan_builder.ts";
import { sorted, type WithheldEntry } from "./held.ts";
import type { LeaseSpace } from "./lease_space.ts";
import type { Member } from "./member.ts";
import type { Network } from "./network.ts";
import { findNetwork } from "./networks.ts";
import type { Draft, PlanStep } from "./steps.ts";
import type { NexView } from "./view.ts";

/** For how long a declined address is not handed out, unless the pool runs out: a day, in seconds. */
export const DECLINED_SECONDS = 24 * 3600;
/** The most addresses that one client may decline, and within how many seconds. */
const MOST_DECLINES = 8, WITHIN_SECONDS = 600;
/** The part of a network's range that may be in quarantine at a time: a quarter, or {@link MOST_DECLINES}, if that is more. */
const SHARE = 4;

/** The addresses in quarantine, of one network or of all, lowest first. */
export function declinedIn(view: NexView, network?: string): WithheldEntry[] {
  return sorted(
    [...view.withheld].filter(([, { net, leased }]) => !leased && (network === undefined || net === network)),
  );
}

/**
 * False for a client that has declined many addresses within the last minutes: its next DECLINE is ignored. So is one that comes by
 * a relay's circuit which has as many in quarantine, since the machine behind it may have as many MACs as it likes.
 */
export function mayDecline(view: LeaseSpace, mac: string, now: number, circuit?: string): boolean {
  const since = now - WITHIN_SECONDS + DECLINED_SECONDS;
  let count = 0, ofCircuit = 0;
  for (const { mac: whose, until, leased, circuit: its } of view.withheld.values()) {
    if (leased) continue;
    if (whose === mac && until > since) count++;
    if (circuit !== undefined && its === circuit && until > now) ofCircuit++;
  }
  return count < MOST_DECLINES && ofCircuit < MOST_DECLINES;
}

/** The address that is free again when one more of the network is declined: that one which was longest ago, beyond its share. */
function beyondShare(view: LeaseSpace, { name, range4 }: Network, declined: string): string | undefined {
  if (!range4) return undefined;
  const most = Math.max(MOST_DECLINES, Math.floor((range4.end - range4.begin + 1) / SHARE));
  let count = 0, oldest: string | undefined, least = Infinity;
  for (const [address, { net, leased, until }] of view.withheld) {
    if (net !== name || leased || address === declined) continue;
    count++;
    if (until < least) [oldest, least] = [address, until];
  }
  return count >= most ? oldest : undefined;
}

/**
 * Plans the quarantine of an address that its client found in use: a dynamic member is removed, and a listed one gets another
 * address of the range with its next request. Static addresses stay as they are.
 * @param circuit By which relay's circuit the client said so, where that is known.
 */
export function planDecline(
  view: LeaseSpace,
  network: Network,
  member: Member,
  now: number,
  circuit?: string,
): PlanStep | undefined {
  const address = member.ip4;
  if (!address || !view.mayQuarantine(network, member)) return undefined;
  const { hostname: _, ip4: __, ...rest } = member.record;
  const change = view.planChange({
    mac: member.mac,
    before: member,
    after: member.dynamic ? undefined : rest,
    declined: { address, until: now + DECLINED_SECONDS, circuit },
  });
  const freed = beyondShare(view, network, address);
  return freed === undefined ? change : merge([change, view.planFree(freed)]);
}

/**
 * Plans the early end of quarantines in a network.
 * @throws Refusal "not-found" for an address that is not in quarantine there
 */
export function deleteDeclined(draft: Draft, net: string, addresses: readonly string[]): void {
  const { name } = findNetwork(draft, net);
  for (const address of new Set(addresses.map((text) => Ip.parse(text, "address").toString()))) {
    const record = draft.withheld.get(address), isThere = record?.net === name && !record.leased;
    if (!draft.attempts.found(`declined ${address}`, isThere)) {
      throw new Refusal("not-found", `network ${name}: ${address} is not among its declined addresses`);
    }
    if (isThere) draft.release(address);
  }
}
