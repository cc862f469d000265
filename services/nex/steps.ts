/** Plans under construction: a draft on top of the mirror, on which the changes of one request are planned step by step. */
import { keyOf } from "../store/keys.ts";
import { merge, PlanBuilder } from "../store/plan_builder.ts";
import {
  type MemberRecord,
  type NexNetworkRecord,
  type WithheldRecord,
  writeRecord,
} from "../store/records.ts";
import type { Guard, Plan } from "../store/types.ts";
import { ip4Number, stillRuns, withhold } from "./held.ts";
import { Index } from "./index_by.ts";
import type { Member } from "./member.ts";
import { memberAfter, memberStep } from "./member_step.ts";
import { type Network, readNetwork } from "./network.ts";
import type { NexState } from "./nex_state.ts";

/** The part of a plan that must not be split: after each step the store is in a valid state. */
export type PlanStep = Plan;

/**
 * The results of all attempts of one request. A plan that is made again, after a conflict or a lost answer, knows from it
 * what an earlier attempt has done already.
 */
export class Attempts {
  readonly #found = new Set<string>();
  readonly #actions = new Map<string, string>();

  /** True when `what` exists, or existed at an earlier attempt, which has dealt with it since. */
  found(what: string, isThere: boolean): boolean {
    if (isThere) this.#found.add(what);
    return this.#found.has(what);
  }

  /** The action on an object: that of the first attempt that changed it. */
  action<A extends string>(object: string, now: A): A {
    const before = this.#actions.get(object);
    if (before !== undefined && before !== "unchanged") return before as A;
    this.#actions.set(object, now);
    return now;
  }
}

/** The guards by which no network of another kind gets the name too. Throws Refusal "exists" where one has it. */
export type OtherNames = (name: string) => readonly Guard[];

/**
 * The state on top of another one, as it will be once the steps so far are done. Several changes are planned against it one after
 * the other, so that each sees those before it.
 */
export class Draft implements NexState {
  readonly steps: PlanStep[] = [];
  readonly #newest = new Map<string, number>();
  readonly #networks = new Map<string, Network | undefined>();
  /** By MAC, then by id. */
  readonly #members = new Map<string, Map<string, Member | undefined>>();
  readonly #addresses = new Map<string, Member | undefined>();
  readonly #names = new Map<string, readonly Member[]>();
  readonly #claims = new Map<string, string | undefined>();
  readonly #taken = new Map<number, boolean>();
  readonly #lowest = new Map<string, number>();
  /** A copy of the base's, from the first change on. */
  #withheld: Map<string, WithheldRecord> | undefined;
  /** By MAC: the addresses that this draft holds. */
  readonly #heldFor = new Index();

  /**
   * @param attempts The results of earlier attempts of the same request: they may have been committed in part.
   * @param now Seconds since the epoch, rounded down; -Infinity: no lease is known to be over.
   * @param otherNames The names that no new network may have.
   */
  constructor(
    readonly base: NexState,
    readonly attempts: Attempts = new Attempts(),
    readonly now: number = -Infinity,
    readonly otherNames: OtherNames = () => [],
  ) {}

  network(name: string): Network | undefined {
    return this.#networks.has(name) ? this.#networks.get(name) : this.base.network(name);
  }

  *networks(): Iterable<Network> {
    for (const network of this.base.networks()) if (!this.#networks.has(network.name)) yield network;
    for (const network of this.#networks.values()) if (network) yield network;
  }

  member(mac: string, network: string): Member | undefined {
    return this.memberships(mac).find((member) => this.netOf(member) === network);
  }

  memberships(mac: string): readonly Member[] {
    const base = this.base.memberships(mac), touched = this.#members.get(mac);
    if (!touched) return base;
    const left = base.filter(({ id }) => !touched.has(id));
    return [...left, ...touched.values()].flatMap((member) => member ?? [])
      .sort((a, b) => Number(b.id === mac) - Number(a.id === mac));
  }

  membersOf(name: string): Member[] {
    const untouched = this.base.membersOf(name).filter(({ mac, id }) => !this.#members.get(mac)?.has(id));
    const touched = [...this.#members.values()].flatMap((ids) =>
      [...ids.values()].flatMap((m) => m?.net === name ? m : [])
    );
    return [...untouched, ...touched].sort((a, b) => a.mac < b.mac ? -1 : 1);
  }

  /** The memberships of the base that are others here, as they are in both; undefined: it ends. */
  *changedMembers(): Iterable<{ readonly before: Member; readonly after: Member | undefined }> {
    for (const [mac, touched] of this.#members) {
      for (const before of this.base.memberships(mac)) {
        if (touched.has(before.id)) yield { before, after: touched.get(before.id) };
      }
    }
  }

  netOf(member: Member): string | undefined {
    return this.base.netOf(member);
  }

  networkAt(address: Parameters<NexState["networkAt"]>[0]): Network | undefined {
    return this.base.networkAt(address);
  }

  memberAt(address: string): Member | undefined {
    return this.#addresses.has(address) ? this.#addresses.get(address) : this.base.memberAt(address);
  }

  membersNamed(name: string): readonly Member[] {
    return this.#names.get(name) ?? this.base.membersNamed(name);
  }

  get withheld(): NexState["withheld"] {
    return this.#withheld ?? this.base.withheld;
  }

  heldFor(mac: string): string[] {
    return [...this.base.heldFor(mac), ...this.#heldFor.get(mac)].filter((address) => {
      const record = this.withheld.get(address);
      return record?.leased && record.mac === mac;
    });
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

  /** Notes that a search has found no free address below `address`. */
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
    return this.#claims.has(key) ? this.#claims.get(key) : this.base.claim(key);
  }

  /**
   * Plans a membership's record; undefined: it ends. `before` is the membership as this draft shows it, if there is one.
   *
   * @param free True where an address that it leaves is free at once, although its client has a lease on it; else it is held.
   */
  setMember(
    mac: string,
    before: Member | undefined,
    record: MemberRecord | undefined,
    { free = false } = {},
  ): void {
    const step = memberStep(this, mac, before, record);
    const after = memberAfter(this, mac, before, record);
    const held = free ? undefined : this.#leftWithLease(before, after);
    this.steps.push(held ? merge([step, withhold(this, held.address, held.record)]) : step);
    for (const op of step.ops) {
      if ("remove" in op) this.#claims.set(op.remove, undefined);
      else if (op.value === mac) this.#claims.set(op.put, mac);
    }
    const touched = this.#members.get(mac) ?? new Map();
    this.#members.set(mac, touched);
    if (before) touched.set(before.id, undefined);
    if (after) touched.set(after.id, after);
    for (const field of ["ip4", "ip6"] as const) {
      const [had, has] = [before?.[field], after?.[field]];
      if (had && had !== has && this.memberAt(had)?.id === before?.id) this.#addresses.set(had, undefined);
      if (has) this.#addresses.set(has, after);
    }
    for (const name of new Set([before?.name, after?.name])) {
      if (!name) continue;
      const others = this.membersNamed(name).filter(({ id }) => id !== before?.id);
      this.#names.set(name, after?.name === name ? [...others, after] : others);
    }
    if (before?.ip4 !== after?.ip4) {
      if (before?.ip4) this.#taken.set(ip4Number(before.ip4), false), this.#lowest.clear();
      if (after?.ip4) this.#taken.set(ip4Number(after.ip4), true), this.#withhold(after.ip4, undefined);
      if (held) this.#withhold(held.address, held.record);
    }
  }

  /** The address that a membership leaves while its client has a lease on it. */
  #leftWithLease(before: Member | undefined, after: Member | undefined) {
    const address = before?.ip4, until = before?.expires, net = before && this.netOf(before);
    if (!address || address === after?.ip4 || !net || until === undefined || !stillRuns(until, this.now)) {
      return undefined;
    }
    // In a store that was taken over, another member may have the address.
    if (this.memberAt(address)?.id !== before.id) return undefined;
    return { address, record: { net, mac: before.mac, until, leased: true } };
  }

  #withhold(address: string, record: WithheldRecord | undefined): void {
    if (!record && !this.withheld.has(address)) return;
    this.#withheld ??= new Map(this.base.withheld);
    if (record) {
      this.#withheld.set(address, record);
      this.#heldFor.add(record.mac, address);
      this.#taken.set(ip4Number(address), true);
    } else this.#withheld.delete(address);
  }

  /** Plans that an address is not withheld any more. */
  release(address: string): void {
    const key = keyOf.withheld(address);
    this.steps.push({ guards: [this.guard(key)], ops: [{ remove: key }] });
    this.#withhold(address, undefined);
    this.#taken.set(ip4Number(address), this.memberAt(address) !== undefined);
    this.#lowest.clear();
  }

  /** Plans a network's record, in a step with `also`. */
  setNetwork(name: string, record: NexNetworkRecord | undefined, also: Partial<PlanStep> = {}): void {
    const key = keyOf.network(name);
    const step = new PlanBuilder().guard(this.guard(key));
    if (record) step.put(key, writeRecord(record));
    else step.remove(key);
    this.steps.push(step.add({ guards: [], ops: [], ...also }).plan());
    this.#networks.set(name, record && readNetwork(name, { modRevision: 0 }, record));
    this.#lowest.clear();
  }
}
