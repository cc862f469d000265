/** The allocated addresses of a network: a bit set in etcd, which each allocation and release changes. */
import { Cidr, Ip } from "../common/ip.ts";
import { invalid, messageOf, Refusal } from "../common/refusal.ts";
import type { PlanBuilder } from "../store/plan_builder.ts";
import { type AllocationRecord, type NetworkRecord, writeSandRecord } from "../store/sand_records.ts";
import type { Guard } from "../store/types.ts";
import { BitSet } from "./bit_set.ts";
import { exhausted, taken } from "./claim_errors.ts";
import { Cursor } from "./cursor.ts";
import { Quarantined } from "./quarantined.ts";
import type { Space } from "./space.ts";
import type { OverlayView } from "./view.ts";

interface TakeOptions {
  readonly claimed?: boolean;
  readonly mac?: string;
  readonly reserve?: boolean;
}

/** The ends of a range of addresses, both included. */
export interface GivenRange {
  readonly begin?: string | undefined;
  readonly end?: string | undefined;
}

/**
 * The claimed addresses of one network, including the claims and releases of the plan under construction. All changes
 * go into one transaction, guarded by the record that they start from and by the absence of a SAND agent's lock.
 */
export class Claims {
  readonly #network: NetworkRecord;
  readonly #view: OverlayView;
  readonly #read: Stored;
  readonly #range: Cidr;
  readonly #first: number;
  readonly #gateway: number;
  readonly #bits: BitSet;
  readonly #cursor: Cursor;
  /** Set when the only free addresses are those that were released less than a minute ago. */
  #full = false;
  #changed = false;
  readonly #given = new Set<number>();
  /** Those of {@link share}. */
  readonly #shared = new Set<number>();
  readonly #quarantined: Quarantined;
  readonly #space: Space;
  /** The places between which the next free address is searched, both included. */
  readonly #searched: readonly [first: number, last: number];
  readonly #reservedAt: (address: number) => string | undefined;

  /**
   * @param now Milliseconds since the epoch.
   * @param options.range4 The range of addresses that machines are given; undefined: what is stored.
   * @param options.reservedAt The MAC for which an address is reserved; undefined: what is stored.
   * @throws Refusal "forbidden" when the stored claims are not those of the network's range.
   */
  constructor(
    view: OverlayView,
    network: NetworkRecord,
    now: number,
    options: { readonly range4?: GivenRange | undefined; readonly reservedAt?: Claims["reservedAt"] } = {},
  ) {
    const space = this.#space = view.space(network.id);
    this.#reservedAt = options.reservedAt ?? ((address) => space.reservedAt(address));
    this.#view = view;
    this.#network = network;
    this.#read = readAllocation(view, network.id);
    this.#range = rangeOf(network);
    this.#first = this.#range.first.u32;
    this.#quarantined = new Quarantined(view, network.id, this.#first, now);
    this.#gateway = gatewayOf(network).u32;
    const { record } = this.#read;
    this.#bits = record ? storedBits(network, record).copy() : freshBits(network);
    this.#changed = record === undefined;
    this.#cursor = new Cursor(view.cursor(network.id), this.#first, this.#bits.length, now);
    const { begin, end } = options.range4 ?? space.settings?.network.Range4 ?? {};
    const place = (address: string | undefined, otherwise: number) => {
      const ip = address === undefined ? undefined : Ip.tryParse(address);
      return ip && this.#range.contains(ip) ? ip.u32 - this.#first : otherwise;
    };
    this.#searched = [place(begin, 0), place(end, this.#bits.length - 1)];
  }

  /** The MAC for which an address is reserved, by its 32-bit value. */
  reservedAt(address: number): string | undefined {
    return this.#reservedAt(address);
  }

  /**
   * Allocates the next free address after the last one allocated, so that a released address is not reused soon. Addresses
   * that were released less than a minute ago come last, the oldest first; after them, one in quarantine: the one declined
   * longest ago.
   *
   * @throws Refusal "exhausted" with the network's name and size
   */
  takeNext(): Ip {
    const place = this.#next();
    if (place === undefined) throw this.#exhausted();
    this.#quarantined.given(place);
    this.#cursor.taken(place, true);
    this.#set(place);
    return Ip.from4(this.#first + place);
  }

  #next(): number | undefined {
    const [first, last] = this.#searched, next = Math.min(Math.max(this.#cursor.next, first), last + 1);
    const found = this.#full ? undefined : this.#free(next, last + 1) ?? this.#free(first, next);
    if (found !== undefined) return found;
    this.#full = true;
    for (const place of this.#cursor.resting()) {
      if (place >= first && place <= last && this.#isFree(place)) return place;
    }
    return this.#quarantined.oldest((place) => place >= first && place <= last && this.#isUsable(place));
  }

  #exhausted(): Refusal {
    const [first, last] = this.#searched, { name } = this.#network;
    if (first === 0 && last === this.#bits.length - 1) {
      return exhausted(this.#network, this.#range, gatewayOf(this.#network));
    }
    const ends = [first, last].map((place) => Ip.from4(this.#first + place));
    return new Refusal(
      "exhausted",
      `network ${name}: none of the ${last - first + 1} addresses from ${ends[0]} to ${ends[1]} is left`,
    );
  }

  /** The first place from `from` to below `end` that is free and was not released recently. */
  #free(from: number, end: number): number | undefined {
    for (let i = this.#bits.firstClear(from); i !== undefined && i < end; i = this.#bits.firstClear(i + 1)) {
      if (!this.#cursor.isResting(i) && this.#isFree(i)) return i;
    }
    return undefined;
  }

  #isFree(place: number): boolean {
    return this.#isUsable(place) && !this.#quarantined.has(place);
  }

  /** True for an address that is free, or in quarantine. */
  #isUsable(place: number): boolean {
    return !this.#bits.has(place) && !this.#own(place) && !this.#held(place) &&
      this.#reservedAt(this.#first + place) === undefined;
  }

  /**
   * Allocates an address that several endpoints may use beside their own.
   * @throws as {@link take}
   */
  share(address: Ip): void {
    const i = this.#index(address), [holder] = this.#space.holdersOf(address.u32), { name } = this.#network;
    const reserved = this.#reservedAt(address.u32);
    if (holder) throw taken(this.#network, address, `endpoint ${holder.id} on ${holder.host}`);
    if (reserved !== undefined) throw taken(this.#network, address, `${reserved}, for which it is reserved`);
    const isShared = this.#shared.has(i) || this.#space.allowed.isAllowed(address.u32);
    if (!isShared && this.#bits.has(i)) throw taken(this.#network, address, "another allocation");
    if (this.#quarantined.has(i)) {
      throw new Refusal("exists", `${address} of network ${name} is in quarantine: it was found in use`);
    }
    this.#shared.add(i);
    this.#set(i);
  }

  /**
   * Allocates this address.
   *
   * @param claimed The address was allocated before for the endpoint that is created now: Docker asks for the address first.
   * @param mac The MAC that will have it; undefined: not known yet, so that it may be the one for which it is reserved.
   * @param reserve True: it is reserved for the MAC, whose endpoint may have it already.
   * @throws Refusal "invalid" for an address that no endpoint can have, "exists" for one that is taken.
   */
  take(address: Ip, options: TakeOptions = {}): Ip {
    const i = this.#index(address), { mac, reserve = false } = options;
    const holders = this.#space.holdersOf(address.u32);
    const holder = holders.find((endpoint) => !reserve || endpoint.mac !== mac);
    if (holder) throw taken(this.#network, address, `endpoint ${holder.id} on ${holder.host}`);
    for (const { id, host } of this.#space.allowed.at(address.u32)) {
      throw taken(this.#network, address, `endpoint ${id} on ${host}, which may use it`);
    }
    const reserved = this.#reservedAt(address.u32);
    if (reserved !== undefined && mac !== undefined && reserved !== mac) {
      throw taken(this.#network, address, `${reserved}, for which it is reserved`);
    }
    const claimed = options.claimed || reserved !== undefined || holders.length > 0;
    if (this.#given.has(i) || (this.#bits.has(i) && !claimed)) {
      throw taken(this.#network, address, "another allocation");
    }
    this.#cursor.taken(i, false);
    this.#set(i);
    return address;
  }

  /** Undoes an allocation for a request that is refused: no endpoint has used the address. */
  undoAllocation(address: Ip): void {
    const place = address.u32 - this.#first;
    if (this.#reservedAt(address.u32) === undefined) this.#bits.delete(place);
    this.#given.delete(place);
    this.#quarantined.undoGiven(place);
    this.#cursor.undoTaken(place);
    this.#full = false;
  }

  /**
   * Releases an address.
   *
   * @param without Endpoints that are deleted in the same plan: the address of any other endpoint stays claimed.
   */
  release(address: Ip, without: ReadonlySet<string> = new Set()): void {
    if (!this.#range.contains(address)) return;
    const i = address.u32 - this.#first;
    const held = this.#space.holdersOf(address.u32).some(({ id }) => !without.has(id)) ||
      this.#space.allowed.isAllowed(address.u32, without);
    if (this.#own(i) || held || this.#reservedAt(address.u32) !== undefined || !this.#bits.has(i)) return;
    this.#bits.delete(i);
    this.#given.delete(i);
    this.#cursor.released(i);
    this.#changed = true;
  }

  /** Writes the bit set also where no bit has changed, so that a plan that would free one of them fails. */
  touch(): void {
    this.#changed = true;
  }

  /** Adds the changes to the transaction. */
  writeTo(builder: PlanBuilder): void {
    if (this.#changed) writeBits(this.#view, this.#network, this.#read, this.#bits, builder);
    this.#quarantined.writeTo(builder);
    if (!this.#cursor.changed) return;
    const key = this.#view.keys.cursor(this.#network.id);
    const record = this.#cursor.record(this.#view.cursor(this.#network.id));
    builder.guard(this.#view.guard(key)).put(key, writeSandRecord(record));
  }

  #set(i: number): void {
    this.#given.add(i);
    if (this.#bits.has(i)) return;
    this.#bits.add(i);
    this.#changed = true;
  }

  #index(address: Ip): number {
    const { name } = this.#network, range = this.#range;
    if (!range.contains(address)) {
      throw invalid(`ipv4_address: ${address} is outside the range ${range} of network ${name}`);
    }
    if (range.reserved(address)) {
      const what = address.equals(range.first) ? "network" : "broadcast";
      throw invalid(`ipv4_address: ${address} is the ${what} address of ${range}`);
    }
    if (address.u32 === this.#gateway) {
      throw taken(this.#network, address, "the gateway");
    }
    return address.u32 - this.#first;
  }

  /** True for the network's own addresses: they are never allocated, even if the stored bit set has them free. */
  #own(i: number): boolean {
    return i === 0 || i === this.#bits.length - 1 || this.#first + i === this.#gateway;
  }

  /** SAND's older agents set wrong bits in ranges wider than a /24, so the endpoints' addresses are checked too. */
  #held(i: number): boolean {
    return this.#space.holdersOf(this.#first + i).length > 0 ||
      this.#space.allowed.isAllowed(this.#first + i);
  }
}

const ranges = new WeakMap<NetworkRecord, Cidr>(), gateways = new WeakMap<NetworkRecord, Ip>();

/** The network's range, from its first address on. */
export function rangeOf(network: NetworkRecord): Cidr {
  const known = ranges.get(network);
  if (known) return known;
  const { first, prefix } = Cidr.parse(network.ip_range, `network ${network.name}: ip_range`);
  const range = Cidr.parse(`${first}/${prefix}`);
  ranges.set(network, range);
  return range;
}

/** The gateway's address. */
export function gatewayOf(network: NetworkRecord): Ip {
  const gateway = gateways.get(network) ??
    Cidr.parse(network.gateway, `network ${network.name}: gateway`).address;
  gateways.set(network, gateway);
  return gateway;
}

/** The bit set of a network without endpoints: only the network's own addresses are taken. */
export function freshBits(network: NetworkRecord): BitSet {
  const range = rangeOf(network), bits = BitSet.empty(Number(range.size));
  bits.add(0);
  bits.add(bits.length - 1);
  bits.add(gatewayOf(network).u32 - range.first.u32);
  return bits;
}

const decoded = new WeakMap<AllocationRecord, BitSet>();

/** The stored bit set, which must not be changed. Throws Refusal "forbidden" when it does not match the range. */
export function storedBits(network: NetworkRecord, record: AllocationRecord): BitSet {
  let bits = decoded.get(record);
  if (bits) return bits;
  const range = rangeOf(network);
  const wrong = (reason: string) =>
    new Refusal("forbidden", `network ${network.name}: the record of its addresses is wrong: ${reason}`);
  if (Cidr.tryParse(record.address_range)?.first.equals(range.first) !== true) {
    throw wrong(`address_range: "${record.address_range}" is not ${range}`);
  }
  try {
    bits = BitSet.decode(record.bit_set);
  } catch (error) {
    throw wrong(messageOf(error));
  }
  if (BigInt(bits.length) !== range.size) throw wrong(`bit_set: ${bits.length} bits are not ${range.size}`);
  decoded.set(record, bits);
  return bits;
}

/** A network's claims as read from etcd. */
export interface Stored {
  readonly record: AllocationRecord | undefined;
  readonly guard: Guard;
}

/** A network's stored bit set, and the guard that fails when it has changed. */
export function readAllocation(view: OverlayView, network: string): Stored {
  return { record: view.allocation(network), guard: view.guard(view.keys.allocation(network)) };
}

/** Writes a network's bit set in a transaction that fails if another process has changed it, or holds the lock to do so. */
export function writeBits(
  view: OverlayView,
  network: NetworkRecord,
  from: Stored,
  bits: BitSet,
  builder: PlanBuilder,
): void {
  const record: AllocationRecord = {
    ...from.record ?? {
      id: network.id,
      address_range: rangeOf(network).toString(),
      address_count: bits.length,
    },
    bit_set: bits.encode(),
  };
  builder.guard(from.guard).nothingUnder(view.keys.allocationLocks(network.id))
    .put(from.guard.key, writeSandRecord(record));
}
