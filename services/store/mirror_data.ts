/**
 * The data of a mirror: the records of the parts of etcd that it follows, and the cluster and revision that they
 * show. Listings and watch events change it; subscribers and waiting callers are notified of each change.
 */
import { Comparisons } from "./comparison.ts";
import type { EtcdConnection } from "./connection.ts";
import type { ResponseHeader, WatchEvent } from "./messages.ts";
import { type FollowedPart, FollowedParts, newPart } from "./followed_parts.ts";
import { Removals } from "./removals.ts";
import { Subscribers } from "./subscribers.ts";
import { Listing, RecordTable } from "./table.ts";
import type { MirrorEvent } from "./mirror_log.ts";
import type { Change, Schema } from "./types.ts";
import { Waiters } from "./waiters.ts";
import { RelistNeeded } from "./watch.ts";

/** The contents of some parts at one revision. */
export interface Listed<T> extends ResponseHeader {
  readonly listing: Listing<T>;
}

/** The records and parts of one mirror, without its connection. */
export class MirrorData<T> {
  readonly parts = new FollowedParts();
  readonly table: RecordTable<T>;
  readonly waiters: Waiters;
  readonly comparisons: Comparisons;
  readonly subscribers: Subscribers<T>;
  readonly #removals = new Removals();
  #clusterId: bigint | undefined;
  #revision = 0;

  /** @param report Is called for each record that cannot be parsed and each subscriber that throws. */
  constructor(schema: Schema<T>, report: (event: MirrorEvent) => void) {
    this.table = new RecordTable(schema, (key, reason) => report({ kind: "bad-record", key, reason }));
    this.subscribers = new Subscribers((error) => report({ kind: "listener-failed", error }));
    for (const prefix of schema.prefixes) this.parts.add(newPart(prefix));
    const version = (key: string) => this.table.version(key);
    this.comparisons = new Comparisons(version);
    this.waiters = new Waiters({
      version,
      seen: (key) => this.parts.of(key)?.seen ?? Infinity,
      existedSince: (key, revision) => this.existedSince(key, revision),
    });
  }

  /** The cluster that was listed; undefined before the first listing. */
  get clusterId(): bigint | undefined {
    return this.#clusterId;
  }

  /** The newest revision that was listed or that a watch event had; 0 before the first listing. */
  get revision(): number {
    return this.#revision;
  }

  /** See {@link Mirror.existedSince}. */
  existedSince(key: string, revision: number): boolean {
    const part = this.parts.of(key);
    if (!part || revision < (part.listed ?? Infinity)) return true;
    return this.table.version(key) > 0 || this.#removals.since(key, revision);
  }

  /** Returns how an answer contradicts this data, which was at `revision` when the request was sent; undefined: it does not. */
  contradiction(answer: ResponseHeader, revision: number): string | undefined {
    if (answer.clusterId !== this.#clusterId) return "another cluster answers";
    if (answer.revision >= revision) return undefined;
    return `the store went back from revision ${revision} to ${answer.revision}`;
  }

  /** Reads the parts from etcd at one revision, and changes nothing here yet. */
  async list(
    connection: EtcdConnection,
    parts: readonly FollowedPart[],
    closing: AbortSignal,
  ): Promise<Listed<T>> {
    const listing = new Listing(this.table);
    let head: ResponseHeader | undefined;
    for await (const { index, header, kvs } of connection.list(parts.map(({ prefix }) => prefix))) {
      closing.throwIfAborted();
      if (head && head.clusterId !== header.clusterId) throw new RelistNeeded("two clusters answer in turn");
      head = header;
      const part = parts[index];
      if (part) listing.add(part, kvs);
    }
    if (!head) throw new Error("a listing of nothing");
    return { listing, ...head };
  }

  /** Replaces everything by a listing of all parts. Returns the changes; the caller passes them to {@link notify}. */
  replace({ listing, clusterId, revision }: Listed<T>): Change<T>[] {
    this.#clusterId = clusterId;
    this.#revision = revision;
    for (const part of this.parts.all()) part.seen = part.listed = part.equal = revision;
    const changes = listing.replace(this.parts, revision);
    this.comparisons.endAll();
    return changes;
  }

  /** Forgets up to when this data is equal to etcd's: until all of it has been compared again, that is not known. */
  invalidateEqualRevisions(): void {
    for (const part of this.parts.all()) part.equal = 0;
    this.comparisons.endAll();
  }

  /** Adds a part that was listed at this revision. Returns false if another call has added it meanwhile. */
  addPart(part: FollowedPart, revision: number): boolean {
    if (this.parts.get(part.prefix)) return false;
    part.seen = part.listed = part.equal = revision;
    this.parts.add(part);
    return true;
  }

  /** Adds the listed records of parts that are followed now, and notifies subscribers. */
  append({ listing, revision }: Listed<T>): void {
    this.#revision = Math.max(this.#revision, revision);
    this.notify(listing.append(this.parts, revision));
  }

  /** Removes a part and its records. Returns the changes; the caller passes them to {@link notify}. */
  removePart(part: FollowedPart): Change<T>[] {
    this.parts.delete(part);
    this.comparisons.drop(part);
    return [...part.keys ?? []].flatMap((key) => this.table.remove(undefined, key, this.#revision) ?? []);
  }

  /** Applies events of the watch, and notifies subscribers. */
  take(part: FollowedPart, events: readonly WatchEvent[]): void {
    const changes = events.map((event) => this.#apply(part, event)).filter((change) => change !== undefined);
    part.seen = Math.max(part.seen, events.at(-1)?.kv.modRevision ?? 0);
    this.#revision = Math.max(this.#revision, part.seen);
    this.notify(changes);
  }

  /** Notifies the subscribers of the changes, and wakes the callers that wait for them. */
  notify(changes: readonly Change<T>[]): void {
    this.subscribers.notify(changes);
    this.waiters.check();
    this.comparisons.check();
  }

  #apply(part: FollowedPart, event: WatchEvent): Change<T> | undefined {
    if (!this.comparisons.some) return this.#take(part, event);
    const { key, modRevision: revision } = event.kv, before = this.table.version(key);
    const change = this.#take(part, event);
    this.comparisons.take(part, { key, before, after: this.table.version(key), revision });
    return change;
  }

  #take(part: FollowedPart, { removed, kv }: WatchEvent): Change<T> | undefined {
    // A listing may have shown this version already.
    if (kv.modRevision <= this.table.version(kv.key)) return undefined;
    if (removed) this.#removals.note(kv.key, kv.modRevision);
    // A comparison may have shown that this version is over.
    if (kv.modRevision <= part.equal) return undefined;
    return removed ? this.table.remove(part, kv.key, kv.modRevision) : this.table.put(part, kv);
  }
}
