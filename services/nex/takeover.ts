import { keyOf } from "../store/keys.ts";
import { type MemberRecord, writeRecord } from "../store/records.ts";
import { memberStep, type Step } from "./steps.ts";
import { planMissingAddresses } from "./sweep.ts";
import type { View } from "./view.ts";

/**
 * What it takes to make a store that the old daemons filled fully ours, up to `limit` steps; none when there is
 * nothing left to do. Such a store is served as it is meanwhile.
 *
 * - pool documents go: a claim on an address is its key;
 * - a MAC gets its one spelling, lower-case: of two records for one, the lower-case one stays;
 * - dynamic members get the network that their address is in;
 * - names get their one spelling, lower-case, and their claims with them;
 * - claims that their member does not agree with go, and those that are missing come;
 * - members of a range without an address get one.
 */
export function planTakeover(view: View, limit: number): Step[] {
  const steps: Step[] = [];
  for (const name of view.pools) {
    const key = keyOf.pool(name);
    steps.push({ guards: [view.guard(key)], ops: [{ remove: key }] });
  }
  for (const entry of view.entries()) {
    if (entry.record.kind !== "member" || entry.key === keyOf.member(entry.record.id)) continue;
    const key = keyOf.member(entry.record.id);
    const move = view.entry(key) ? [] : [{ put: key, value: writeRecord(entry.record.value) }];
    steps.push({ guards: [view.guard(entry.key), view.guard(key)], ops: [{ remove: entry.key }, ...move] });
  }
  // One spelling of each MAC before anything is made of its record.
  if (steps.length) return steps.slice(0, limit);
  for (const member of view.members()) {
    if (steps.length >= limit) return steps;
    const network = view.networkOf(member);
    if (!network) continue;
    const record: MemberRecord = { ...member.record, mac: member.mac, net: network.name };
    if (member.dynamic) record.dynamic = true;
    if (record.name) record.name = record.name.toLowerCase();
    const step = memberStep(view, member.mac, record);
    const claims = step.ops.filter((op) =>
      "put" in op && op.put !== member.key && holds(view, op.put, member.mac)
    );
    const asStored = Boolean(member.net) && record.name === member.record.name &&
      record.mac === member.record.mac;
    if (asStored && !claims.length) continue;
    // A claim on what another member holds by right is not taken from it.
    const ops = step.ops.filter((op) => !("put" in op) || op.put === member.key || claims.includes(op));
    steps.push({ ...step, ops });
  }
  for (const { key, record } of view.entries()) {
    if (steps.length >= limit) return steps;
    if (
      record.kind !== "claim-ip" && record.kind !== "claim-name" && record.kind !== "claim-ip6" &&
      record.kind !== "member-of"
    ) continue;
    const member = view.member(record.mac);
    // Whether its member agrees cannot be known.
    if (view.unreadable(member?.key ?? keyOf.member(record.mac))) continue;
    const agrees = record.kind === "member-of"
      ? member?.net === record.network && key === keyOf.memberOf(record.network, record.mac)
      : record.kind === "claim-name"
      ? member?.name !== undefined && key === keyOf.claimName(member.name)
      : member?.ip4 === record.id || member?.ip6 === record.id;
    if (!agrees) {
      steps.push({
        guards: [view.guard(key), view.guard(member?.key ?? keyOf.member(record.mac))],
        ops: [{ remove: key }],
      });
    }
  }
  return steps.length ? steps : planMissingAddresses(view, limit);
}

/** True when nobody else's record has what the claim is for, so that a missing claim may be written. */
function holds(view: View, claim: string, mac: string): boolean {
  const value = claim.slice(claim.lastIndexOf("/") + 1);
  if (claim.startsWith(keyOf.claimName(""))) return view.holderOfName(value) === mac;
  if (claim === keyOf.claimIp(value)) return view.holderOfAddress(value) === mac;
  return true;
}
