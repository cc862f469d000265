/** Waits for the etcd locks that SAND's older agents take. */
import { Refusal } from "../common/refusal.ts";
import { delay } from "../common/async.ts";
import type { CommitOutcome, Committer, Guard, Plan } from "./types.ts";

export interface LockWaitOptions {
  /** True for keys that are locks, which no plan of ours ever writes. */
  readonly isLock: (key: string) => boolean;
  /** How long a lock may be held, in ms (default 30,000). */
  readonly patienceMs?: number;
  /** How often the lock is checked, in ms (default 50). */
  readonly everyMs?: number;
}

/** The part of a connection that {@link waitForLocks} needs. */
export interface Locked {
  readonly committer: Committer;
  /** The mod revisions that these keys have in etcd now; 0: absent. */
  current(keys: readonly string[]): Promise<readonly Guard[]>;
}

/**
 * A committer for plans that must not be committed while another process holds a lock: a conflict with one is told only
 * when the lock is gone, so that the next plan has a chance.
 *
 * Both methods throw Refusal "unavailable" with the lock's key when it is held for longer than that.
 */
export function waitForLocks(store: Locked, options: LockWaitOptions): Committer {
  const settle = async (outcome: CommitOutcome) => {
    if (!outcome.committed) {
      for (const { key } of outcome.current) if (options.isLock(key)) await released(store, key, options);
    }
    return outcome;
  };
  return {
    commit: async (plan: Plan) => await settle(await store.committer.commit(plan)),
    commitGrouped: async (plan: Plan) => await settle(await store.committer.commitGrouped(plan)),
  };
}

async function released(store: Locked, key: string, options: LockWaitOptions): Promise<void> {
  const { patienceMs = 30_000, everyMs = 50 } = options;
  const deadline = performance.now() + patienceMs;
  while ((await store.current([key])).some(({ modRevision }) => modRevision > 0)) {
    if (performance.now() >= deadline) {
      const seconds = Math.round(patienceMs / 1000);
      throw new Refusal("unavailable", `the lock ${key} in etcd has been held for ${seconds} s: try again`);
    }
    await delay(everyMs);
  }
}
