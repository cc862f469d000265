/**
 * Finds events that etcd's watch has skipped. The mirror is compared with a listing of etcd from time to time, and
 * single keys are compared when a caller waits for them.
 */
import { Refusal } from "../common/refusal.ts";
import type { EtcdConnection } from "./connection.ts";
import type { FollowedParts } from "./followed_parts.ts";
import { selfCheck } from "./self_check.ts";
import { SharedRequest } from "./shared_request.ts";
import type { RecordTable } from "./table.ts";
import { abortable, delay, repeat } from "../common/async.ts";
import type { Waiters } from "./waiters.ts";
import type { Watch } from "./watch.ts";

const REQUEST_MS = 200, LOST_MS = 2_000;
/** The delay before a self-check that could not be completed is repeated, in ms. */
const AGAIN_MS = 3_000;

/** The result of a comparison. */
export interface FoundSkipped {
  /** How many keys differ. */
  readonly missed: number;
  /** etcd's history lacks a version that the mirror had seen, as after the restore of a backup. */
  readonly restored: boolean;
}

/** The parts of a mirror that a comparison needs. */
export interface Compared {
  readonly connection: EtcdConnection;
  readonly parts: FollowedParts;
  readonly table: Pick<RecordTable<unknown>, "keys" | "version">;
  readonly waiters: Waiters;
  readonly watch: Watch;
  /** Is called when an event was skipped: the mirror has to list everything again. */
  lost(found: FoundSkipped, reason: string): void;
}

export interface LookOptions {
  /** When the first self-check begins, give or take a fifth. */
  readonly firstCheckMs: number;
  /** How often another follows. */
  readonly checkEveryMs: number;
  /** How long the watch may lag behind its member before a difference counts. */
  readonly settleMs: number;
}

/** The search for skipped events. */
export interface SkippedEventCheck {
  /** Compares everything now; resolves when that is done, or could not be. */
  now(): Promise<void>;
  stop(): void;
}

/** Looks for skipped events until it is stopped. */
export function checkForSkipped(compared: Compared, options: LookOptions): SkippedEventCheck {
  const over = new AbortController();
  const { firstCheckMs, checkEveryMs } = options;
  let every = Math.min(firstCheckMs, checkEveryMs);
  const checks = new SharedRequest(async () => {
    const done = await compareAll(compared, options, over.signal).catch(unlessRefused);
    every = done ? checkEveryMs : Math.min(AGAIN_MS, checkEveryMs);
  });
  const stops = [
    checkForWaiters(compared, options, over.signal),
    repeat(() => every * (0.8 + Math.random() * 0.4), () => checks.next()),
  ];
  return {
    now: () => checks.next(),
    stop() {
      over.abort();
      for (const stop of stops) stop();
    },
  };
}

/** Asks etcd about keys that callers wait for. */
function checkForWaiters(compared: Compared, { settleMs }: LookOptions, over: AbortSignal): () => void {
  const { connection, table, waiters, watch, lost } = compared;
  /** True when the watch has not reported a change of the key that the watched member has applied. */
  const skipped = async (key: string) => {
    const { header, kvs } = await connection.range({ key, keysOnly: true });
    const version = table.version(key);
    if ((kvs[0]?.modRevision ?? 0) === version || !(await watch.hasReached(header.revision))) return false;
    await delay(settleMs, over);
    return table.version(key) === version;
  };
  return repeat(() => REQUEST_MS, async () => {
    // An idle process has no waiting callers, and should not wake up to find that out.
    await abortable(waiters.some, over).catch(() => {});
    if (!watch.created || over.aborted) return;
    const suspect = await waiters.compare((key) => connection.modRevision(key), REQUEST_MS, LOST_MS)
      .catch(unlessRefused);
    if (suspect === undefined || !(await skipped(suspect).catch(unlessRefused)) || over.aborted) return;
    lost({ missed: 1, restored: false }, `the watch skipped an event of ${suspect}`);
  });
}

/** Compares everything with a listing, see {@link selfCheck}. Returns true when that could be done. */
async function compareAll(
  compared: Compared,
  { settleMs }: LookOptions,
  over: AbortSignal,
): Promise<boolean> {
  const { connection, table, watch, lost } = compared;
  const parts = new Set(compared.parts.all());
  const check = await selfCheck(connection, [...parts].map(({ prefix }) => prefix), {
    version: (key) => table.version(key),
    keys: () => table.keys(),
    followed: (key) => {
      const part = compared.parts.of(key);
      return part && parts.has(part) ? part.prefix : undefined;
    },
    watchable: (revision) => watch.hasReached(revision),
  }, settleMs);
  if (over.aborted || !check) return false;
  if (check.missed) lost(check, `a self-check found ${check.missed} keys that differ`);
  else {
    // The parts are complete up to this revision: a later watch can start here even if older history has been compacted.
    for (const part of parts) {
      part.seen = Math.max(part.seen, check.revision);
      part.equal = Math.max(part.equal, check.revision);
    }
  }
  return true;
}

/** A Refusal is dropped: the watch reports an etcd that cannot be reached, and the comparison is repeated later. */
function unlessRefused(error: unknown): undefined {
  if (!(error instanceof Refusal)) throw error;
}
