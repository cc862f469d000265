/** The table of a mirror's records, and listings that change it. */
import { messageOf } from "../common/refusal.ts";
import type { KeyValue } from "./messages.ts";
import type { FollowedPart, FollowedParts } from "./followed_parts.ts";
import { QuarantinedKeys } from "./quarantined_keys.ts";
import type { Change, Entries, Entry, Schema } from "./types.ts";

const decoder = new TextDecoder();

/** A key of etcd's without a valid record, with the reason where it should have one. */
interface Unread {
  readonly key: string;
  readonly modRevision: number;
  readonly bad?: string;
}

type Read<T> = Entry<T> | Unread;

/** A change; of a long listing there are many at once, so that it has no key of its own. */
class EntryChange<T> implements Change<T> {
  constructor(
    readonly before: Entry<T> | undefined,
    readonly after: Entry<T> | undefined,
    readonly revision: number,
  ) {}

  get key(): string {
    return (this.after ?? this.before)?.key ?? "";
  }
}

class Plain<T> extends Map<string, Entry<T>> {
  keep(entry: Entry<T>): Entry<T> {
    return entry;
  }

  put(entry: Entry<T>): Entry<T> | undefined {
    const before = this.get(entry.key);
    this.set(entry.key, entry);
    return before;
  }
}

/** The records of a mirror: the last valid record of every key, and the revisions of keys without one. */
export class RecordTable<T> {
  readonly entries: Entries<T>;
  readonly quarantined = new QuarantinedKeys();
  /** The newest mod revision of keys that are quarantined or not ours. */
  readonly #skipped = new Map<string, number>();

  constructor(
    private readonly schema: Schema<T>,
    private readonly reportBad: (key: string, reason: string) => void,
  ) {
    this.entries = schema.entries?.() ?? new Plain();
  }

  /** The newest mod revision seen of the key, valid or not; 0: absent. */
  version(key: string): number {
    return this.#skipped.get(key) ?? this.entries.get(key)?.modRevision ?? 0;
  }

  *keys(): IterableIterator<string> {
    yield* this.entries.keys();
    for (const key of this.#skipped.keys()) if (!this.entries.has(key)) yield key;
  }

  /** Reads a key, and changes nothing here yet. */
  read({ key, value, createRevision, modRevision }: KeyValue): Read<T> {
    try {
      const record = this.schema.parse(key, decoder.decode(value));
      if (record === undefined) return { key, modRevision };
      return this.entries.keep({ key, record, createRevision, modRevision });
    } catch (error) {
      return { key, modRevision, bad: messageOf(error) };
    }
  }

  put(part: FollowedPart, kv: KeyValue): Change<T> | undefined {
    return this.set(part, this.read(kv), kv.modRevision);
  }

  /** @param revision The value of {@link Change.revision}. */
  set(part: FollowedPart, read: Read<T>, revision: number): Change<T> | undefined {
    if (!("record" in read)) return this.#skip(part, read);
    const before = this.entries.put(read),
      wasSkipped = this.#skipped.size > 0 && this.#skipped.delete(read.key);
    if (wasSkipped) this.quarantined.delete(read.key);
    if (!before && !wasSkipped) part.size++;
    part.keys?.add(read.key);
    return new EntryChange(before, read, revision);
  }

  #skip(part: FollowedPart, { key, modRevision, bad }: Unread): undefined {
    if (!this.version(key)) part.size++;
    part.keys?.add(key);
    // The last valid record stays under its old mod revision, so that a plan based on it fails at the commit.
    this.#skipped.set(key, modRevision);
    if (bad === undefined) return;
    this.quarantined.set(key, bad);
    this.reportBad(key, bad);
  }

  /** @param part The part of the key, if it is still followed. */
  remove(part: FollowedPart | undefined, key: string, revision: number): Change<T> | undefined {
    part?.keys?.delete(key);
    if (part && this.version(key)) part.size--;
    if (this.#skipped.delete(key)) this.quarantined.delete(key);
    const before = this.entries.get(key);
    if (!before) return undefined;
    this.entries.delete(key);
    return new EntryChange(before, undefined, revision);
  }
}

/**
 * Collects a listing of some parts page by page, and changes the table only when the listing is complete. What is new is read at
 * once: the texts of everything would take more memory than the records.
 */
export class Listing<T> {
  readonly #news = new Map<FollowedPart, Read<T>[]>();
  /** The keys that the table has in the listed version already. */
  readonly #same: string[] = [];

  constructor(private readonly table: RecordTable<T>) {}

  add(part: FollowedPart, kvs: Iterable<KeyValue>): void {
    let news = this.#news.get(part);
    if (!news) this.#news.set(part, news = []);
    for (const kv of kvs) {
      if (this.table.version(kv.key) === kv.modRevision) this.#same.push(kv.key);
      else news.push(this.table.read(kv));
    }
  }

  /** Replaces the whole table by the listing; returns the changes. */
  replace(parts: FollowedParts, revision: number): Change<T>[] {
    const removals = this.#gone().flatMap((key) => this.table.remove(parts.of(key), key, revision) ?? []);
    return this.append(parts, revision, removals);
  }

  /** The keys of the table that were not listed; the first listing finds it empty, and need not compare. */
  #gone(): string[] {
    const kept = [...this.table.keys()];
    if (!kept.length) return [];
    const listed = new Set(this.#same);
    for (const news of this.#news.values()) for (const { key } of news) listed.add(key);
    return kept.filter((key) => !listed.has(key));
  }

  /**
   * Adds the listed records of those parts that are followed now; returns the changes, behind those that are given. A listing may
   * have hundreds of thousands, so that they are put into one array.
   */
  append(parts: FollowedParts, revision: number, changes: Change<T>[] = []): Change<T>[] {
    for (const [part, news] of this.#news) {
      if (!parts.has(part)) continue;
      for (const read of news) {
        const change = this.table.set(part, read, revision);
        if (change) changes.push(change);
      }
    }
    return changes;
  }
}
