/** Plans that move members to another MAC, as when a machine's network card is replaced. */
import { parseMac } from "../common/mac.ts";
import { invalid, Refusal } from "../common/refusal.ts";
import { merge } from "../store/plan_builder.ts";
import { MAX_PLAN_OPS } from "../store/types.ts";
import type { Member } from "./member.ts";
import { describe, firstTwice } from "./members.ts";
import { findNetwork } from "./networks.ts";
import type { Draft } from "./steps.ts";

/** A member's old and new MAC. */
export interface MacChange {
  readonly old: string;
  readonly new: string;
}

interface Move extends MacChange {
  readonly member: Member;
}

/**
 * Plans moves of a network's members to other MACs, with their names, addresses and leases. Moves where one member gets the MAC
 * that another leaves are one step; the others are a step each.
 */
export function changeMemberIds(draft: Draft, net: string, list: readonly MacChange[]): void {
  if (!net) throw invalid("net: missing: the network whose members get other MACs");
  const network = findNetwork(draft, net);
  const given = list.map((c) => ({ old: parseMac(c.old, "old"), new: parseMac(c.new, "new") }));
  for (const side of ["old", "new"] as const) {
    const twice = firstTwice(given.map((c) => c[side]));
    if (twice) throw invalid(`${side}: ${twice} is in the list twice`);
  }
  // Once an earlier attempt has moved a member, it is found under its new MAC.
  const changes = given.flatMap((c): Move[] => {
    const member = draft.member(c.old, network.name);
    if (!draft.attempts.found(`move ${c.old}`, member !== undefined)) {
      throw new Refusal("not-found", `network ${network.name} has no member ${c.old}`);
    }
    return member ? [{ ...c, member }] : [];
  });
  const leaving = new Set(changes.map(({ member }) => member.id));
  for (const change of changes) {
    const holder = draft.member(change.new, network.name);
    if (holder && !leaving.has(holder.id)) {
      throw new Refusal("exists", `member ${change.new} exists (${describe(holder)})`);
    }
  }
  for (const chain of chains(changes)) {
    const start = draft.steps.length;
    for (const { old, member } of chain) draft.setMember(old, member, undefined, { free: true });
    for (const { new: mac, member: { record, dynamic } } of chain) {
      // Nex's daemons do not store a dynamic member's network.
      const moved = { ...record, mac, net: network.name, ...dynamic && { dynamic } };
      draft.setMember(mac, undefined, moved);
    }
    const step = merge(draft.steps.splice(start));
    if (Math.max(step.ops.length, step.guards.length) > MAX_PLAN_OPS) {
      throw invalid(
        `list: ${chain.length} moves hang together, each to the MAC that the next one leaves: ` +
          `that is more than one transaction holds; move them in parts`,
      );
    }
    draft.steps.push(step);
  }
}

/** Moves in groups, each of those that are connected by a MAC. */
function chains(changes: readonly Move[]): Move[][] {
  const from = new Map(changes.map((c) => [c.old, c])), to = new Map(changes.map((c) => [c.new, c]));
  const left = new Set(changes), found: Move[][] = [];
  for (const change of changes) {
    if (!left.delete(change)) continue;
    const chain = [change];
    for (let next = from.get(change.new); next && left.delete(next); next = from.get(next.new)) {
      chain.push(next);
    }
    for (let next = to.get(change.old); next && left.delete(next); next = to.get(next.old)) chain.push(next);
    found.push(chain);
  }
  return found;
}
