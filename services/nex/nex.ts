/** Changes of names and addresses in one process: planned from the mirror's view, committed to etcd. */
import { Refusal } from "../common/refusal.ts";
import { change, confirm, confirmedRead } from "../store/change.ts";
import type { ChangeStore } from "../store/change_store.ts";
import { delay, Mutex } from "../common/async.ts";
import { pack } from "../store/plan_builder.ts";
import type { NexRecord } from "../store/records.ts";
import { Attempts, Draft, type OtherNames, type PlanStep } from "./steps.ts";
import { planDeletedNetwork, planSweep } from "./sweep.ts";
import { planTakeover } from "./takeover.ts";
import { conflicts } from "./takeover_records.ts";
import { NexView } from "./view.ts";

/** Steps planned at a time by the background work: few enough that the mirror keeps pace. */
const STEPS_AT_ONCE = 500;
/** Steps planned at a time by a takeover, which reads the whole store each time. */
const TAKEOVER_STEPS_AT_ONCE = 2000;

/** The names and addresses of one store: the view that plans are made from, and their commit. */
export class Nex {
  readonly view: NexView;
  readonly #turn = new Mutex();

  /**
   * @param now The time by which leases are over, see {@link Draft}; absent: none is known to be over.
   * @param names The names of networks of another kind, which no network here may have.
   */
  constructor(
    private readonly store: ChangeStore<NexRecord>,
    private readonly now: () => number = () => -Infinity,
    private readonly names?: OtherNames,
  ) {
    this.view = new NexView(store.mirror);
  }

  /** A draft on the newest view, on which changes are planned. */
  draft(attempts?: Attempts): Draft {
    return new Draft(this.view, attempts, this.now(), this.names);
  }

  /** Plans against the newest view, commits, and waits until the view shows it; on a conflict, again. */
  async change<T>(plan: (draft: Draft) => T): Promise<T> {
    let result: T | undefined;
    const attempts = new Attempts();
    await change(this.store, () => {
      this.#refuseForeign();
      const draft = this.draft(attempts);
      result = plan(draft);
      return pack(draft.steps);
    });
    return result as T;
  }

  /** Resolves when the view shows what etcd holds. Throws Refusal "unavailable". */
  confirm(): Promise<void> {
    return confirm(this.store);
  }

  /** Finds something in the view. A refusal counts only when etcd confirms it. */
  find<T>(read: () => T): Promise<T> {
    return confirmedRead(this.store, read);
  }

  /**
   * Commits the plan's steps until it has none left: work that may be interrupted and repeated, by any replica. A process does one
   * such work at a time; where another replica is faster, only what that leaves is done.
   */
  finish(
    plan: (limit: number) => PlanStep[],
    signal?: AbortSignal,
    stepsAtOnce = STEPS_AT_ONCE,
  ): Promise<number> {
    return this.#turn.run(() => this.#finish(plan, signal, stepsAtOnce));
  }

  async #finish(
    plan: (limit: number) => PlanStep[],
    signal: AbortSignal | undefined,
    stepsAtOnce: number,
  ): Promise<number> {
    let done = 0;
    for (;;) {
      let steps: PlanStep[] = [];
      try {
        const planned = () => pack(steps = this.#possible(plan(stepsAtOnce)));
        await change(this.store, planned, { unconfirmed: true });
        done += steps.length;
        if (steps.length === 0) return done;
      } catch (error) {
        if (!(error instanceof Refusal && error.code === "conflict")) throw error;
        // Replicas that try again at the same moment would conflict again.
        await delay(50 + Math.random() * 200, signal);
      }
      if (signal?.aborted) return done;
    }
  }

  /** Refuses changes while a key of an unknown layout may hold what they would affect. */
  #refuseForeign(): void {
    const { foreign } = this.view.unreadable;
    if (!foreign) return;
    throw new Refusal(
      "forbidden",
      `nothing is changed while ${foreign.key} in etcd is not understood (${foreign.reason}): put it right or remove it`,
    );
  }

  /** The steps that can be committed. An unreadable record of ours stops those that depend on it, one of Nex's all of them. */
  #possible(steps: PlanStep[]): PlanStep[] {
    if (this.view.unreadable.misread) return [];
    if (this.store.mirror.state.quarantined.size === 0) return steps;
    return steps.filter(({ guards }) => !guards.some(({ key }) => this.view.unreadable.has(key)));
  }

  /** Sweeps what is due at `now`, in seconds since the epoch; see {@link planSweep}. */
  sweep(now: number, signal?: AbortSignal): Promise<number> {
    return this.finish((limit) => planSweep(this.view, now, limit), signal);
  }

  /** Sweeps what a deleted network has left. */
  sweepNetwork(name: string): Promise<number> {
    return this.finish((limit) =>
      this.view.deleted.has(name) ? planDeletedNetwork(this.view, name, limit) : []
    );
  }

  /** The decisions of a takeover where the store's records contradict each other, a sentence each. */
  conflicts(): string[] {
    return conflicts(this.view);
  }

  /** Takes over a store that Nex's daemons filled; see {@link planTakeover}. */
  takeOver(signal?: AbortSignal): Promise<number> {
    return this.finish((limit) => planTakeover(this.view, limit), signal, TAKEOVER_STEPS_AT_ONCE);
  }
}
