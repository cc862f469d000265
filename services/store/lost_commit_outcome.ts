/** Finds out from etcd's current keys whether a transaction with a lost answer was applied. */
import { keyOf, type Plan } from "./types.ts";

/** The outcome of a transaction whose answer was lost, as far as it can be determined. */
export type LostCommitOutcome =
  | "applied" // most likely: all its keys are as one transaction has written them
  | "not-applied" // for certain
  | "unclear"; // other transactions have changed all its keys since

/**
 * The fate of a plan that cannot be applied any more.
 *
 * @param before The mod revisions of the keys that it writes, as they were when it was made.
 * @param now As they are.
 * @param absent True when the key has certainly been absent all the while.
 */
export function outcomeOfLostCommit(
  { ops }: Plan,
  before: ReadonlyMap<string, number>,
  now: ReadonlyMap<string, number>,
  absent: (key: string) => boolean,
): LostCommitOutcome {
  const revisions = new Set<number>();
  let whole = true;
  for (const op of ops) {
    const key = keyOf(op);
    const was = before.get(key) ?? 0, is = now.get(key) ?? 0;
    // A mod revision never recurs, but a key can become absent again.
    if (was === is && (was > 0 || ("put" in op && absent(key)))) return "not-applied";
    if ("put" in op) revisions.add(is);
    else whole &&= is === 0;
  }
  return whole && revisions.size <= 1 && !revisions.has(0) ? "applied" : "unclear";
}
