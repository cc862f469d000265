import { Refusal } from "../common/refusal.ts";
import { UnknownOutcome } from "./errors.ts";
import { pause } from "./timers.ts";
import type { Committer, Guard, Mirror, Outcome, Plan } from "./types.ts";

const RETRY_MS = 250;

/** What {@link change} needs of a store. */
export interface ChangeStore<T> {
  readonly mirror: Mirror<T>;
  readonly committer: Committer;
  /** The mod revisions that these keys have in etcd now. Throws Refusal "unavailable". */
  current(keys: readonly string[]): Promise<readonly Guard[]>;
}

export interface ChangeOptions {
  /** Conflicts in a row before it is refused (default 16). */
  readonly tries?: number;
  /** How long to wait at a time for the mirror, or for an etcd that owes an answer, in ms (default 10,000). */
  readonly patienceMs?: number;
  /** Gathers each plan with others of this process into a shared transaction; for many small ones at once. */
  readonly grouped?: boolean;
}

/**
 * Plans, commits and waits until the mirror shows it; on a conflict, plans again from the newer mirror.
 *
 * `makePlan` reads the mirror and returns one plan, or several that are committed in order, each leaving a valid
 * state and guarded by what was read before the first of them (what an earlier one wrote is allowed for), or none when nothing is left to do. It is called again after a conflict, and after an answer
 * that was lost: it must find what it did already.
 *
 * @returns The revision of the last commit; undefined when there was nothing to do.
 * @throws Refusal "conflict" after too many conflicts, "forbidden" when a guarded key holds an unreadable
 * record, "unavailable" when etcd is away; and whatever `makePlan` throws.
 */
export async function change<T>(
  store: ChangeStore<T>,
  makePlan: () => Plan | readonly Plan[] | undefined,
  options: ChangeOptions = {},
): Promise<number | undefined> {
  const { tries = 16, patienceMs = 10_000 } = options;
  const written: { revision: number; keys: string[] }[] = [];
  for (let conflicts = 0; conflicts < tries; conflicts++) {
    let current: readonly Guard[] | undefined;
    const own: Own = { keys: new Map(), prefixes: new Map() };
    for (const made of plansOf(makePlan())) {
      const plan = after(own, made);
      const outcome = await commit(store, plan, options.grouped ?? false, patienceMs);
      if (!outcome.committed) {
        current = outcome.current;
        break;
      }
      for (const op of plan.ops) {
        if ("put" in op) own.keys.set(op.put, outcome.revision);
        else own.keys.set(op.remove, 0);
      }
      for (const { prefix } of plan.prefixGuards ?? []) own.prefixes.set(prefix, outcome.revision);
      written.push({
        revision: outcome.revision,
        keys: plan.ops.map((op) => "put" in op ? op.put : op.remove),
      });
      conflicts = 0;
    }
    if (!current && !written.length) return undefined;
    const signal = AbortSignal.timeout(patienceMs);
    const shown = Promise.all(
      written.map(({ revision, keys }) => store.mirror.reached(revision, keys, { signal })),
    );
    if (!current) {
      // It is written; that the mirror lags behind is no reason to say otherwise.
      await shown.catch(unlessLate(signal));
      return written.at(-1)?.revision;
    }
    await Promise.all([shown, store.mirror.caughtUp(current, { signal })]).catch(unlessLate(signal, () => {
      throw new Refusal(
        "unavailable",
        "others changed the same records, and what they hold now cannot be read",
      );
    }));
    refuseUnreadable(store.mirror, current);
  }
  throw new Refusal("conflict", `others changed the same records ${tries} times in a row: try again`);
}

/** What the earlier plans of a list wrote: the keys, and when a plan that guarded a prefix was committed. */
interface Own {
  readonly keys: Map<string, number>;
  readonly prefixes: Map<string, number>;
}

/** The plan with its guards as the earlier plans of its list, which held them too, left what they are about. */
function after({ keys, prefixes }: Own, plan: Plan): Plan {
  const guards = plan.guards.map(({ key, modRevision }) => ({
    key,
    modRevision: keys.get(key) ?? modRevision,
  }));
  const prefixGuards = (plan.prefixGuards ?? []).map(({ prefix, unchangedSince }) => ({
    prefix,
    unchangedSince: Math.max(unchangedSince, prefixes.get(prefix) ?? 0),
  }));
  return { ...plan, guards, prefixGuards };
}

function plansOf(made: Plan | readonly Plan[] | undefined): readonly Plan[] {
  if (made === undefined) return [];
  return "ops" in made ? [made] : made;
}

/** An answer that was lost counts as a conflict with whatever is there now: the next plan starts from that. */
async function commit<T>(
  store: ChangeStore<T>,
  plan: Plan,
  grouped: boolean,
  patienceMs: number,
): Promise<Outcome> {
  try {
    return await (grouped ? store.committer.commitGrouped(plan) : store.committer.commit(plan));
  } catch (error) {
    if (!(error instanceof UnknownOutcome)) throw error;
    return { committed: false, current: await readAgain(store, plan, error, Date.now() + patienceMs) };
  }
}

async function readAgain<T>(store: ChangeStore<T>, plan: Plan, lost: UnknownOutcome, deadline: number) {
  const keys = [
    ...plan.guards.map(({ key }) => key),
    ...plan.ops.map((op) => "put" in op ? op.put : op.remove),
  ];
  for (;;) {
    try {
      return await store.current([...new Set(keys)]);
    } catch (error) {
      if (!(error instanceof Refusal) || Date.now() > deadline) {
        throw new Refusal("unavailable", `${lost.message}; it has not been possible to ask since`, {
          cause: error,
        });
      }
      await pause(RETRY_MS);
    }
  }
}

/** Planning over a record that nobody can read would only lose again. */
function refuseUnreadable<T>(mirror: Mirror<T>, guards: readonly Guard[]): void {
  for (const { key } of guards) {
    const reason = mirror.state.quarantined.get(key);
    if (reason !== undefined) {
      throw new Refusal(
        "forbidden",
        `the record ${key} in etcd cannot be read (${reason}): put it right or remove it`,
      );
    }
  }
}

function unlessLate(signal: AbortSignal, otherwise: () => void = () => {}): (error: unknown) => void {
  return (error) => {
    if (!signal.aborted) throw error;
    otherwise();
  };
}
