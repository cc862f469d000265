/**
 * Combines a store with another mirror of the process, for plans that read both. A change waits until the other
 * mirror is up to date too.
 */
import type { ChangeStore } from "./change_store.ts";
import type { Mirror } from "./types.ts";

/** Another mirror of the process. */
export type OtherMirror = Pick<Mirror<unknown>, "caughtUp"> & Pick<ChangeStore<unknown>, "confirmed">;

/**
 * The store, which after a conflict waits until the other mirror shows too what the transaction met, and is confirmed when that
 * one is too: plans read both.
 */
export function beside<T>(store: ChangeStore<T>, other: OtherMirror): ChangeStore<T> {
  const { mirror } = store;
  return {
    committer: store.committer,
    current: (keys) => store.current(keys),
    confirmed: async (signal) => {
      await Promise.all([store.confirmed(signal), other.confirmed(signal)]);
    },
    settled: (keys, signal) => store.settled(keys, signal),
    mirror: {
      get: (key) => mirror.get(key),
      entries: () => mirror.entries(),
      version: (key) => mirror.version(key),
      existedSince: (key, revision) => mirror.existedSince(key, revision),
      get state() {
        return mirror.state;
      },
      subscribe: (listener) => mirror.subscribe(listener),
      ready: () => mirror.ready(),
      reached: (revision, keys, options) => mirror.reached(revision, keys, options),
      // A key that a mirror does not follow is not waited for.
      async caughtUp(keys, options) {
        await Promise.all([mirror.caughtUp(keys, options), other.caughtUp(keys, options)]);
      },
    },
  };
}
