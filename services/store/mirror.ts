/** A mirror: an in-memory copy of a part of etcd, kept up to date by a watch. */
import { Refusal } from "../common/refusal.ts";
import { Confirmation } from "./confirmation.ts";
import type { EtcdConnection } from "./connection.ts";
import { callReason } from "./failure.ts";
import type { EtcdMember } from "./member.ts";
import { type Listed, MirrorData } from "./mirror_data.ts";
import type { MirrorEvent } from "./mirror_log.ts";
import { type FollowedPart, newPart } from "./followed_parts.ts";
import { checkForSkipped, type FoundSkipped, type SkippedEventCheck } from "./skipped.ts";
import { SyncState } from "./sync_state.ts";
import { abortable, delay, unobserved } from "../common/async.ts";
import type { Change, Entry, Guard, Mirror, MirrorState, Schema } from "./types.ts";
import { RelistNeeded, Watch } from "./watch.ts";

export interface MirrorOptions {
  readonly report?: (event: MirrorEvent) => void;
  /** How often the mirror compares itself with a listing, in ms, give or take a fifth (default 5 min). */
  readonly checkEveryMs?: number;
  /** How long the watch may lag behind a listing before a difference counts as missed, in ms (default 1,000). */
  readonly settleMs?: number;
}

const RETRY_MS = 250;
/** How long the watch may lag behind a listing or a comparison, in ms. */
const SETTLE_MS = 1_000;
/** How soon the mirror compares itself with a listing after it was listed, in ms. */
const FIRST_CHECK_MS = 3_000;
/**
 * How soon it does so where the watch goes on without a new listing: with another member, whose data may differ, or the same one.
 */
const MOVED_CHECK_MS = 200, SAME_CHECK_MS = 1_000, SAME_SPREAD_MS = 4_000;

/**
 * The reading half of the store, see {@link Mirror}: it lists etcd's keys at a revision, then watches from there. The
 * parts that it follows in addition to its schema's prefixes may change while it runs.
 *
 * When subscribers are notified of a change, `clusterId` and `state.revision` are already those of the change: a
 * subscriber can check that it is the same store before it acts on the change.
 */
export class StoreMirror<T> implements Mirror<T> {
  readonly #connection: EtcdConnection;
  readonly #data: MirrorData<T>;
  readonly #report: (event: MirrorEvent) => void;
  readonly #options: MirrorOptions;
  readonly #ready = unobserved<void>();
  readonly #closing = new AbortController();
  readonly #confirmation: Confirmation;
  /** The parts that calls of {@link StoreMirror.follow} are listing now, by prefix. */
  readonly #arriving = new Set<Map<string, FollowedPart>>();
  /** The reason why everything has to be listed again; undefined: watching can go on. */
  #relistReason: string | undefined = "the first listing";
  /** Settles when the current attempt to get in sync has succeeded or failed. */
  #resumed = unobserved<void>();
  #watching: { readonly watch: Watch; readonly look: SkippedEventCheck } | undefined;
  /** The member that was watched last. */
  #watched: EtcdMember | undefined;
  /** Ends the current watch. */
  #interrupt: (reason: Error) => void = () => {};
  readonly #sync: SyncState;
  #missed = 0;
  #relists = -1;

  /** Starts following at once, and retries until {@link StoreMirror.close}. */
  constructor(connection: EtcdConnection, schema: Schema<T>, options: MirrorOptions = {}) {
    this.#connection = connection;
    this.#options = options;
    this.#report = options.report ?? (() => {});
    this.#sync = new SyncState(this.#report);
    this.#data = new MirrorData(schema, this.#report);
    this.#confirmation = new Confirmation({
      connection,
      data: this.#data,
      settleMs: options.settleMs ?? SETTLE_MS,
      closing: this.#closing.signal,
      watching: () => this.#watching,
      isRelistNeeded: () => this.#relistReason !== undefined,
      relist: (reason) => void this.#relistAfter(reason),
    });
    this.#run();
  }

  get(key: string): Entry<T> | undefined {
    return this.#data.table.entries.get(key);
  }

  entries(): IterableIterator<Entry<T>> {
    return this.#data.table.entries.values();
  }

  version(key: string): number {
    return this.#data.table.version(key);
  }

  existedSince(key: string, revision: number): boolean {
    return this.#data.existedSince(key, revision);
  }

  get state(): MirrorState {
    return {
      inSync: this.#sync.inSync,
      revision: this.#data.revision,
      outSince: this.#sync.outSince,
      outReason: this.#sync.outReason,
      quarantined: this.#data.table.quarantined,
      missed: this.#missed,
      relists: Math.max(0, this.#relists),
    };
  }

  /** The id of the cluster that was listed, in hex as etcdctl prints it; undefined before that. */
  get clusterId(): string | undefined {
    return this.#data.clusterId?.toString(16);
  }

  subscribe(listener: (changes: readonly Change<T>[]) => void): () => void {
    return this.#data.subscribers.add(listener);
  }

  async ready(options: { signal?: AbortSignal } = {}): Promise<void> {
    await abortable(this.#ready.promise, options.signal);
  }

  /** Resolves when the mirror is in sync with etcd, at once if it is. Rejects once it is closed. */
  async inSync(options: { signal?: AbortSignal } = {}): Promise<void> {
    await abortable(this.#sync.whenInSync, options.signal);
  }

  async caughtUp(keys: readonly Guard[], options: { signal?: AbortSignal } = {}): Promise<void> {
    const needs = keys.map(({ key, modRevision }) => ({ key, revision: modRevision }));
    await this.#data.waiters.wait(needs, options.signal);
  }

  async reached(
    revision: number,
    keys: readonly string[],
    options: { signal?: AbortSignal } = {},
  ): Promise<void> {
    await this.#data.waiters.wait(keys.map((key) => ({ key, revision })), options.signal);
  }

  /** See {@link Confirmation.confirmed}. */
  confirmed(signal: AbortSignal): Promise<void> {
    return this.#confirmation.confirmed(signal);
  }

  /** See {@link Confirmation.reported}. */
  reported(keys: readonly string[], signal: AbortSignal): Promise<void> {
    return this.#confirmation.reported(keys, signal);
  }

  /**
   * Follows further parts: prefixes that end in a slash, or single keys; none may lie inside another. The parts of one
   * call are listed at one revision. Resolves when the mirror shows them, except those that were unfollowed meanwhile, and
   * the mirror misses no event of them from then on. Parts that are followed already cause no request.
   *
   * @throws Refusal "unavailable" when etcd cannot be reached or is not the store that is followed; the call has then
   * changed nothing.
   */
  async follow(prefixes: readonly string[], options: { signal?: AbortSignal } = {}): Promise<void> {
    const wanted = new Map<string, FollowedPart>();
    for (const prefix of prefixes) {
      const outer = this.#data.parts.of(prefix);
      if (!outer) wanted.set(prefix, newPart(prefix, true));
      else if (outer.prefix !== prefix) throw new Error(`${prefix} lies inside ${outer.prefix}`);
    }
    if (!wanted.size) return await this.ready(options);
    this.#arriving.add(wanted);
    try {
      await this.#follow(wanted, options.signal);
    } catch (error) {
      throw error instanceof RelistNeeded
        ? new Refusal("unavailable", `etcd's data contradicts what was read before: ${error.message}`)
        : error;
    } finally {
      this.#arriving.delete(wanted);
    }
  }

  /**
   * Stops following parts that {@link StoreMirror.follow} began, and removes their records, of which subscribers are
   * notified. Does nothing once the mirror is closed.
   */
  unfollow(prefixes: readonly string[]): void {
    if (this.#closing.signal.aborted) return;
    const changes: Change<T>[] = [];
    for (const prefix of prefixes) {
      for (const wanted of this.#arriving) wanted.delete(prefix);
      const part = this.#data.parts.get(prefix);
      if (!part) continue;
      if (!part.keys) throw new Error(`${prefix} is followed for good`);
      for (const change of this.#data.removePart(part)) changes.push(change);
      this.#watching?.watch.remove(part);
    }
    this.#data.notify(changes);
  }

  /** Stops following. The records stay readable; callers that wait get a Refusal. */
  close(): void {
    const closed = new Refusal("unavailable", "the store is being closed");
    this.#closing.abort(closed);
    this.#interrupt(closed);
    this.#ready.reject(closed);
    this.#sync.close(closed);
    this.#resumed.reject(closed);
    this.#data.waiters.fail(closed);
    this.#data.comparisons.fail(closed);
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const resumed = this.#resumed;
      try {
        const listed = await this.#resume().finally(() => this.#resumed = unobserved());
        resumed.resolve();
        await this.#watch(listed);
      } catch (error) {
        resumed.reject(error);
        if (signal.aborted) return;
        if (error instanceof RelistNeeded) this.#relistReason = error.message;
        this.#sync.onOutOfSync(callReason(error));
        await delay(RETRY_MS * (0.5 + Math.random()), signal);
      }
    }
  }

  /** Checks that the watch may go on from the current data, else lists everything again. Returns true if it listed. */
  async #resume(): Promise<boolean> {
    if (this.#relistReason === undefined) {
      const revision = this.#data.revision;
      const head = await this.#connection.head();
      this.#relistReason = this.#data.contradiction(head, revision);
    }
    if (this.#relistReason === undefined) return false;
    await this.#relist(this.#relistReason);
    return true;
  }

  async #relist(reason: string): Promise<void> {
    const closing = this.#closing.signal;
    const listed = await this.#data.list(this.#connection, this.#data.parts.all(), closing);
    closing.throwIfAborted();
    this.#relistReason = undefined;
    const changes = this.#data.replace(listed);
    if (++this.#relists > 0) this.#report({ kind: "relisted", reason, changes: changes.length });
    this.#data.notify(changes);
    this.#ready.resolve();
  }

  async #follow(wanted: ReadonlyMap<string, FollowedPart>, signal: AbortSignal | undefined): Promise<void> {
    while (wanted.size) {
      signal?.throwIfAborted();
      const relists = this.#relists, revision = this.#data.revision;
      const listed = await abortable(
        this.#data.list(this.#connection, [...wanted.values()], this.#closing.signal),
        signal,
      );
      this.#closing.signal.throwIfAborted();
      // A full listing that is running, or ran meanwhile, may show another store than the listing of these parts.
      if (this.#relistReason !== undefined) await abortable(this.#resumed.promise, signal);
      if (relists === this.#relists) return this.#arrive(wanted, listed, revision);
    }
  }

  /** @param knownRevision The revision of the mirror when the listing was requested. */
  #arrive(wanted: ReadonlyMap<string, FollowedPart>, listed: Listed<T>, knownRevision: number): void {
    const wrong = this.#data.contradiction(listed, knownRevision);
    if (wrong !== undefined) throw this.#relistAfter(wrong);
    for (const part of wanted.values()) {
      if (this.#data.addPart(part, listed.revision)) this.#watching?.watch.add(part);
    }
    this.#data.append(listed);
  }

  /** Watches from the current data on, which was `listed` just now or is older, and throws the reason when the watch ends. */
  async #watch(listed: boolean): Promise<never> {
    const interrupted = unobserved<never>();
    this.#interrupt = interrupted.reject;
    // A comparison may have found it out while nothing was watched.
    if (this.#relistReason !== undefined) throw new RelistNeeded(this.#relistReason);
    // The store that is watched from now on may be another one, which was restored.
    if (!listed) this.#data.invalidateEqualRevisions();
    const watch = await Watch.open(this.#connection, this.#data.clusterId, {
      created: () => this.#sync.onInSync(this.#data.revision),
      events: (part, events) => this.#data.take(part, events),
    });
    if (this.#closing.signal.aborted) interrupted.reject(this.#closing.signal.reason);
    for (const part of this.#data.parts.all()) watch.add(part);
    const firstCheckMs = listed ? FIRST_CHECK_MS : this.#checkAfter(watch.member);
    this.#watched = watch.member;
    const { checkEveryMs = 300_000, settleMs = SETTLE_MS } = this.#options;
    const look = checkForSkipped({
      connection: this.#connection,
      parts: this.#data.parts,
      table: this.#data.table,
      waiters: this.#data.waiters,
      watch,
      lost: (found, reason) => this.#lost(found, reason),
    }, { firstCheckMs, checkEveryMs, settleMs });
    this.#watching = { watch, look };
    try {
      return await watch.run(interrupted.promise);
    } finally {
      this.#watching = undefined;
      look.stop();
    }
  }

  /** The delay is random where a member has restarted: all processes reconnect at once, and should not all list at once. */
  #checkAfter(member: EtcdMember): number {
    return member === this.#watched ? SAME_CHECK_MS + Math.random() * SAME_SPREAD_MS : MOVED_CHECK_MS;
  }

  #lost({ missed, restored }: FoundSkipped, reason: string): void {
    this.#missed += missed;
    this.#report({ kind: "missed", count: missed, restored });
    this.#relistAfter(reason);
  }

  /** Has everything listed again: the data contradicts what etcd has. Returns the error that says so. */
  #relistAfter(reason: string): RelistNeeded {
    const needed = new RelistNeeded(reason);
    this.#relistReason ??= reason;
    this.#interrupt(needed);
    return needed;
  }
}
