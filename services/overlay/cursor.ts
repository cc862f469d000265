/** The order in which a network's addresses are allocated. */
import { Ip } from "../common/ip.ts";
import type { CursorRecord } from "../store/sand_records.ts";

/** How long a released address is allocated last, in seconds: ARP caches and connections still know it. */
const REST = 60;

/**
 * The most released addresses that are remembered: older ones are allocated like any other. The record grows with each of
 * them, is written with each change, and goes to all hosts.
 */
const MOST = 256;

/**
 * The position from which one network's next free address is searched, and the addresses released recently. Places in the
 * range are counted from its first address. The cursor only decides the order of allocation; the bit set, which SAND's
 * older agents share, decides which addresses are free, and those agents allocate the lowest one.
 */
export class Cursor {
  #next = 0;
  #changed = false;
  /**
   * The stored groups: each is a time of release, in seconds since the epoch, followed by the released places; the
   * oldest group first.
   */
  #groups: readonly (readonly number[])[];
  /** The places of all groups. */
  #resting: Set<number>;
  #restedUntilTaken: readonly (readonly number[])[] | undefined;

  /**
   * Reads the record, which another host may have written with any content.
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
    this.#groups = (record?.released ?? []).filter(([at = 0]) => Math.abs(this.#seconds - at) < REST)
      .sort(([a = 0], [b = 0]) => a - b);
    const places = this.#groups.flatMap((group) => group.slice(1));
    this.#resting = new Set(places);
    const sound = this.#resting.size === places.length && places.length <= MOST &&
      places.every((place) => Number.isInteger(place) && place >= 0 && place < size);
    if (!sound) this.#sanitize();
  }

  /** The place from which the search begins. */
  get next(): number {
    return this.#next;
  }

  get changed(): boolean {
    return this.#changed;
  }

  /** True for an address that was released less than a minute ago. */
  isResting(place: number): boolean {
    return this.#resting.has(place);
  }

  /** The addresses released less than a minute ago, the oldest first. */
  *resting(): Generator<number> {
    for (const [, ...places] of this.#groups) yield* places;
  }

  /** Records an allocation. @param searched True: the address was found from {@link next} on, not requested. */
  taken(place: number, searched: boolean): void {
    this.#restedUntilTaken = this.#resting.has(place) ? this.#groups : undefined;
    if (this.#restedUntilTaken) {
      this.#forget(place);
      this.#changed = true;
    }
    if (!searched) return;
    this.#next = (place + 1) % this.size;
    this.#changed = true;
  }

  /** Undoes the last allocation: no endpoint has used the address. */
  undoTaken(place: number): void {
    if (this.#restedUntilTaken) {
      this.#groups = this.#restedUntilTaken;
      this.#resting.add(place);
    }
    if (this.#next === (place + 1) % this.size) this.#next = place;
  }

  /** Records a release. */
  released(place: number): void {
    this.#forget(place);
    this.#rest(place, this.#seconds);
    this.#changed = true;
  }

  /** Adds a released address behind the others; of too many the oldest is dropped. */
  #rest(place: number, at: number): void {
    this.#resting.add(place);
    const last = this.#groups.at(-1);
    this.#groups = last?.[0] === at
      ? [...this.#groups.slice(0, -1), [...last, place]]
      : [...this.#groups, [at, place]];
    if (this.#resting.size <= MOST) return;
    for (const oldest of this.resting()) return this.#forget(oldest);
  }

  #forget(place: number): void {
    if (!this.#resting.delete(place)) return;
    this.#groups = this.#groups.map((group) =>
      group.indexOf(place, 1) < 0 ? group : group.filter((other, i) => i === 0 || other !== place)
    ).filter(({ length }) => length > 1);
  }

  /** Drops values that are outside of the range, duplicate or too many. */
  #sanitize(): void {
    const since = new Map<number, number>();
    for (const [at = 0, ...places] of this.#groups) {
      for (const place of places) {
        if (!(place >= 0 && place < this.size)) continue;
        since.delete(Math.trunc(place));
        since.set(Math.trunc(place), at);
        if (since.size <= MOST) continue;
        for (const oldest of since.keys()) {
          since.delete(oldest);
          break;
        }
      }
    }
    this.#resting = new Set(since.keys());
    this.#groups = [...Map.groupBy(since, ([, at]) => at)]
      .map(([at, group]) => [at, ...group.map(([place]) => place)]);
  }

  /** The record to store; unknown fields are kept. */
  record(before: CursorRecord | undefined): CursorRecord {
    return {
      ...before,
      next: Ip.from4(this.first + this.#next).toString(),
      released: this.#groups as number[][],
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
