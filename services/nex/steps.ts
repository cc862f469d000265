import { keyOf } from "../store/keys.ts";
import { type MemberRecord, type NetworkRecord, writeRecord } from "../store/records.ts";
import { type Guard, MAX_PLAN_OPS, type Op, type Plan, type PrefixGuard } from "../store/types.ts";
import { type Member, readMember } from "./member.ts";
import { type Network, readNetwork } from "./network.ts";
import type { Reader } from "./view.ts";

/** The least that must happen at once: after each step the store is in a valid state. */
export type Step = Plan;

/**
 * What it takes to bring a member from what the reader shows to `after` (undefined: gone): its record, and the
 * claims on its addresses, its name and its network.
 */
export function memberStep(from: Reader, mac: string, after: MemberRecord | undefined): Step {
  const before = from.member(mac);
  const key = before?.key ?? keyOf.member(mac);
  const guards: Guard[] = [from.guard(key)];
  const ops: Op[] = [after ? { put: key, value: writeRecord(after) } : { remove: key }];
  const had = claims(before), wants = claims(after && readMember(mac, { key, modRevision: 0 }, after));
  for (const claim of had) {
    const holder = from.claim(claim);
    // In a store that was taken over, another member may have the claim.
    if (!wants.includes(claim) && (holder === undefined || holder === mac)) ops.push({ remove: claim });
  }
  for (const claim of wants) {
    // Claimed already, unless an old daemon left the claim out or to somebody else.
    if (had.includes(claim) && from.guard(claim).modRevision && from.claim(claim) === mac) continue;
    guards.push(from.guard(claim));
    ops.push({ put: claim, value: mac });
  }
  const address = after?.ip4?.address;
  if (address && from.formerHolderOf(address)) ops.push({ remove: keyOf.former(address) });
  // Somebody has it from now on: its quarantine is over.
  if (address && address !== before?.ip4 && from.declined.has(address)) {
    guards.push(from.guard(keyOf.declined(address)));
    ops.push({ remove: keyOf.declined(address) });
  }
  // Nobody joins a network that is being deleted or changed meanwhile.
  if (after?.net) guards.push(from.guard(keyOf.network(after.net)));
  return { guards, ops };
}

function claims(member: Member | undefined): string[] {
  if (!member) return [];
  const keys: string[] = [];
  if (member.ip4) keys.push(keyOf.claimIp(member.ip4));
  if (member.ip6) keys.push(keyOf.claimIp(member.ip6));
  if (member.name) keys.push(keyOf.claimName(member.name));
  if (member.net && !member.dynamic) keys.push(keyOf.memberOf(member.net, member.mac));
  return keys;
}

/** One step out of several that touch different keys, or the same ones in turn: the last word on a key stands. */
export function merge(steps: readonly Step[]): Step {
  const guards = new Map<string, Guard>(), prefixGuards: PrefixGuard[] = [], ops = new Map<string, Op>();
  for (const step of steps) {
    // A key that an earlier step wrote is as that step left it: only what was read of the store is guarded.
    for (const guard of step.guards) if (!guards.has(guard.key)) guards.set(guard.key, guard);
    prefixGuards.push(...step.prefixGuards ?? []);
    for (const op of step.ops) ops.set("put" in op ? op.put : op.remove, op);
  }
  return { guards: [...guards.values()], prefixGuards, ops: [...ops.values()] };
}

/** Gathers steps, in order, into as few transactions as etcd's limit allows; a step is never split. */
export function pack(steps: readonly Step[], limit = MAX_PLAN_OPS): Plan[] {
  const plans: Plan[] = [];
  let batch: Step[] = [], guards = 0, ops = 0;
  for (const step of steps) {
    const compares = step.guards.length + (step.prefixGuards?.length ?? 0);
    if (batch.length && (guards + compares > limit || ops + step.ops.length > limit)) {
      plans.push(merge(batch));
      batch = [], guards = 0, ops = 0;
    }
    batch.push(step), guards += compares, ops += step.ops.length;
  }
  if (batch.length) plans.push(merge(batch));
  return plans;
}

/**
 * What the plans of one request found, over all its attempts. A plan that is made again, after a conflict or an answer
 * that was lost, knows by it what an earlier one has done already.
 */
export class Attempts {
  readonly #found = new Set<string>();
  readonly #actions = new Map<string, string>();

  /** True when `what` is there now, or was when it was first looked for and has been dealt with since. */
  found(what: string, isThere: boolean): boolean {
    if (isThere) this.#found.add(what);
    return this.#found.has(what);
  }

  /** What became of an object: what the first plan that did something with it says. */
  action<A extends string>(object: string, now: A): A {
    const before = this.#actions.get(object);
    if (before !== undefined && before !== "unchanged") return before as A;
    this.#actions.set(object, now);
    return now;
  }
}

/**
 * A reader on top of another, as it will be when the steps so far are done. Plans of several changes are made
 * against it one after the other, so that each sees those before it.
 */
export class Draft implements Reader {
  readonly steps: Step[] = [];
  readonly #newest = new Map<string, number>();
  readonly #networks = new Map<string, Network | undefined>();
  readonly #members = new Map<string, Member | undefined>();
  readonly #addresses = new Map<string, string | undefined>();
  readonly #names = new Map<string, string | undefined>();
  readonly #taken = new Map<number, boolean>();
  readonly #lowest = new Map<string, number>();

  /** @param attempts What earlier plans of the same request found: they may have been carried out in part. */
  constructor(readonly base: Reader, readonly attempts: Attempts = new Attempts()) {}

  network(name: string): Network | undefined {
    return this.#networks.has(name) ? this.#networks.get(name) : this.base.network(name);
  }

  *networks(): Iterable<Network> {
    for (const network of this.base.networks()) if (!this.#networks.has(network.name)) yield network;
    for (const network of this.#networks.values()) if (network) yield network;
  }

  member(mac: string): Member | undefined {
    return this.#members.has(mac) ? this.#members.get(mac) : this.base.member(mac);
  }

  membersOf(name: string): Member[] {
    const untouched = this.base.membersOf(name).filter((m) => !this.#members.has(m.mac));
    const touched = [...this.#members.values()].flatMap((m) => m?.net === name ? m : []);
    return [...untouched, ...touched].sort((a, b) => a.mac < b.mac ? -1 : 1);
  }

  networkAt(address: Parameters<Reader["networkAt"]>[0]): Network | undefined {
    return this.base.networkAt(address);
  }

  holderOfAddress(address: string): string | undefined {
    return this.#addresses.has(address) ? this.#addresses.get(address) : this.base.holderOfAddress(address);
  }

  holderOfName(name: string): string | undefined {
    return this.#names.has(name) ? this.#names.get(name) : this.base.holderOfName(name);
  }

  get declined(): Reader["declined"] {
    return this.base.declined;
  }

  formerHolderOf(address: string): string | undefined {
    return this.base.formerHolderOf(address);
  }

  taken(address: number): boolean {
    return this.#taken.get(address) ?? this.base.taken(address);
  }

  lowest(network: Network): number {
    return Math.max(this.#lowest.get(network.name) ?? 0, this.base.lowest(network));
  }

  /** Says that a search up to `address` found nothing free below it. */
  searched(network: Network, address: number): void {
    this.#lowest.set(network.name, address);
  }

  guard(key: string): Guard {
    return this.base.guard(key);
  }

  newestUnder(prefix: string): number {
    let newest = this.#newest.get(prefix);
    if (newest === undefined) this.#newest.set(prefix, newest = this.base.newestUnder(prefix));
    return newest;
  }

  claim(key: string): string | undefined {
    return this.base.claim(key);
  }

  /** Plans a member's record; undefined: the member goes. */
  setMember(mac: string, record: MemberRecord | undefined): void {
    const before = this.member(mac);
    this.steps.push(memberStep(this, mac, record));
    const after = record &&
      readMember(mac, { key: before?.key ?? keyOf.member(mac), modRevision: 0 }, record);
    this.#members.set(mac, after);
    this.#hold(this.#addresses, before?.ip4, after?.ip4, mac);
    this.#hold(this.#addresses, before?.ip6, after?.ip6, mac);
    this.#hold(this.#names, before?.name, after?.name, mac);
    if (before?.ip4 !== after?.ip4) {
      if (before?.ip4) this.#taken.set(toNumber(before.ip4), false), this.#lowest.clear();
      if (after?.ip4) this.#taken.set(toNumber(after.ip4), true);
    }
  }

  /** Plans a network's record, in a step with `also`. */
  setNetwork(name: string, record: NetworkRecord | undefined, also: Partial<Step> = {}): void {
    const key = keyOf.network(name);
    this.steps.push({
      guards: [this.guard(key), ...also.guards ?? []],
      prefixGuards: also.prefixGuards ?? [],
      ops: [record ? { put: key, value: writeRecord(record) } : { remove: key }, ...also.ops ?? []],
    });
    this.#networks.set(name, record && readNetwork(name, { modRevision: 0 }, record));
    this.#lowest.clear();
  }

  #hold(
    index: Map<string, string | undefined>,
    before: string | undefined,
    after: string | undefined,
    mac: string,
  ) {
    if (before === after) return;
    if (before && this.#holder(index, before) === mac) index.set(before, undefined);
    if (after) index.set(after, mac);
  }

  #holder(index: Map<string, string | undefined>, value: string): string | undefined {
    return index === this.#names ? this.holderOfName(value) : this.holderOfAddress(value);
  }
}

function toNumber(address: string): number {
  return address.split(".").reduce((n, part) => n * 256 + Number(part), 0);
}
