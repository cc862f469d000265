import { keyOf } from "../store/keys.ts";
import { type MemberRecord, writeRecord } from "../store/records.ts";
import type { Member } from "./member.ts";
import { memberStep, unshownHolder } from "./member_step.ts";
import type { Step } from "./steps.ts";
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
 * - members of one name share it;
 * - of two records for one MAC in one network the one under Nex's key stays;
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
  for (const member of view.members()) {
    const first = view.member(member.mac, member.net);
    if (!first || first.id === member.id) continue;
    steps.push({ guards: [view.guard(member.key), view.guard(first.key)], ops: [{ remove: member.key }] });
  }
  // One record of each membership before anything is made of its record.
  if (steps.length) return steps.slice(0, limit);
  for (const member of view.members()) {
    if (steps.length >= limit) return steps;
    const network = view.networkOf(member);
    if (!network) continue;
    const record: MemberRecord = { ...member.record, mac: member.mac, net: network.name };
    if (member.dynamic) record.dynamic = true;
    if (record.name) record.name = record.name.toLowerCase();
    if (record.name && isNameOfOthers(view, member)) record.shared = true;
    const step = memberStep(view, member.mac, member, record);
    const claims = step.ops.filter((op) =>
      "put" in op && op.put !== member.key && holds(view, op.put, member.mac)
    );
    const asStored = Boolean(member.net) && record.name === member.record.name &&
      record.mac === member.record.mac && record.shared === member.record.shared;
    if (asStored && !claims.length) continue;
    // A claim on what another member holds by right is not taken from it.
    const ops = step.ops.filter((op) => !("put" in op) || op.put === member.key || claims.includes(op));
    steps.push({ ...step, ops });
  }
  for (const { key, record } of view.entries()) {
    if (steps.length >= limit) return steps;
    if (
      record.kind !== "claim-ip" && record.kind !== "claim-name" && record.kind !== "claim-ip6" &&
      record.kind !== "further-name" && record.kind !== "member-of"
    ) continue;
    const members = view.memberships(record.mac), keys = members.map((member) => member.key);
    if (!keys.length) keys.push(keyOf.member(record.mac));
    // Whether its member agrees cannot be known.
    if (keys.some((k) => view.unreadable(k))) continue;
    const agrees = members.some((member) => {
      switch (record.kind) {
        case "member-of":
          return member.net === record.network && member.id === record.mac &&
            key === keyOf.memberOf(record.network, record.mac);
        case "claim-name":
          return member.name !== undefined && key === keyOf.claimName(member.name);
        case "further-name":
          return member.name === record.name;
        default:
          return member.ip4 === record.id || member.ip6 === record.id;
      }
    });
    if (!agrees) {
      steps.push({
        guards: [view.guard(key), ...keys.map((k) => view.guard(k)), ...unshownHolder(view, key, record.mac)],
        ops: [{ remove: key }],
      });
    }
  }
  return steps.length ? steps : planMissingAddresses(view, limit);
}

/** True when nobody else's record has what the claim is for, so that a missing claim may be written. */
function holds(view: View, claim: string, mac: string): boolean {
  const value = claim.slice(claim.lastIndexOf("/") + 1);
  return claim !== keyOf.claimIp(value) || view.memberAt(value)?.mac === mac;
}

function isNameOfOthers(view: View, { mac, name = "" }: Member): boolean {
  return view.membersNamed(name).some((other) => other.mac !== mac && other.record.name);
}
