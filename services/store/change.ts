/** Changes of the store: plans against the mirror are committed, and planned again after a conflict. */
import { TimeLimit } from "../common/async.ts";
import { Refusal } from "../common/refusal.ts";
import type { ChangeStore } from "./change_store.ts";
import { commitSettled, type Lost, refuseUnknownOutcome } from "./lost_answer.ts";
import { type Guard, keyOf, type Mirror, type Plan } from "./types.ts";

/** How long the confirmation of a mirror may take, in ms: a mirror whose member hangs has changed to another by then. */
const CONFIRM_MS = 5_000;

export interface ChangeOptions {
  /** Conflicts in a row before it is refused (default 16). */
  readonly tries?: number;
  /** How long to wait at a time for the mirror, or for an answer of etcd, in ms (default 10,000). */
  readonly patienceMs?: number;
  /** Gathers each plan with others of this process into a shared transaction; for many small ones at once. */
  readonly grouped?: boolean;
  /** True: what the mirror shows is enough to find nothing to do, or to refuse; for work that is repeated anyway. */
  readonly unconfirmed?: boolean;
  /** True when what was planned last refuses a part of what was asked for; the mirror has to be confirmed for that too. */
  readonly refuses?: () => boolean;
}

/**
 * Plans, commits and waits until the mirror shows it; on a conflict, plans again from the newer mirror.
 *
 * `makePlan` reads the mirror and returns one plan, or several that are committed in order, each leaving a valid
 * state and guarded by what was read before the first of them (what an earlier one wrote is allowed for), or none when
 * nothing is left to do. It is called again after a conflict, and after an answer
 * that was lost: it must find what it did already. That nothing is left to be done, or that it refuses, counts only when etcd
 * has been asked since the call began, and the mirror shows what it held: then `makePlan` is called once more.
 *
 * @returns The revision of the last commit; undefined when there was nothing to do.
 * @throws Refusal "conflict" after too many conflicts, "forbidden" when a guarded key holds an unreadable
 * record, "unavailable" when etcd is away, or when the change may or may not have been made; and what `makePlan` throws.
 */
export async function change<T>(
  store: ChangeStore<T>,
  makePlan: () => Plan | readonly Plan[] | undefined,
  options: ChangeOptions = {},
): Promise<number | undefined> {
  const { tries = 16, patienceMs = 10_000, grouped = false, refuses = () => false } = options;
  const written: { revision: number; keys: string[] }[] = [];
  let lost: Lost | undefined;
  for (let conflicts = 0; conflicts < tries; conflicts++) {
    let plans = attempt(makePlan);
    // A later attempt is made from data that is newer than what was confirmed before.
    if (!options.unconfirmed && (plans instanceof Refusal || refuses() || !plans.length)) {
      await confirm(store, patienceMs);
      plans = attempt(makePlan);
    }
    // Callers that retry by themselves tolerate a change that is made twice.
    if (lost && !options.unconfirmed) refuseUnknownOutcome(lost, plans, refuses());
    if (plans instanceof Refusal) throw plans;
    let current: readonly Guard[] | undefined;
    const own: CommittedKeys = { keys: new Map(), prefixes: new Map() };
    for (const made of plans) {
      const plan = after(own, made);
      const outcome = await commitSettled(store, plan, grouped, patienceMs);
      if (!outcome.committed) {
        current = outcome.current;
        if ("lost" in outcome && outcome.fate !== "not-applied") lost = outcome;
        break;
      }
      for (const op of plan.ops) {
        if ("put" in op) own.keys.set(op.put, outcome.revision);
        else own.keys.set(op.remove, 0);
      }
      for (const { prefix } of plan.prefixGuards ?? []) own.prefixes.set(prefix, outcome.revision);
      written.push({ revision: outcome.revision, keys: plan.ops.map(keyOf) });
      conflicts = 0;
    }
    if (!current && !written.length) return undefined;
    using limit = new TimeLimit(patienceMs);
    const { signal } = limit;
    const shown = Promise.all(
      written.map(({ revision, keys }) => store.mirror.reached(revision, keys, { signal })),
    );
    if (!current) {
      // The change is written: a mirror that lags behind must not turn that into an error.
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

/**
 * Reads from the mirror by `read`. A refusal counts only when etcd has been asked since this was called, and the mirror shows
 * what it held: then it is read once more. Throws Refusal then, or Refusal "unavailable".
 */
export async function confirmedRead<T, R>(store: ChangeStore<T>, read: () => R): Promise<R> {
  try {
    return read();
  } catch (error) {
    if (!isAboutState(error)) throw error;
  }
  await confirm(store);
  return read();
}

function attempt(makePlan: () => Plan | readonly Plan[] | undefined): readonly Plan[] | Refusal {
  try {
    return plansOf(makePlan());
  } catch (error) {
    if (!isAboutState(error)) throw error;
    return error;
  }
}

/** True for a refusal that may have been made from what the mirror shows. */
function isAboutState(error: unknown): error is Refusal {
  return error instanceof Refusal && error.code !== "unavailable";
}

/**
 * Resolves when the mirror shows what etcd held when this was called, as etcd itself says, for what is made of all of it.
 * Throws Refusal "unavailable".
 */
export async function confirm<T>(store: ChangeStore<T>, patienceMs = 10_000): Promise<void> {
  const most = Math.min(patienceMs, CONFIRM_MS);
  using limit = new TimeLimit(most);
  const { signal } = limit;
  await store.confirmed(signal).catch(unlessLate(signal, () => {
    const seconds = Math.round(most / 100) / 10;
    throw new Refusal(
      "unavailable",
      `what is known of etcd may be old: it has not been confirmed within ${seconds} s`,
    );
  }));
}

/** The writes of the earlier plans of a list: the keys, and when a plan that guarded a prefix was committed. */
interface CommittedKeys {
  readonly keys: Map<string, number>;
  readonly prefixes: Map<string, number>;
}

/** The plan with its guards as the earlier plans of its list, which held them too, left what they are about. */
function after({ keys, prefixes }: CommittedKeys, plan: Plan): Plan {
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

/** Refuses when a record cannot be read: a plan over it would conflict again each time. */
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
