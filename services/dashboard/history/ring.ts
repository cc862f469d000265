/** The newest events of machines, in a memory of fixed size. */
import type { Told } from "./told.ts";

/** An event as it is kept. */
export interface Kept extends Told {
  /** The revision of etcd at which it happened, and the record's key. */
  readonly revision: number;
  readonly key: string;
  /** When this process saw it, in ms since the epoch; undefined: it was read of etcd's past. */
  readonly seen?: number;
  /** How many renewals of a lease in a row it stands for, and the revision of the first one. */
  readonly times?: number;
  readonly first?: number;
}

/** The most events that are kept: some 5 MB. */
export const MOST = 10_000;

/** The newest events, up to {@link MOST}: the oldest goes when there is a new one. */
export class Ring {
  /** By the order in which they came. */
  #events = new Map<number, Kept>();
  /** By key: the number of its newest event, where that is a renewal. */
  readonly #renewals = new Map<string, number>();
  #next = 0;
  #lost = 0;

  constructor(private readonly most = MOST) {}

  get size(): number {
    return this.#events.size;
  }

  /** The newest revision of which an event was dropped; 0: none was. */
  get lost(): number {
    return this.#lost;
  }

  /** Adds what has just happened. Renewals of a lease in a row are one event: they are most of what happens in a LAN. */
  add(event: Kept): void {
    const { key } = event, number = this.#next++, last = this.#renewals.get(key);
    const before = last === undefined ? undefined : this.#events.get(last);
    this.#renewals.delete(key);
    if (event.what === "renewed") {
      this.#renewals.set(key, number);
      if (last !== undefined && before) {
        this.#events.delete(last);
        event = { ...event, times: (before.times ?? 1) + 1, first: before.first ?? before.revision };
      }
    }
    this.#events.set(number, event);
    if (this.#events.size > this.most) this.#dropOldest();
  }

  /** Adds what happened before all that is there, the oldest first; what does not fit is dropped from its beginning. */
  addOlder(events: readonly Kept[]): void {
    const older = new Ring(Math.max(0, this.most - this.size));
    for (const event of events) older.add(event);
    this.#lost = Math.max(this.#lost, older.#lost);
    // Their numbers are below all that are there.
    const numbered = [...older.#events.values()].map((event, i, { length }) => [i - length, event] as const);
    const first = Math.min(0, ...this.#events.keys().take(1));
    this.#events = new Map([...numbered.map(([i, event]) => [first + i, event] as const), ...this.#events]);
  }

  /** All of them, in the order in which they came. */
  events(): IterableIterator<Kept> {
    return this.#events.values();
  }

  /** Those that were about it, the newest first. @param about In lower case; undefined: all. */
  of(about: readonly string[] | undefined): Kept[] {
    const all = [...this.#events.values()];
    const found = about ? all.filter((event) => about.some((id) => event.about.includes(id))) : all;
    return found.sort((a, b) => b.revision - a.revision);
  }

  /** The oldest revision of an event of the record; undefined: there is none. */
  oldestOf(key: string): number | undefined {
    let oldest: number | undefined;
    for (const { key: its, first, revision } of this.#events.values()) {
      if (its === key) oldest = Math.min(oldest ?? Infinity, first ?? revision);
    }
    return oldest;
  }

  #dropOldest(): void {
    for (const [number, { revision, key }] of this.#events) {
      this.#events.delete(number);
      this.#lost = Math.max(this.#lost, revision);
      if (this.#renewals.get(key) === number) this.#renewals.delete(key);
      return;
    }
  }
}
