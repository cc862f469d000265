/** Plans that take over a store of Nex's daemons: its records, names and claims get the form that Strand's have. */
import { Ip } from "../common/ip.ts";
import { keyOf } from "../store/keys.ts";
import { type MemberRecord, writeRecord } from "../store/records.ts";
import type { Member } from "./member.ts";
import { memberStep, unshownHolder } from "./member_step.ts";
import { inRange, type Network } from "./network.ts";
import { Draft, type PlanStep } from "./steps.ts";
import { planMissingAddresses } from "./sweep.ts";
import { macsToSettle, planRecords } from "./takeover_records.ts";
import type { NexView } from "./view.ts";

/**
 * Plans the takeover of a store that Nex's daemons filled, in either layout or both, up to `limit` steps. There is no step when
 * nothing is left to do, and none while a key of Nex's is not understood. Meanwhile the store is served as it is.
 *
 * - pool documents are removed: a claim on an address is its key;
 * - records get the key of the first layout, with the MAC in lower case; one record of each membership is kept;
 * - networks get the canonical spelling of their fields;
 * - dynamic members get the network that contains their address;
 * - names, and the claims on them, get lower case;
 * - claims that their member does not agree with are removed, and missing ones are added;
 * - members of one name share it;
 * - of two members with one address, one keeps it, and in a range the other gets another one;
 * - members of a range without an address get one.
 *
 * The result does not depend on where an earlier attempt was interrupted: each kind of step is planned once all steps of the
 * kind before are done, in the order of MACs.
 */
export function planTakeover(view: NexView, limit: number): PlanStep[] {
  if (view.unreadable.misread) return [];
  const steps: PlanStep[] = [];
  for (const mac of [...macsToSettle(view)].sort().slice(0, limit)) steps.push(planRecords(view, mac));
  // Each membership has one record before that record is changed.
  if (steps.length) return steps;
  for (const plan of [planNetworks, planMembers, planClaims, planMissingAddresses]) {
    const steps = plan(view, limit);
    if (steps.length) return steps;
  }
  return [];
}

function planNetworks(view: NexView, limit: number): PlanStep[] {
  const steps: PlanStep[] = [];
  for (const { key, record } of view.entries()) {
    if (steps.length >= limit) break;
    if (record.kind !== "network" || !record.respelled) continue;
    steps.push({ guards: [view.guard(key)], ops: [{ put: key, value: writeRecord(record.value) }] });
  }
  return steps;
}

function planMembers(view: NexView, limit: number): PlanStep[] {
  // Each step sees those before it, so that members which share a name do not conflict on its claim.
  const draft = new Draft(view);
  const byMac = (a: Member, b: Member) => a.mac < b.mac ? -1 : a.mac > b.mac ? 1 : a.id < b.id ? -1 : 1;
  for (const member of [...view.members()].sort(byMac)) {
    if (draft.steps.length >= limit) break;
    const network = view.networkOf(member);
    if (!network) continue;
    const { mac, ip4, ip6 } = member, isTaken = isOthers(view, member, ip4);
    const record = recordOf(view, member, network);
    if (isTaken && ip4 && handsOut(network, ip4)) {
      delete record.ip4;
      draft.setMember(mac, member, record.dynamic ? undefined : record);
      continue;
    }
    const step = memberStep(draft, mac, member, record);
    // The claim of another member that keeps the address stays.
    const lost = [isTaken && ip4, isOthers(view, member, ip6) && ip6].flatMap((a) =>
      a ? keyOf.claimIp(a) : []
    );
    const ops = step.ops.filter((op) => !("put" in op && lost.includes(op.put)));
    if (ops.length === 1 && isAsStored(member.record, record)) continue;
    if (lost.length) draft.steps.push({ ...step, ops });
    else draft.setMember(mac, member, record);
  }
  return draft.steps;
}

/** A member's record after the takeover. */
function recordOf(view: NexView, member: Member, network: Network): MemberRecord {
  const { mac } = member;
  const record: MemberRecord = { ...member.record, mac, net: network.name };
  if (!view.isListed(member)) record.dynamic = true;
  if (record.name) record.name = record.name.toLowerCase();
  if (record.name && isNameOfOthers(view, member)) record.shared = true;
  return record;
}

function isAsStored(stored: MemberRecord, record: MemberRecord): boolean {
  return (["mac", "net", "name", "dynamic", "shared"] as const).every((field) =>
    record[field] === stored[field]
  );
}

function isOthers(view: NexView, member: Member, address: string | undefined): boolean {
  return address !== undefined && view.memberAt(address)?.mac !== member.mac;
}

function handsOut(network: Network, address: string): boolean {
  const ip = Ip.tryParse(address);
  return ip !== undefined && inRange(network, ip);
}

function isNameOfOthers(view: NexView, { mac, name = "" }: Member): boolean {
  return view.membersNamed(name).some((other) => other.mac !== mac && other.record.name);
}

/** Plans the removal of claims that their member does not agree with, and of keys outside our layout. */
function planClaims(view: NexView, limit: number): PlanStep[] {
  const steps: PlanStep[] = [];
  for (const { key, record } of view.entries()) {
    if (steps.length >= limit) break;
    if (record.kind === "pool") {
      steps.push({ guards: [view.guard(key)], ops: [{ remove: key }] });
      continue;
    }
    if (
      record.kind !== "claim-ip" && record.kind !== "claim-name" && record.kind !== "claim-ip6" &&
      record.kind !== "further-name" && record.kind !== "member-of" && record.kind !== "newer-name"
    ) continue;
    const { mac } = record, members = view.memberships(mac);
    // If a record of the MAC cannot be read, it is not known whether it agrees with the claim.
    if (view.unreadable.hasKeyOf(mac)) continue;
    const agrees = members.some((member) => {
      switch (record.kind) {
        case "member-of":
          return member.net === record.network && member.id === mac &&
            key === keyOf.memberOf(record.network, mac);
        case "claim-name":
          return member.name !== undefined && key === keyOf.claimName(member.name);
        case "further-name":
          return member.name === record.name;
        case "newer-name":
          return false;
        default:
          return member.ip4 === record.id || member.ip6 === record.id;
      }
    });
    if (agrees) continue;
    // The guards include the keys under which a record may be written meanwhile.
    const keys = new Set([
      key,
      keyOf.member(mac),
      keyOf.newerMember(mac),
      ...members.map((member) => member.key),
    ]);
    const unshown = record.kind === "newer-name" ? [] : unshownHolder(view, key, mac);
    steps.push({ guards: [...[...keys].map((k) => view.guard(k)), ...unshown], ops: [{ remove: key }] });
  }
  return steps;
}
