import { messageOf } from "../common/refusal.ts";
import type { KeyValue } from "./messages.ts";
import type { Change, Entry, Schema } from "./types.ts";

const decoder = new TextDecoder();

/** What a mirror holds: the last good record of every key, and what is known of the keys that have none. */
export class Table<T> {
  readonly entries = new Map<string, Entry<T>>();
  /** Keys whose newest value could not be read, with the reason. */
  readonly quarantined = new Map<string, string>();
  /** The newest mod revision of keys that are quarantined or not ours. */
  readonly #skipped = new Map<string, number>();

  constructor(
    private readonly schema: Schema<T>,
    private readonly reportBad: (key: string, reason: string) => void,
  ) {}

  /** The newest mod revision seen of the key, good or bad; 0: absent. */
  version(key: string): number {
    return this.#skipped.get(key) ?? this.entries.get(key)?.modRevision ?? 0;
  }

  *keys(): IterableIterator<string> {
    yield* this.entries.keys();
    for (const key of this.#skipped.keys()) if (!this.entries.has(key)) yield key;
  }

  put(kv: KeyValue): Change<T> | undefined {
    let record: T | undefined;
    try {
      record = this.schema.parse(kv.key, decoder.decode(kv.value));
    } catch (error) {
      // The last good record stays, under its old mod revision: whoever plans on it loses the commit.
      this.#skipped.set(kv.key, kv.modRevision);
      this.quarantined.set(kv.key, messageOf(error));
      this.reportBad(kv.key, messageOf(error));
      return undefined;
    }
    if (record === undefined) {
      this.#skipped.set(kv.key, kv.modRevision);
      return undefined;
    }
    if (this.#skipped.delete(kv.key)) this.quarantined.delete(kv.key);
    const { key, createRevision, modRevision } = kv;
    const before = this.entries.get(key), after = { key, record, createRevision, modRevision };
    this.entries.set(key, after);
    return { key, before, after };
  }

  remove(key: string): Change<T> | undefined {
    if (this.#skipped.delete(key)) this.quarantined.delete(key);
    const before = this.entries.get(key);
    if (!before) return undefined;
    this.entries.delete(key);
    return { key, before, after: undefined };
  }
}

/** Takes in a listing, part by part, and changes the table only when it is complete. */
export class Listing<T> {
  readonly #listed = new Set<string>();
  readonly #news: KeyValue[] = [];

  constructor(private readonly table: Table<T>) {}

  add(kvs: readonly KeyValue[]): void {
    for (const kv of kvs) {
      this.#listed.add(kv.key);
      if (this.table.version(kv.key) !== kv.modRevision) this.#news.push(kv);
    }
  }

  /** Makes the table show what was listed; returns the difference. */
  apply(): Change<T>[] {
    const changes: (Change<T> | undefined)[] = [];
    const gone = [...this.table.keys()].filter((key) => !this.#listed.has(key));
    for (const key of gone) changes.push(this.table.remove(key));
    for (const kv of this.#news) changes.push(this.table.put(kv));
    return changes.filter((change) => change !== undefined);
  }
}
