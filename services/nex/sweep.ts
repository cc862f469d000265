/**
 * Plans of the background work: they end expired leases, free addresses that need not be withheld any more, and
 * delete remains of deleted networks.
 */
import { Ip } from "../common/ip.ts";
import { keyOf } from "../store/keys.ts";
import { merge } from "../store/plan_builder.ts";
import { GRACE_SECONDS, stillRuns } from "./held.ts";
import { planLeaseEnd } from "./leases.ts";
import { inRange } from "./network.ts";
import { lowestFree } from "./pool.ts";
import { memberStep } from "./member_step.ts";
import { isForgedMark } from "./problems.ts";
import type { PlanStep } from "./steps.ts";
import type { NexView } from "./view.ts";

/**
 * Plans what is due, up to `limit` steps: the end of leases whose time is over, with a grace, of addresses that were withheld long
 * enough, and of what deleted networks left. Any number of replicas may do it at once: each step is guarded by what it read.
 *
 * @param now Seconds since the epoch, rounded down; -Infinity: no lease is over.
 */
export function planSweep(view: NexView, now: number, limit: number): PlanStep[] {
  const steps: PlanStep[] = [];
  for (const id of view.expiring.due(now - GRACE_SECONDS, limit)) {
    const member = view.memberById(id);
    // A listed member without a network gets its network first, see planTakeover().
    if (!member || (member.dynamic && view.isListed(member))) continue;
    const step = planLeaseEnd(view, member, now);
    if (step) steps.push(step);
  }
  for (const [address, { until, leased }] of view.withheld) {
    if (steps.length >= limit) break;
    const key = keyOf.withheld(address);
    if (leased ? !stillRuns(until, now) : until <= now) {
      steps.push({ guards: [view.guard(key)], ops: [{ remove: key }] });
    }
  }
  for (const name of view.deleted.keys()) {
    if (steps.length >= limit) break;
    steps.push(...planDeletedNetwork(view, name, limit - steps.length));
  }
  return steps;
}

/**
 * Plans the removal of what a deleted network left: its members with their claims, then the traces of its leases, then the mark
 * of the deletion itself.
 *
 * A deletion removes the network in the transaction that sets the mark. So a mark that is younger than an existing network was not
 * set by a deletion, and removes nothing. An older mark belongs to an earlier network of that name, which one of Nex's daemons has
 * replaced, and removes only members that were last written before the network was created.
 */
export function planDeletedNetwork(view: NexView, name: string, limit: number): PlanStep[] {
  if (isForgedMark(view, name)) return [];
  const mark = view.guard(keyOf.deletedNetwork(name)), living = view.entry(keyOf.network(name));
  // Another replica may have finished, and the name may be in use again, so mark and network guard every step.
  const guards = [mark, view.guard(keyOf.network(name))];
  const marked = (step: PlanStep): PlanStep => merge([{ guards, ops: [] }, step]);
  // An unreadable record stays for the operator.
  const members = view.membersOf(name)
    .filter((m) => !view.unreadable.has(m.key) && (!living || m.modRevision < living.createRevision))
    .slice(0, limit);
  if (members.length) return members.map((m) => marked(memberStep(view, m.mac, m, undefined)));
  const subnet = living ? undefined : view.deleted.get(name)?.subnet4;
  const traces = subnet ? tracesIn(view, name) : [];
  if (traces.length) {
    return traces.slice(0, limit).map((key) => marked({ guards: [], ops: [{ remove: key }] }));
  }
  // A member that the mirror does not show yet would be left over.
  const prefix = keyOf.furtherMember(name, "");
  return [{
    guards,
    prefixGuards: [{ prefix, unchangedSince: view.newestUnder(prefix) }],
    ops: [{ remove: mark.key }],
  }];
}

function tracesIn(view: NexView, name: string): string[] {
  const withheld = [...view.withheld].flatMap(([address, d]) =>
    d.net === name ? keyOf.withheld(address) : []
  );
  // The former holder of an address that is in no network any more is of no use.
  const former = [...view.former.keys()].flatMap((address) =>
    view.networkAt(address) ? [] : keyOf.former(address)
  );
  return [...withheld, ...former];
}

/** Plans addresses for listed members of a range that have none, as in stores of Nex's daemons and after a DHCPDECLINE. */
export function planMissingAddresses(view: NexView, limit: number): PlanStep[] {
  const steps: PlanStep[] = [];
  for (const network of view.networks()) {
    if (!network.range4) continue;
    const given = new Set<number>();
    for (const member of view.membersOf(network.name)) {
      if (member.ip4 || member.dynamic || steps.length >= limit) continue;
      const address = lowestFree(view, network, given);
      if (address === undefined) break;
      given.add(address);
      const ip4 = { ...member.record.ip4, address: Ip.from4(address).toString() };
      steps.push(memberStep(view, member.mac, member, { ...member.record, ip4 }));
    }
  }
  return steps;
}

/** True for an address of a network's range, rather than one set by hand. */
export function isHandedOut(view: NexView, address: string): boolean {
  const ip = Ip.tryParse(address), network = view.networkAt(address);
  return ip !== undefined && network !== undefined && inRange(network, ip);
}
