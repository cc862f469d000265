/**
 * The types that the two halves of a store share: entries and changes that the mirror shows, plans that the committer
 * writes. Revisions are etcd's (whole numbers).
 */
import type { QuarantinedKeys } from "./quarantined_keys.ts";

/** A key with a valid record: the record, and the revisions at which it was written. */
export interface Entry<T> {
  readonly key: string;
  readonly record: T;
  readonly createRevision: number;
  readonly modRevision: number;
}

/** The change of one key. `before` is absent for a new key, `after` for a removed one. */
export interface Change<T> {
  readonly key: string;
  readonly before: Entry<T> | undefined;
  readonly after: Entry<T> | undefined;
  /**
   * When it happened, also for a removal. A change found by a listing may have happened earlier: it has the listing's
   * revision. One of a part that is no longer followed has the mirror's.
   */
  readonly revision: number;
}

/** The entries of a mirror by their keys, as a Map has them. */
export interface Entries<T> extends Pick<Map<string, Entry<T>>, "get" | "has" | "delete" | "size"> {
  /** The entry in the form in which it is kept. */
  keep(entry: Entry<T>): Entry<T>;
  /** Puts an entry that was kept in the place of an earlier one, which is returned. */
  put(entry: Entry<T>): Entry<T> | undefined;
  keys(): IterableIterator<string>;
  values(): IterableIterator<Entry<T>>;
}

/**
 * The parts that a mirror follows: prefixes that end in a slash, or single keys; and how a value under them is parsed. `parse`
 * returns undefined for a key that is not ours, and throws with the reason for an invalid value (which is then
 * reported, quarantined and skipped).
 */
export interface Schema<T> {
  readonly prefixes: readonly string[];
  /** Makes the table that the entries are kept in; a Map by default. */
  readonly entries?: () => Entries<T>;
  parse(key: string, value: string): T | undefined;
}

/** The commit is refused unless the key still has this mod revision; 0: unless it is absent. */
export interface Guard {
  readonly key: string;
  readonly modRevision: number;
}

/** The commit is refused if anything now under `prefix` was written after this revision. */
export interface PrefixGuard {
  readonly prefix: string;
  readonly unchangedSince: number;
}

/** `lease`: etcd removes the key by itself when that lease ends, see lease.ts. */
export type StoreOp =
  | { readonly put: string; readonly value: string; readonly lease?: bigint }
  | { readonly remove: string };

/** The key that an operation writes or removes. */
export function keyOf(op: StoreOp): string {
  return "put" in op ? op.put : op.remove;
}

/** One guarded transaction: every guard holds and all of `ops` happens, or nothing does. */
export interface Plan {
  readonly guards: readonly Guard[];
  readonly prefixGuards?: readonly PrefixGuard[];
  readonly ops: readonly StoreOp[];
}

/** The answer of etcd. On a conflict, `current` holds the mod revision that each guarded key has (0: absent). */
export type CommitOutcome =
  | { readonly committed: true; readonly revision: number }
  | { readonly committed: false; readonly current: readonly Guard[] };

/** The most compares, and the most operations, in one transaction (etcd's --max-txn-ops default). */
export const MAX_TXN_OPS = 128;

/** The most guards and operations of a plan: one compare is reserved for the fence, one for the claim on the host's name. */
export const MAX_PLAN_OPS = MAX_TXN_OPS - 2;

/** The writing half of the store. */
export interface Committer {
  /**
   * Commits a plan as one transaction of its own. Throws Refusal "unavailable" when etcd cannot be reached (nothing
   * was written), and {@link UnknownOutcome} when the answer was lost after the request was sent: the plan has been
   * written by then or never will be. Where not even that can be established, Refusal "unavailable" says so.
   */
  commit(plan: Plan): Promise<CommitOutcome>;
  /**
   * Commits a plan together with other small plans of this process in a shared transaction (group commit):
   * each plan keeps its own guards, and one that conflicts does not fail its neighbours.
   */
  commitGrouped(plan: Plan): Promise<CommitOutcome>;
}

/** A mirror's state, for readiness, metrics and `status`. */
export interface MirrorState {
  /** True when listed and watching; false while etcd cannot be reached or a new listing is running. */
  readonly inSync: boolean;
  /** The newest revision that the mirror has processed. */
  readonly revision: number;
  /** When the mirror fell out of sync (ms since the epoch); undefined while in sync. */
  readonly outSince: number | undefined;
  /** Why it is out of sync, fit for a sentence; undefined while in sync, and before etcd was asked for the first time. */
  readonly outReason: string | undefined;
  /** Keys whose value could not be read, with the reason. */
  readonly quarantined: ReadonlyMap<string, string> & Pick<QuarantinedKeys, "changes">;
  /** How many keys a self-check found whose events the watch had skipped. */
  readonly missed: number;
  /** How many times everything was listed again. */
  readonly relists: number;
}

/** The reading half of the store: an in-memory copy of everything under the schema's prefixes. */
export interface Mirror<T> {
  get(key: string): Entry<T> | undefined;
  entries(): IterableIterator<Entry<T>>;
  /** The newest mod revision seen of the key, also when its value could not be read; 0: absent. */
  version(key: string): number;
  /** False when the key has certainly been absent from that revision on, which the mirror has seen, until its newest. */
  existedSince(key: string, revision: number): boolean;
  readonly state: MirrorState;
  /** Calls back, synchronously and in order, with each batch of changes from now on. Returns the function that stops it. */
  subscribe(listener: (changes: readonly Change<T>[]) => void): () => void;
  /** Resolves when the first listing is complete. */
  ready(): Promise<void>;
  /** Resolves when the mirror shows, for each key, that mod revision or a later one (0: absent or any later). */
  caughtUp(keys: readonly Guard[], options?: { signal?: AbortSignal }): Promise<void>;
  /** Resolves when the mirror shows what was committed to `keys` at `revision`. */
  reached(revision: number, keys: readonly string[], options?: { signal?: AbortSignal }): Promise<void>;
}
