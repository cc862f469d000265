/** Plans of a named network's members: reservations of names and addresses, by MAC. */
import { Ip } from "../common/ip.ts";
import { parseMac } from "../common/mac.ts";
import { invalid, Refusal } from "../common/refusal.ts";
import type { MacChange } from "../nex/change_mac.ts";
import { describe, firstTwice, type MemberRequest, type MemberUpdate } from "../nex/members.ts";
import { qualify } from "../nex/names.ts";
import type { Action } from "../nex/networks.ts";
import { atFirst, type Attempt } from "../nex/refused_objects.ts";
import { Attempts } from "../nex/steps.ts";
import { Claims } from "../overlay/claims.ts";
import { macFor } from "../overlay/create_endpoints.ts";
import { refuseOwnLabel } from "../overlay/own_labels.ts";
import { PlanBatch } from "../overlay/plan_batch.ts";
import type { Space } from "../overlay/space.ts";
import type { OverlayEndpoint } from "../overlay/overlay_endpoint.ts";
import { macNumber } from "../overlay/state.ts";
import type { OverlayView } from "../overlay/view.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import { type ReservationRecord, writeSandRecord } from "../store/sand_records.ts";
import type { Plan } from "../store/types.ts";
import { effectiveRecord, type NamedNetwork } from "./effective.ts";
import { type CanonicalMember, differs, refuseTwice } from "./canonical_member.ts";
import { unsharedNames } from "./unshared_names.ts";

/** A list of members of one network. */
export interface ReservationList {
  readonly list: readonly MemberRequest[];
  /** Those that exist with other contents are replaced. */
  readonly force: boolean;
}

/** The outcome for a member; `name` is its label, or the MAC where it has none. */
export interface Reserved {
  readonly name: string;
  readonly mac: string;
  readonly action: Action;
}

/**
 * The reservations of one named network under change. Address, MAC and name of each are its own among all reservations and
 * endpoints of the network; the address is claimed when it is made.
 */
export class ReservationDraft {
  readonly #named: NamedNetwork;
  readonly #view: OverlayView;
  readonly #space: Space;
  readonly #domain: string;
  readonly #claims: Claims;
  readonly #reservations: Map<string, ReservationRecord>;
  readonly #byAddress = new Map<string, string>();
  readonly #changed = new Map<string, ReservationRecord | undefined>();
  readonly #labels = new Set<string>();

  /**
   * @param named The network as it is, or will be once the plan before this one is committed.
   * @param now Milliseconds since the epoch.
   * @throws Refusal "forbidden" where what is stored cannot be planned on
   */
  constructor(
    view: OverlayView,
    named: NamedNetwork,
    now: number,
    private readonly attempts = new Attempts(),
  ) {
    this.#named = named;
    this.#view = view;
    const { id } = named.record;
    view.refuseUnreadable(id);
    view.refuseUnreadableNames(id);
    if (view.isDeleted(id)) {
      throw new Refusal("forbidden", `network ${named.name} is being deleted: it gets no members`);
    }
    const space = this.#space = view.space(id);
    const { Range4: range4, domain = "" } = effectiveRecord(named);
    this.#domain = domain;
    this.#reservations = new Map(space.reservations);
    for (const [mac, { ip4 }] of space.reservations) if (ip4 !== undefined) this.#byAddress.set(ip4, mac);
    const reservedAt = (address: number) => this.#byAddress.get(Ip.from4(address).toString());
    this.#claims = new Claims(view, named.record, now, { range4, reservedAt });
  }

  /** Plans members: one that exists with the same contents is left as it is, with other contents it is refused, unless `force`. */
  add(lists: readonly ReservationList[], attempt: Attempt = atFirst): Reserved[][] {
    const { name: net } = this.#named, part = (mac: string) => ({ kind: "Member", net, mac }) as const;
    const all = lists.map(({ list, force }) =>
      list.flatMap((given) => {
        const requested = attempt(part(given.mac), () => this.#check(given));
        return requested ? { requested, force } : [];
      })
    );
    const flat = all.flat();
    refuseTwice(flat.map(({ requested }) => requested));
    const actions = new Map<string, Action>();
    // Addresses that are given by name are not given to those before them in the list.
    for (const withAddress of [true, false]) {
      for (const { requested, force } of flat) {
        if ((requested.ip4 !== undefined) !== withAddress) continue;
        const action = attempt(part(requested.mac), () => this.#add(requested, force));
        if (action !== undefined) actions.set(requested.mac, action);
      }
    }
    const macs = new Map(flat.map(({ requested: { mac, name } }) => [name, mac]));
    for (const { label, refusal } of this.#unshared()) {
      attempt(part(macs.get(label) ?? ""), () => {
        throw refusal;
      });
    }
    return all.map((list) =>
      list.map(({ requested: { mac, name } }) => ({
        name: name ?? mac,
        mac,
        action: actions.get(mac) ?? "unchanged",
      }))
    );
  }

  #add(requested: CanonicalMember, force: boolean): Action {
    const before = this.#reservations.get(requested.mac);
    const difference = before && differs(before, requested);
    if (before && difference && !force) {
      const described = describe({ name: before.name, ip4: before.ip4 });
      throw new Refusal(
        "exists",
        `member ${requested.mac} exists with another ${difference} (${described}); replace it with --force`,
      );
    }
    const shared = requested.shared ?? before?.shared ?? false;
    if (before && !difference && shared === (before.shared ?? false)) return "unchanged";
    const ip4 = this.#address(requested.mac, requested.ip4 ?? before?.ip4);
    const { name: _, ip4: __, shared: ___, ...unknown } = before ?? { mac: requested.mac };
    this.#set(requested.mac, {
      ...unknown,
      mac: requested.mac,
      ...requested.name === undefined ? {} : { name: requested.name },
      ip4,
      ...shared ? { shared } : {},
    });
    return before ? "updated" : "created";
  }

  /** A member as it will be once the plans are committed. */
  reservation(mac: string): ReservationRecord | undefined {
    return this.#reservations.get(mac);
  }

  /** Plans changes to members that exist: undefined leaves a field as it is, an empty text removes it. */
  update(list: readonly MemberUpdate[]): void {
    const updates = list.map((given) => ({ given, requested: this.#check(given) }));
    refuseTwice(updates.map(({ requested }) => requested));
    for (const { given, requested } of updates) {
      const before = this.#find(requested.mac);
      const record: ReservationRecord = { ...before };
      if (given.name !== undefined) {
        delete record.name;
        if (requested.name !== undefined) record.name = requested.name;
      }
      if (given.ip4 !== undefined) record.ip4 = this.#address(requested.mac, requested.ip4);
      if (JSON.stringify(record) !== JSON.stringify(before)) this.#set(requested.mac, record);
    }
    this.#refuseUnshared();
  }

  /** Plans the end of members. The address of an endpoint stays claimed. */
  delete(macs: readonly string[]): void {
    for (const mac of new Set(macs.map((text) => parseMac(text, "mac")))) {
      const isThere = this.#reservations.has(mac);
      if (!this.attempts.found(`member ${mac}`, isThere)) throw this.#notFound(mac);
      if (isThere) this.#set(mac, undefined);
    }
  }

  /** Plans moves of members to other MACs, with their names and addresses. */
  move(list: readonly MacChange[]): void {
    const given = list.map((c) => ({ old: parseMac(c.old, "old"), new: parseMac(c.new, "new") }));
    for (const side of ["old", "new"] as const) {
      const twice = firstTwice(given.map((c) => c[side]));
      if (twice) throw invalid(`${side}: ${twice} is in the list twice`);
    }
    const moves = given.flatMap((c) => {
      const record = this.#reservations.get(c.old);
      // Once an earlier attempt has moved a member, it is found under its new MAC.
      if (!this.attempts.found(`move ${c.old}`, record !== undefined)) throw this.#notFound(c.old);
      return record ? [{ ...c, record }] : [];
    });
    for (const { old } of moves) this.#set(old, undefined);
    for (const { new: mac, record } of moves) {
      const holder = this.#reservations.get(mac);
      if (holder) {
        const described = describe({ name: holder.name, ip4: holder.ip4 });
        throw new Refusal("exists", `member ${mac} exists (${described})`);
      }
      this.#set(mac, { ...record, mac, ip4: this.#address(mac, record.ip4) });
    }
    this.#refuseUnshared();
    if (this.plans().length > 1) {
      throw invalid("list: more moves than one transaction holds; move them in parts");
    }
  }

  /** The plans, each of which leaves a valid state; none where nothing changes. */
  plans(): readonly Plan[] {
    const { record: { id }, name } = this.#named, view = this.#view, { keys } = view;
    const begin = () => {
      // An address that is claimed already must not be freed meanwhile, so the bits are written in any case.
      this.#claims.touch();
      const builder = new PlanBuilder().guard(
        view.guard(keys.network(id)),
        view.guard(keys.networkName(name)),
        view.guard(keys.settings(id)),
      );
      for (const prefix of [keys.networkEndpoints(id), keys.networkHosts(id), keys.reservations(id)]) {
        builder.unchanged(prefix, view.newestUnder(prefix));
      }
      return builder;
    };
    const batch = new PlanBatch(begin, this.#claims);
    for (const [mac, record] of this.#changed) {
      const key = keys.reservation(id, mac);
      batch.next((builder) => {
        builder.guard(view.guard(key));
        if (record) builder.put(key, writeSandRecord(record));
        else builder.remove(key);
      });
    }
    return batch.plans();
  }

  #find(mac: string): ReservationRecord {
    const found = this.#reservations.get(mac);
    if (!found) throw this.#notFound(mac);
    return found;
  }

  #notFound(mac: string): Refusal {
    return new Refusal("not-found", `network ${this.#named.name} has no member ${mac}`);
  }

  #endpointOf(mac: string): OverlayEndpoint | undefined {
    return this.#space.holdersOfMac(macNumber(mac))[0];
  }

  /** The address that a member gets: the one that is wanted, that of its endpoint, or the next free one. */
  #address(mac: string, wanted: string | undefined): string {
    const { name } = this.#named, endpoint = this.#endpointOf(mac), there = endpoint?.address;
    if (wanted !== undefined && this.#reservations.get(mac)?.ip4 === wanted) return wanted;
    if (there && wanted !== undefined && wanted !== there.toString()) {
      throw new Refusal(
        "exists",
        `member ${mac}: ip4: ${wanted} is not ${there}, which ${mac} has now in network ${name} as endpoint ${endpoint.id} on ` +
          `${endpoint.host}: reserve that one, or delete the endpoint first`,
      );
    }
    const ip = wanted === undefined ? there : Ip.parse(wanted);
    const address = ip ? this.#take(mac, ip) : this.#claims.takeNext();
    const own = macFor(address), prefix = own.slice(0, "02:84:".length);
    if (mac.startsWith(prefix) && mac !== own) {
      throw invalid(
        `member ${mac}: mac: it is for the endpoint of another address than ${address}, whose own is ${own}`,
      );
    }
    return address.toString();
  }

  #take(mac: string, ip: Ip): Ip {
    try {
      return this.#claims.take(ip, { mac, reserve: true });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      throw new Refusal(error.code, error.message.replace(/^ipv4_address:/, `member ${mac}: ip4:`), {
        cause: error,
      });
    }
  }

  #set(mac: string, after: ReservationRecord | undefined): void {
    const before = this.#reservations.get(mac);
    if (after) this.#refuseWhereUnknown(mac);
    for (const { name } of [before, after].filter((record) => record !== undefined)) {
      if (name !== undefined) this.#labels.add(name);
    }
    if (after) this.#reservations.set(mac, after);
    else this.#reservations.delete(mac);
    this.#changed.set(mac, after);
    const had = before?.ip4, has = after?.ip4;
    if (had !== undefined && had !== has && this.#byAddress.get(had) === mac) {
      this.#byAddress.delete(had);
      const ip = Ip.tryParse(had);
      if (ip) this.#claims.release(ip);
    }
    if (has !== undefined) this.#byAddress.set(has, mac);
  }

  /** An agent that does not know reservations frees their addresses, and gives them to others. */
  #refuseWhereUnknown(mac: string): void {
    const [host] = this.#space.hostsWithoutNames();
    if (host === undefined) return;
    throw new Refusal(
      "forbidden",
      `member ${mac}: the agent on ${host} does not know reservations and would give its address to others: upgrade it to ` +
        `this version, or take network ${this.#named.name} off that host`,
    );
  }

  /** Refuses a name that several have, unless each reservation of it says that it is shared. */
  #refuseUnshared(): void {
    for (const { refusal } of this.#unshared()) throw refusal;
  }

  #unshared() {
    return unsharedNames(this.#named.name, this.#space, this.#reservations.values(), this.#labels);
  }

  /** A request in canonical form, its fields checked by themselves. */
  #check(given: MemberRequest): CanonicalMember {
    const mac = parseMac(given.mac), field = (f: string) => `member ${mac}: ${f}`;
    if (parseInt(mac.slice(0, 2), 16) & 1) {
      throw invalid(`${field("mac")}: ${mac} is a group address, which no machine has`);
    }
    if (given.ip6) throw invalid(`${field("ip6")}: ${given.ip6}: an overlay network has IPv4 addresses only`);
    const ip4 = given.ip4 ? Ip.parse(given.ip4, field("ip4")) : undefined;
    if (ip4?.family === 6) throw invalid(`${field("ip4")}: ${ip4} is not an IPv4 address`);
    const full = given.name ? qualify(given.name, this.#domain, field("name")) : undefined;
    const suffix = this.#domain && `.${this.#domain}`;
    const name = full?.slice(0, full.length - suffix.length);
    if (name !== undefined) refuseOwnLabel(name, field("name"), this.#named.name);
    return {
      mac,
      name,
      ip4: ip4?.toString(),
      shared: given.shared,
    };
  }
}
