import { Ip } from "../common/ip.ts";
import type { CursorRecord } from "../store/sand_records.ts";

/** For so long after it was given back an address goes last, in seconds: ARP caches and connections still know it. */
const REST = 60;

/**
 * So many addresses rest at most: beyond that the oldest are given like any other. The record grows with each of them,
 * is written with each change, and goes to all hosts.
 */
const MOST = 256;

/**
 * Where the search for a free address of one network goes on, and which addresses were given back just now. Places in the
 * range are counted from its first address. It only says in which order addresses are given: which are free is for the
 * bit set to say, which old agents share, and they give the lowest.
 */
export class Cursor {
  #next = 0;
  #changed = false;
  /** Place → when it was given back, in seconds since the epoch; the oldest first. */
  readonly #resting = new Map<number, number>();
  #restedUntilTaken: number | undefined;

  /**
   * Reads the record, whatever another host has put in it.
   *
   * @param first The range's first address, as 32 bits.
   * @param size How many addresses the range has.
   * @param now Milliseconds since the epoch, on this host's clock: those of the hosts may differ by some seconds.
   */
  constructor(
    record: CursorRecord | undefined,
    private readonly first: number,
    private readonly size: number,
    private readonly now: number,
  ) {
    this.#next = this.#placeOf(record?.next ?? "") ?? 0;
    const groups = (record?.released ?? []).filter(([at = 0]) => Math.abs(this.#seconds - at) < REST);
    for (const [at = 0, ...places] of groups.sort(([a = 0], [b = 0]) => a - b)) {
      for (const place of places) if (place >= 0 && place < this.size) this.#rest(Math.trunc(place), at);
    }
  }

  /** Where to look first. */
  get next(): number {
    return this.#next;
  }

  get changed(): boolean {
    return this.#changed;
  }

  /** True for an address that was given back less than a minute ago. */
  rests(place: number): boolean {
    return this.#resting.has(place);
  }

  /** Those, the oldest first. */
  resting(): Iterable<number> {
    return this.#resting.keys();
  }

  /** The address is given out. @param searched It was found from {@link next} on, not asked for. */
  taken(place: number, searched: boolean): void {
    this.#restedUntilTaken = this.#resting.get(place);
    if (this.#resting.delete(place)) this.#changed = true;
    if (!searched) return;
    this.#next = (place + 1) % this.size;
    this.#changed = true;
  }

  /** The one that was given out last was so for nothing, and nobody has had it. */
  untaken(place: number): void {
    if (this.#restedUntilTaken !== undefined) this.#resting.set(place, this.#restedUntilTaken);
    if (this.#next === (place + 1) % this.size) this.#next = place;
  }

  /** The address is given back. */
  released(place: number): void {
    this.#rest(place, this.#seconds);
    this.#changed = true;
  }

  #rest(place: number, at: number): void {
    this.#resting.delete(place);
    this.#resting.set(place, at);
    if (this.#resting.size <= MOST) return;
    for (const oldest of this.#resting.keys()) return void this.#resting.delete(oldest);
  }

  /** What is to be stored; fields that are not known here stay. */
  record(before: CursorRecord | undefined): CursorRecord {
    const released = Map.groupBy(this.#resting, ([, at]) => at);
    return {
      ...before,
      next: Ip.from4(this.first + this.#next).toString(),
      released: [...released].map(([at, group]) => [at, ...group.map(([place]) => place)]),
    };
  }

  get #seconds(): number {
    return Math.floor(this.now / 1000);
  }

  #placeOf(address: string): number | undefined {
    const ip = Ip.tryParse(address), place = ip?.family === 4 ? ip.u32 - this.first : -1;
    return place >= 0 && place < this.size ? place : undefined;
  }
}
