/**
 * Takes over a MAC's records from a store of both of Nex's layouts: one record of each network is kept, under the key that it is
 * to have. Decisions between records that differ are reported in sentences.
 */
import { isNexKey, keyOf } from "../store/keys.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import { type MemberRecord, writeRecord } from "../store/records.ts";
import { withhold } from "./held.ts";
import { byPrecedence, type Member } from "./member.ts";
import type { PlanStep } from "./steps.ts";
import type { NexView } from "./view.ts";

/** The records of a MAC in one network; the first one counts. */
interface Records {
  readonly net: string | undefined;
  readonly members: readonly [Member, ...Member[]];
}

/** MACs with a record under another key than it is to have, or with two records of one network. */
export function macsToSettle(view: NexView): Set<string> {
  const macs = new Set<string>();
  for (const member of view.members()) {
    const { id, mac, key } = member;
    const rivals = id === mac
      ? []
      : view.memberships(mac).filter((other) => view.netOf(other) === view.netOf(member));
    if (isNexKey(key) ? key !== keyOf.member(mac) : rivals.length > 1) macs.add(mac);
  }
  return macs;
}

/** Plans one step that moves a MAC's records to their keys, and joins the records of one network. */
export function planRecords(view: NexView, mac: string): PlanStep {
  const found = recordsOf(view, mac), home = homeOf(found, mac);
  const step = new PlanBuilder().guard(view.guard(keyOf.member(mac)), view.guard(keyOf.newerMember(mac)));
  for (const { members } of found) {
    for (const { key } of members) step.guard(view.guard(key)).remove(key);
  }
  for (const records of found) {
    const { net, members } = records, [first] = members;
    const key = records === home || net === undefined ? keyOf.member(mac) : keyOf.furtherMember(net, mac);
    if (members.length === 1 && key === first.key) {
      step.leave(key);
      continue;
    }
    const record = merged(view, records);
    step.guard(view.guard(key)).put(key, writeRecord(record));
    for (const held of addressesHeld(view, records, record)) step.add(held);
  }
  return step.plan();
}

/** A MAC's records by network; a record without a known network is added to those of another network, if there are any. */
function recordsOf(view: NexView, mac: string): Records[] {
  const groups = new Map<string | undefined, [Member, ...Member[]]>();
  for (const member of view.memberships(mac)) {
    const net = view.netOf(member), group = groups.get(net);
    if (group) group.push(member);
    else groups.set(net, [member]);
  }
  const lost = groups.get(undefined);
  if (lost && groups.size > 1) groups.delete(undefined);
  const found = [...groups].map(([net, members]): Records => ({ net, members: members.sort(byPrecedence) }));
  found.sort((a, b) => byPrecedence(a.members[0], b.members[0]));
  const [first, ...rest] = found;
  if (!first || !lost || first.net === undefined) return found;
  return [{ net: first.net, members: [...first.members, ...lost] }, ...rest];
}

/** Chooses the network whose record is under Nex's only key: the network whose record is there now, else the first. */
function homeOf(found: readonly Records[], mac: string): Records | undefined {
  return found.find(({ members }) => members.some(({ key }) => key === keyOf.member(mac))) ?? found[0];
}

/** The record that counts, with the fields that it lacks and another one has. */
function merged(view: NexView, { net, members }: Records): MemberRecord {
  const addressed = members.find(({ ip4 }) => ip4);
  const { dynamic: _, ...record }: MemberRecord = Object.assign(
    {},
    ...members.toReversed().map((member) => member.record),
    addressed && { ip4: addressed.record.ip4 },
    { mac: members[0].mac },
    net && { net },
  );
  return members.some((member) => view.isListed(member)) ? record : { ...record, dynamic: true };
}

/** An address that only a discarded record has is withheld from other clients until its lease ends. */
function addressesHeld(view: NexView, { net, members }: Records, record: MemberRecord): readonly PlanStep[] {
  return members.flatMap(({ id, mac, ip4, expires }): readonly PlanStep[] => {
    if (!net || !ip4 || !expires || ip4 === record.ip4?.address || view.memberAt(ip4)?.id !== id) return [];
    return view.withheld.has(ip4) ? [] : [withhold(view, ip4, { net, mac, until: expires, leased: true })];
  });
}

/** The decisions where records of a store contradict each other, a sentence each. */
export function conflicts(view: NexView): string[] {
  const told: string[] = [];
  for (const mac of macsToSettle(view)) {
    const found = recordsOf(view, mac);
    for (const { net, members: [first, ...others] } of found) {
      for (const other of others) {
        if (writeRecord(other.record) === writeRecord(first.record)) continue;
        const why = (first.expires ?? 0) > (other.expires ?? 0)
          ? "whose lease ends last"
          : first.key === keyOf.newerMember(mac)
          ? "of the newer layout"
          : "under the key of Nex's first layout";
        told.push(
          `${mac} of network ${
            net ?? "?"
          } has two records that differ, ${first.key} and ${other.key}: the one ${why} ` +
            `counts, ${first.key}, and what it lacks is taken from the other`,
        );
      }
    }
    if (found.length > 1) {
      const places = found.map(({ net, members: [{ key }] }) => `${net ?? "?"} (${key})`);
      told.push(`${mac} has records in several networks, ${places.join(" and ")}: it stays a member of each`);
    }
  }
  const seen = new Set<string>();
  for (const { ip4 } of view.members()) {
    if (!ip4 || seen.has(ip4)) continue;
    seen.add(ip4);
    const holder = view.memberAt(ip4);
    const others = new Set(view.membersAt(ip4).map(({ mac }) => mac).filter((mac) => mac !== holder?.mac));
    if (!holder || !others.size) continue;
    const why = holder.expires
      ? "whose lease ends last"
      : view.claim(keyOf.claimIp(ip4)) === holder.mac
      ? "which has claimed it"
      : "the first of them";
    told.push(
      `${ip4} is in the records of ${
        [holder.mac, ...others].join(" and ")
      }: it stays that of ${holder.mac}, ${why}`,
    );
  }
  return told;
}
