/** Handles a change whose answer from etcd was lost: it finds out whether the change was applied. */
import { Refusal } from "../common/refusal.ts";
import type { ChangeStore } from "./change_store.ts";
import { UnknownOutcome } from "./errors.ts";
import { type LostCommitOutcome, outcomeOfLostCommit } from "./lost_commit_outcome.ts";
import { delay, TimeLimit } from "../common/async.ts";
import { type CommitOutcome, type Guard, keyOf, type Plan } from "./types.ts";

const RETRY_MS = 250;

/** A plan whose answer was lost, when it cannot be applied any more. */
export interface Lost {
  readonly lost: UnknownOutcome;
  readonly plan: Plan;
  readonly fate: LostCommitOutcome;
}

/** A change that was applied, and then undone by another process, is not reported as refused, and not made again. */
export function refuseUnknownOutcome(
  { lost, plan, fate }: Lost,
  plans: readonly Plan[] | Refusal,
  refuses: boolean,
): void {
  const refused = plans instanceof Refusal;
  if (!refused) {
    if (!plans.length && !refuses) return;
    // An applied plan that still stands is not planned again, unless the remaining plans have keys in common with it.
    const again = new Set(plans.flatMap(({ ops }) => ops.map(keyOf)));
    if (fate === "applied" && !plan.ops.every((op) => again.has(keyOf(op)))) return;
  }
  const since = refused
    ? `now it is refused: ${plans.message}`
    : "others have changed the same records since";
  throw new Refusal(
    "unavailable",
    `${lost.message}: the change may or may not have been made, and ${since}`,
    { cause: lost },
  );
}

/** A lost answer counts as a conflict with the current state: the next plan starts from that state. */
export async function commitSettled<T>(
  store: ChangeStore<T>,
  plan: Plan,
  grouped: boolean,
  patienceMs: number,
): Promise<CommitOutcome | { committed: false; current: readonly Guard[] } & Lost> {
  const { mirror } = store, { revision } = mirror.state;
  const before = new Map(plan.ops.map((op) => [keyOf(op), mirror.version(keyOf(op))]));
  for (const { key, modRevision } of plan.guards) before.set(key, modRevision);
  try {
    return await (grouped ? store.committer.commitGrouped(plan) : store.committer.commit(plan));
  } catch (error) {
    if (!(error instanceof UnknownOutcome)) throw error;
    const current = await readAgain(store, [...before.keys()], error, patienceMs);
    const now = new Map(current.map(({ key, modRevision }) => [key, modRevision]));
    const fate = outcomeOfLostCommit(plan, before, now, (key) => !mirror.existedSince(key, revision));
    return { committed: false, current, lost: error, plan, fate };
  }
}

async function readAgain<T>(
  store: ChangeStore<T>,
  keys: readonly string[],
  lost: UnknownOutcome,
  patienceMs: number,
): Promise<readonly Guard[]> {
  using limit = new TimeLimit(patienceMs);
  const { signal } = limit;
  for (;;) {
    try {
      await store.settled(keys, signal);
      return await store.current(keys);
    } catch (error) {
      if (!(error instanceof Refusal) && !signal.aborted) throw error;
      if (!signal.aborted) await delay(RETRY_MS, signal);
      if (!signal.aborted) continue;
      throw new Refusal(
        "unavailable",
        `${lost.message}: the change may or may not have been made, and it has not been possible to ask since`,
        { cause: error },
      );
    }
  }
}
