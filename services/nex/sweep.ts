import { Ip } from "../common/ip.ts";
import { keyOf } from "../store/keys.ts";
import { GRACE_SECONDS, stillRuns } from "./held.ts";
import { planLeaseEnd } from "./leases.ts";
import { inRange } from "./network.ts";
import { lowestFree } from "./pool.ts";
import { memberStep } from "./member_step.ts";
import { isForgedMark } from "./problems.ts";
import { merge, type Step } from "./steps.ts";
import type { View } from "./view.ts";

/**
 * What is due to be put right, up to `limit` steps: leases whose time is over, with a grace, addresses that were kept from others
 * long enough, and what deleted networks left. Any replica may do it, any number at once: each step is guarded by what it read.
 *
 * @param now Seconds since the epoch, rounded down; -Infinity: no time is over.
 */
export function planSweep(view: View, now: number, limit: number): Step[] {
  const steps: Step[] = [];
  for (const id of view.expiring.due(now - GRACE_SECONDS, limit)) {
    const member = view.memberById(id);
    // A listed one without a network gets it first, see planTakeover().
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
 * What is left of a deleted network: its members with their claims, then the traces of its leases, then the mark itself.
 *
 * A deletion removes the network in the transaction that sets the mark. So beside a network that is there, a mark that is
 * younger than it was not set by a deletion and takes nothing; an older one is of an earlier network of that name, which
 * an old daemon has replaced, and takes only members that were last written before the network was made.
 */
export function planDeletedNetwork(view: View, name: string, limit: number): Step[] {
  if (isForgedMark(view, name)) return [];
  const mark = view.guard(keyOf.deletedNetwork(name)), living = view.entry(keyOf.network(name));
  // Another replica may have finished and the name may be in use again: mark and network guard every step.
  const guards = [mark, view.guard(keyOf.network(name))];
  const marked = (step: Step): Step => merge([{ guards, ops: [] }, step]);
  // An unreadable record is left for an operator to look at.
  const members = view.membersOf(name)
    .filter((m) => !view.unreadable.has(m.key) && (!living || m.modRevision < living.createRevision))
    .slice(0, limit);
  if (members.length) return members.map((m) => marked(memberStep(view, m.mac, m, undefined)));
  const subnet = living ? undefined : view.deleted.get(name)?.subnet4;
  const traces = subnet ? tracesIn(view, name) : [];
  if (traces.length) {
    return traces.slice(0, limit).map((key) => marked({ guards: [], ops: [{ remove: key }] }));
  }
  // A member that is still to be shown would be left over.
  const prefix = keyOf.furtherMember(name, "");
  return [{
    guards,
    prefixGuards: [{ prefix, unchangedSince: view.newestUnder(prefix) }],
    ops: [{ remove: mark.key }],
  }];
}

function tracesIn(view: View, name: string): string[] {
  const withheld = [...view.withheld].flatMap(([address, d]) =>
    d.net === name ? keyOf.withheld(address) : []
  );
  // An address that no network holds any more needs no memory of who had it.
  const former = [...view.former.keys()].flatMap((address) =>
    view.networkAt(address) ? [] : keyOf.former(address)
  );
  return [...withheld, ...former];
}

/** Listed members of a range that have no address yet, as old stores hold them and as a decline leaves them: they get one. */
export function planMissingAddresses(view: View, limit: number): Step[] {
  const steps: Step[] = [];
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

/** True for an address that a network hands out by itself, rather than one set by hand. */
export function isHandedOut(view: View, address: string): boolean {
  const ip = Ip.tryParse(address), network = view.networkAt(address);
  return ip !== undefined && network !== undefined && inRange(network, ip);
}
