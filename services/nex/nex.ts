import { Refusal } from "../common/refusal.ts";
import { change, type ChangeStore } from "../store/change.ts";
import { delay, Mutex } from "../common/async.ts";
import type { NexRecord } from "../store/records.ts";
import { Attempts, Draft, pack, type Step } from "./steps.ts";
import { planDeletedNetwork, planSweep } from "./sweep.ts";
import { planTakeover } from "./takeover.ts";
import { conflicts } from "./takeover_records.ts";
import { View } from "./view.ts";

/** Steps planned at a time by the background work: few enough that the mirror keeps pace. */
const STEPS_AT_ONCE = 500;
/** The same for taking over, which looks at the whole store each time. */
const TAKEOVER_STEPS_AT_ONCE = 2000;

/** Names and addresses as one process works with them: the view to plan from, and the way to commit. */
export class Nex {
  readonly view: View;
  readonly #turn = new Mutex();

  /** @param now Which leases are over, see {@link Draft}; absent: of none it is known. */
  constructor(
    private readonly store: ChangeStore<NexRecord>,
    private readonly now: () => number = () => -Infinity,
  ) {
    this.view = new View(store.mirror);
  }

  /** What a change would do is planned on it. */
  draft(attempts?: Attempts): Draft {
    return new Draft(this.view, attempts, this.now());
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

  /**
   * Commits what the plan says until it says nothing more: work that may be cut short and done again, by any
   * replica. One such work goes on at a time in a process; where another replica is quicker, what it leaves is done.
   */
  finish(
    plan: (limit: number) => Step[],
    signal?: AbortSignal,
    stepsAtOnce = STEPS_AT_ONCE,
  ): Promise<number> {
    return this.#turn.run(() => this.#finish(plan, signal, stepsAtOnce));
  }

  async #finish(
    plan: (limit: number) => Step[],
    signal: AbortSignal | undefined,
    stepsAtOnce: number,
  ): Promise<number> {
    let done = 0;
    for (;;) {
      let steps: Step[] = [];
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

  /** A change could be to what a key of another layout is about, and would be planned without it. */
  #refuseForeign(): void {
    const { foreign } = this.view.unreadable;
    if (!foreign) return;
    throw new Refusal(
      "forbidden",
      `nothing is changed while ${foreign.key} in etcd is not understood (${foreign.reason}): put it right or remove it`,
    );
  }

  /** One record of ours that cannot be read stops what depends on it, and nothing else; one under Nex's keys all of this work. */
  #possible(steps: Step[]): Step[] {
    if (this.view.unreadable.misread) return [];
    if (this.store.mirror.state.quarantined.size === 0) return steps;
    return steps.filter(({ guards }) => !guards.some(({ key }) => this.view.unreadable.has(key)));
  }

  /** Puts right what is due at `now`, in seconds since the epoch; see {@link planSweep}. */
  sweep(now: number, signal?: AbortSignal): Promise<number> {
    return this.finish((limit) => planSweep(this.view, now, limit), signal);
  }

  /** Sweeps what a deleted network has left. */
  sweepNetwork(name: string): Promise<number> {
    return this.finish((limit) =>
      this.view.deleted.has(name) ? planDeletedNetwork(this.view, name, limit) : []
    );
  }

  /** What is decided in taking over a store where its records contradict each other, a sentence each. */
  conflicts(): string[] {
    return conflicts(this.view);
  }

  /** Makes a store that old daemons filled fully ours; see {@link planTakeover}. */
  takeOver(signal?: AbortSignal): Promise<number> {
    return this.finish((limit) => planTakeover(this.view, limit), signal, TAKEOVER_STEPS_AT_ONCE);
  }
}
