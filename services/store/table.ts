/** The table of a mirror's records, and listings that change it. */
import { messageOf } from "../common/refusal.ts";
import type { KeyValue } from "./messages.ts";
import type { FollowedPart, FollowedParts } from "./followed_parts.ts";
import { QuarantinedKeys } from "./quarantined_keys.ts";
import type { Change, Entry, Schema } from "./types.ts";

const decoder = new TextDecoder();

/** A key as it was read: with its record, or with the reason why there is none; undefined: the key is not ours. */
type Read<T> = Entry<T> | Omit<Entry<T>, "record"> & { readonly reason: string | undefined };

/** The records of a mirror: the last valid record of every key, and the revisions of keys without one. */
export class Table<T> {
  readonly entries = new Map<string, Entry<T>>();
  readonly quarantined = new QuarantinedKeys();
  /** The newest mod revision of keys that are quarantined or not ours. */
  readonly #skipped = new Map<string, number>();

  constructor(
    private readonly schema: Schema<T>,
    private readonly reportBad: (key: string, reason: string) => void,
  ) {}

  /** The newest mod revision seen of the key, valid or not; 0: absent. */
  version(key: string): number {
    return this.#skipped.get(key) ?? this.entries.get(key)?.modRevision ?? 0;
  }

  *keys(): IterableIterator<string> {
    yield* this.entries.keys();
    for (const key of this.#skipped.keys()) if (!this.entries.has(key)) yield key;
  }

  /** @param revision The value of {@link Change.revision}. */
  put(part: FollowedPart, kv: KeyValue, revision = kv.modRevision): Change<T> | undefined {
    return this.set(part, this.read(kv), revision);
  }

  /** Parses a record, and changes nothing. */
  read({ key, value, createRevision, modRevision }: KeyValue): Read<T> {
    let reason: string | undefined;
    try {
      const record = this.schema.parse(key, decoder.decode(value));
      if (record !== undefined) return { key, record, createRevision, modRevision };
    } catch (error) {
      reason = messageOf(error);
    }
    return { key, reason, createRevision, modRevision };
  }

  /** Does what {@link put} does, for a key that was read. */
  set(part: FollowedPart, read: Read<T>, revision: number): Change<T> | undefined {
    const { key, modRevision } = read;
    part.keys?.add(key);
    const before = this.entries.get(key);
    if (!before && !this.#skipped.has(key)) part.size++;
    if (!("record" in read)) {
      // The last valid record stays under its old mod revision, so that a plan based on it fails at the commit.
      this.#skipped.set(key, modRevision);
      if (read.reason === undefined) return undefined;
      this.quarantined.set(key, read.reason);
      this.reportBad(key, read.reason);
      return undefined;
    }
    if (this.#skipped.delete(key)) this.quarantined.delete(key);
    this.entries.set(key, read);
    return { key, before, after: read, revision };
  }

  /** @param part The part of the key, if it is still followed. */
  remove(part: FollowedPart | undefined, key: string, revision: number): Change<T> | undefined {
    part?.keys?.delete(key);
    if (part && this.version(key)) part.size--;
    if (this.#skipped.delete(key)) this.quarantined.delete(key);
    const before = this.entries.get(key);
    if (!before) return undefined;
    this.entries.delete(key);
    return { key, before, after: undefined, revision };
  }
}

/**
 * Collects a listing of some parts page by page, and changes the table only when the listing is complete. Its records are parsed as
 * they come, so that no more than a page of etcd's messages is held.
 */
export class Listing<T> {
  readonly #news = new Map<FollowedPart, Read<T>[]>();
  /** The keys that the table has in the listed version already. */
  readonly #same: string[] = [];

  constructor(private readonly table: Table<T>) {}

  add(part: FollowedPart, kvs: readonly KeyValue[]): void {
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
    return removals.concat(this.append(parts, revision));
  }

  /** The keys of the table that were not listed; the first listing finds it empty, and need not compare. */
  #gone(): string[] {
    const kept = [...this.table.keys()];
    if (!kept.length) return [];
    const listed = new Set(this.#same);
    for (const kvs of this.#news.values()) for (const { key } of kvs) listed.add(key);
    return kept.filter((key) => !listed.has(key));
  }

  /** Adds the listed records of those parts that are followed now; returns the changes. */
  append(parts: FollowedParts, revision: number): Change<T>[] {
    return [...this.#news].flatMap(([part, kvs]) =>
      parts.has(part) ? kvs.flatMap((kv) => this.table.set(part, kv, revision) ?? []) : []
    );
  }
}
