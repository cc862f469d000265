import { Refusal } from "../common/refusal.ts";
import type { Connection } from "./connection.ts";
import { callReason } from "./failure.ts";
import type { WatchEvent } from "./messages.ts";
import { selfCheck } from "./self_check.ts";
import { Listing, Table } from "./table.ts";
import { pause, repeat } from "./timers.ts";
import type { Change, Entry, Guard, Mirror, MirrorState, Schema } from "./types.ts";
import { Waiters } from "./waiters.ts";
import { Doubt, watch } from "./watch.ts";

/** What a mirror has to say to whoever keeps the log: once per change of state, not per try. */
export type MirrorEvent =
  | { readonly kind: "in-step"; readonly revision: number }
  /** etcd went away, or has not been reached yet; reads go on from what is here. */
  | { readonly kind: "out-of-step"; readonly reason: string }
  | { readonly kind: "relisted"; readonly reason: string; readonly changes: number }
  | { readonly kind: "missed"; readonly count: number }
  | { readonly kind: "bad-record"; readonly key: string; readonly reason: string }
  | { readonly kind: "listener-failed"; readonly error: unknown };

export interface MirrorOptions {
  readonly report?: (event: MirrorEvent) => void;
  /** How often the mirror compares itself with a listing, in ms, give or take a fifth (default 5 min). */
  readonly checkEveryMs?: number;
  /** How long the watch may lag behind a listing before a difference counts as missed, in ms (default 1,000). */
  readonly settleMs?: number;
}

const RETRY_MS = 250, ASK_MS = 200, LOST_MS = 2_000, FIRST_CHECK_MS = 3_000;

/** The reading half of the store, see {@link Mirror}: lists at a revision, then watches on from there. */
export class StoreMirror<T> implements Mirror<T> {
  readonly #connection: Connection;
  readonly #prefixes: readonly string[];
  readonly #report: (event: MirrorEvent) => void;
  readonly #options: MirrorOptions;
  readonly #table: Table<T>;
  readonly #waiters: Waiters;
  readonly #listeners = new Set<(changes: readonly Change<T>[]) => void>();
  readonly #ready = Promise.withResolvers<void>();
  readonly #closing = new AbortController();
  /** Per prefix: every event up to this revision has been taken in. */
  readonly #seen: number[];
  /** Why everything is to be listed anew; undefined: go on watching. */
  #doubt: string | undefined = "the first listing";
  /** Ends the present watch. */
  #interrupt: (reason: Error) => void = () => {};
  #clusterId: bigint | undefined;
  #inStep = false;
  #outSince: number | undefined = Date.now();
  #saidOut = false;
  #revision = 0;
  #missed = 0;
  #relists = -1;

  /** Starts following at once, and keeps trying until {@link StoreMirror.close}. */
  constructor(connection: Connection, schema: Schema<T>, options: MirrorOptions = {}) {
    this.#connection = connection;
    this.#prefixes = schema.prefixes;
    this.#options = options;
    this.#report = options.report ?? (() => {});
    this.#table = new Table(schema, (key, reason) => this.#report({ kind: "bad-record", key, reason }));
    this.#seen = this.#prefixes.map(() => 0);
    this.#waiters = new Waiters({
      version: (key) => this.#table.version(key),
      seen: (key) => this.#seen[this.#prefixes.findIndex((prefix) => key.startsWith(prefix))] ?? Infinity,
    });
    // Nobody may be waiting when the mirror is closed before it was ever ready.
    this.#ready.promise.catch(() => {});
    this.#run();
  }

  get(key: string): Entry<T> | undefined {
    return this.#table.entries.get(key);
  }

  entries(): IterableIterator<Entry<T>> {
    return this.#table.entries.values();
  }

  version(key: string): number {
    return this.#table.version(key);
  }

  get state(): MirrorState {
    return {
      inStep: this.#inStep,
      revision: this.#revision,
      outSince: this.#outSince,
      quarantined: this.#table.quarantined,
      missed: this.#missed,
      relists: Math.max(0, this.#relists),
    };
  }

  /** The id of the cluster that was listed, in hex as etcdctl prints it; undefined before that. */
  get clusterId(): string | undefined {
    return this.#clusterId?.toString(16);
  }

  subscribe(listener: (changes: readonly Change<T>[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async ready(options: { signal?: AbortSignal } = {}): Promise<void> {
    const { signal } = options;
    signal?.throwIfAborted();
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    await Promise.race([this.#ready.promise, aborted.promise]).finally(() =>
      signal?.removeEventListener("abort", abort)
    );
  }

  async caughtUp(keys: readonly Guard[], options: { signal?: AbortSignal } = {}): Promise<void> {
    const needs = keys.map(({ key, modRevision }) => ({ key, revision: modRevision }));
    await this.#waiters.wait(needs, options.signal);
  }

  async reached(
    revision: number,
    keys: readonly string[],
    options: { signal?: AbortSignal } = {},
  ): Promise<void> {
    await this.#waiters.wait(keys.map((key) => ({ key, revision })), options.signal);
  }

  /** Stops following. What is here stays readable; whoever waits is refused. */
  close(): void {
    const closed = new Refusal("unavailable", "the store is being closed");
    this.#closing.abort(closed);
    this.#interrupt(closed);
    this.#ready.reject(closed);
    this.#waiters.fail(closed);
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.#resume();
        await this.#watch();
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Doubt) this.#doubt = error.message;
        this.#fellOut(callReason(error));
        await pause(RETRY_MS * (0.5 + Math.random()), signal);
      }
    }
  }

  /** Makes sure that watching on from what is here is right, and lists everything where it is not. */
  async #resume(): Promise<void> {
    if (this.#doubt === undefined) {
      const head = await this.#connection.head();
      if (head.clusterId !== this.#clusterId) this.#doubt = "another cluster answers";
      else if (head.revision < this.#revision) {
        this.#doubt = `the store went back from revision ${this.#revision} to ${head.revision}`;
      }
    }
    if (this.#doubt !== undefined) await this.#relist(this.#doubt);
  }

  async #relist(reason: string): Promise<void> {
    const listing = new Listing(this.#table);
    let revision = 0, clusterId: bigint | undefined;
    for (const prefix of this.#prefixes) {
      for await (const { header, kvs } of this.#connection.list(prefix, { revision })) {
        if (clusterId !== undefined && clusterId !== header.clusterId) {
          throw new Doubt("two clusters answer in turn");
        }
        clusterId = header.clusterId;
        revision ||= header.revision;
        listing.add(kvs);
      }
    }
    this.#doubt = undefined;
    this.#clusterId = clusterId;
    this.#revision = revision;
    this.#seen.fill(revision);
    const changes = listing.apply();
    if (++this.#relists > 0) this.#report({ kind: "relisted", reason, changes: changes.length });
    this.#emit(changes);
    this.#ready.resolve();
  }

  /** Watches on from what is here, and throws why it no longer can. */
  async #watch(): Promise<never> {
    const interrupted = Promise.withResolvers<never>();
    interrupted.promise.catch(() => {}); // It may come when nobody watches any more.
    this.#interrupt = interrupted.reject;
    const watched = this.#prefixes.map((prefix, i) => ({ prefix, from: (this.#seen[i] ?? 0) + 1 }));
    const handlers = {
      created: () => this.#fellIn(),
      events: (i: number, events: readonly WatchEvent[]) => this.#take(i, events),
    };
    const stops = [this.#askForWaiters(), this.#checkNowAndThen()];
    try {
      return await watch(this.#connection, watched, this.#clusterId, handlers, interrupted.promise);
    } finally {
      for (const stop of stops) stop();
    }
  }

  #take(i: number, events: readonly WatchEvent[]): void {
    const changes = events.map((event) => this.#apply(event)).filter((change) => change !== undefined);
    const seen = Math.max(this.#seen[i] ?? 0, events.at(-1)?.kv.modRevision ?? 0);
    this.#seen[i] = seen;
    this.#revision = Math.max(this.#revision, seen);
    this.#emit(changes);
  }

  #apply({ removed, kv }: WatchEvent): Change<T> | undefined {
    // What a listing has shown already is not news.
    if (kv.modRevision <= this.#table.version(kv.key)) return undefined;
    return removed ? this.#table.remove(kv.key) : this.#table.put(kv);
  }

  #emit(changes: readonly Change<T>[]): void {
    for (const listener of changes.length ? this.#listeners : []) {
      try {
        listener(changes);
      } catch (error) {
        this.#report({ kind: "listener-failed", error });
      }
    }
    this.#waiters.check();
  }

  #fellIn(): void {
    this.#inStep = true;
    this.#outSince = undefined;
    this.#saidOut = false;
    this.#report({ kind: "in-step", revision: this.#revision });
  }

  #fellOut(reason: string): void {
    this.#inStep = false;
    this.#outSince ??= Date.now();
    if (this.#saidOut) return;
    this.#saidOut = true;
    this.#report({ kind: "out-of-step", reason });
  }

  #askForWaiters(): () => void {
    return repeat(() => ASK_MS, async () => {
      if (!this.#inStep || !this.#waiters.size) return;
      const lost = await this.#waiters.ask((key) => this.#connection.modRevision(key), ASK_MS, LOST_MS)
        .catch(unlessRefused);
      if (lost !== undefined) this.#lost(1, `the watch lost an event of ${lost}`);
    });
  }

  #checkNowAndThen(): () => void {
    const { checkEveryMs = 300_000, settleMs = 1_000 } = this.#options;
    let every = Math.min(FIRST_CHECK_MS, checkEveryMs);
    let stopped = false;
    const next = () => every * (0.8 + Math.random() * 0.4);
    const stop = repeat(next, async () => {
      every = checkEveryMs;
      const check = await selfCheck(this.#connection, this.#prefixes, this.#table, settleMs).catch(
        unlessRefused,
      );
      if (!check || stopped) return;
      const { missed, revision } = check;
      if (missed) this.#lost(missed, `a self-check found ${missed} changes missed`);
      // Proven complete up to here: a watch can go on from it long after older history was compacted away.
      else this.#prefixes.forEach((_, i) => this.#seen[i] = Math.max(this.#seen[i] ?? 0, revision));
    });
    return () => {
      stopped = true;
      stop();
    };
  }

  #lost(count: number, reason: string): void {
    this.#missed += count;
    this.#report({ kind: "missed", count });
    this.#interrupt(new Doubt(reason));
  }
}

/** etcd being away is for the watch to notice and report; what asked in the background asks again. */
function unlessRefused(error: unknown): undefined {
  if (!(error instanceof Refusal)) throw error;
}
