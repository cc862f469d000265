/** The step that changes one membership: its record, and the claims on its addresses, its name and its network. */
import { Ip } from "../common/ip.ts";
import { keyOf, readKey } from "../store/keys.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import { type MemberRecord, writeRecord } from "../store/records.ts";
import type { Guard, Plan } from "../store/types.ts";
import { furtherId, type Member, readMember } from "./member.ts";
import { subnetFor } from "./network.ts";
import type { NexState } from "./nex_state.ts";

/**
 * The step that changes a membership of a MAC from `before`, as the state shows it (undefined: it is new), to `after` (undefined:
 * it ends).
 */
export function memberStep(
  from: NexState,
  mac: string,
  before: Member | undefined,
  after: MemberRecord | undefined,
): Plan {
  const member = memberAfter(from, mac, before, after), key = (before ?? member)?.key ?? keyOf.member(mac);
  const step = new PlanBuilder().guard(from.guard(key));
  if (after) step.put(key, writeRecord(after));
  else step.remove(key);
  // A membership of a network may be under either key, so both are guarded: no other one of this network is written.
  if (member?.net && member.net !== before?.net) {
    const places = [keyOf.member(mac), keyOf.furtherMember(member.net, mac)];
    step.guard(...places.map((place) => from.guard(place)));
  }
  const had = claims(before), wants = claims(member);
  for (const claim of had) {
    if (wants.includes(claim)) continue;
    const holder = from.claim(claim);
    // In a store of Nex's daemons, another member may have the claim.
    if (holder === undefined || holder === mac) step.remove(claim);
    else step.guard(from.guard(claim));
  }
  for (const claim of wants) {
    // Claimed already, unless one of Nex's daemons omitted the claim or gave it to another member.
    const holder = from.claim(claim);
    if (had.includes(claim) && from.guard(claim).modRevision && holder === mac) continue;
    step.guard(from.guard(claim)).put(claim, mac);
    if (holder !== undefined) step.guard(...unshownHolder(from, claim, holder));
  }
  if (before?.name && before.name !== member?.name) dropName(from, before, before.name, step);
  if (member?.name) claimName(from, before, member, member.name, step);
  const address = after?.ip4?.address;
  if (address && from.formerHolderOf(address)) step.remove(keyOf.former(address));
  if (address && address !== before?.ip4) {
    // Guarded also where the mirror shows no such key: a lease may have been given and its member deleted since, which leaves the
    // claim as it was, and the address held.
    step.guard(from.guard(keyOf.withheld(address)));
    // The member gets the address, so it is not held any more.
    if (from.withheld.has(address)) step.remove(keyOf.withheld(address));
  }
  // No member joins a network that is deleted or changed at the same time.
  if (after?.net) step.guard(from.guard(keyOf.network(after.net)));
  return step.plan();
}

/** The most networks of one domain that are guarded. Without a guard a claim on a name may be lost until the next lease. */
const MOST_NETWORKS = 16;

/**
 * Guards against a membership that agrees with a claim and that the mirror does not show yet: the watch delivers claims and records
 * under our keys one after the other, so a claim may be seen before the record that was written with it.
 *
 * @param mac The MAC that the claim's key holds
 */
export function unshownHolder(from: NexState, claim: string, mac: string): Guard[] {
  const value = readKey(claim)?.id.split("/", 1)[0] ?? "", ip = Ip.tryParse(value);
  const domain = value.includes(".") ? value.slice(value.indexOf(".") + 1) : "";
  const networks = [...from.networks()].filter((network) =>
    ip ? subnetFor(network, ip)?.contains(ip) : network.domain === domain
  );
  const further = networks.slice(0, MOST_NETWORKS).map(({ name }) => keyOf.furtherMember(name, mac));
  return [keyOf.member(mac), ...further].map((key) => from.guard(key));
}

/** The membership after the step: under its key, or, where it is new, under Nex's key unless another membership has that. */
export function memberAfter(
  from: NexState,
  mac: string,
  before: Member | undefined,
  after: MemberRecord | undefined,
): Member | undefined {
  if (!after) return undefined;
  if (before) return readMember(before.id, mac, { key: before.key, modRevision: 0 }, after);
  const isTaken = from.memberships(mac).some(({ id }) => id === mac);
  const [id, key] = isTaken && after.net
    ? [furtherId(after.net, mac), keyOf.furtherMember(after.net, mac)]
    : [mac, keyOf.member(mac)];
  return readMember(id, mac, { key, modRevision: 0 }, after);
}

/** The claims that belong to one membership alone. */
function claims(member: Member | undefined): string[] {
  if (!member) return [];
  const keys: string[] = [];
  if (member.ip4) keys.push(keyOf.claimIp(member.ip4));
  if (member.ip6) keys.push(keyOf.claimIp(member.ip6));
  // The network of a record under our key follows from the key.
  if (member.net && !member.dynamic && member.id === member.mac) {
    keys.push(keyOf.memberOf(member.net, member.mac));
  }
  return keys;
}

/** Removes the claim on a name, unless the MAC has the name in another network too: one claim is for all of its memberships. */
function dropName(from: NexState, before: Member, name: string, step: PlanBuilder): void {
  const { mac, id } = before;
  const other = from.memberships(mac).find((member) => member.id !== id && member.name === name);
  if (other) {
    step.guard(from.guard(other.key));
    return;
  }
  for (const claim of [keyOf.claimName(name), keyOf.furtherName(name, mac)]) {
    // Guarded also where it is not the MAC's, since the mirror may not show its claim yet.
    step.guard(from.guard(claim));
    if (from.claim(claim) === mac) step.remove(claim);
  }
  step.guard(...unshownHolder(from, keyOf.claimName(name), mac));
}

/** Claims a name for the MAC: under Nex's key, or under ours where another MAC has that one. */
function claimName(
  from: NexState,
  before: Member | undefined,
  { mac }: Member,
  name: string,
  step: PlanBuilder,
): void {
  const first = keyOf.claimName(name), further = keyOf.furtherName(name, mac);
  const held = [first, further].find((claim) => from.claim(claim) === mac);
  if (held && before?.name === name) return;
  const holder = from.claim(first);
  // A claim counts only if the holder's record agrees.
  const taken = holder !== undefined && from.membersNamed(name).some((member) => member.mac === holder);
  const claim = held ?? (taken ? further : first);
  // Written also where another membership of the MAC has claimed it, since that one may be losing the name at the same time.
  step.guard(from.guard(first), from.guard(further));
  if (!held && !taken && holder !== undefined) step.guard(...unshownHolder(from, first, holder));
  step.put(claim, mac);
}
