/** Writes the leases of overlay networks to etcd. Leases that one network is asked for at the same time share a transaction. */
import { deadline } from "../../common/async.ts";
import { inSpan, parentOf } from "../../common/tracing.ts";
import { type JoinedLeases, joinLeases } from "../../overlay_names/join_leases.ts";
import type { EndpointLeasePlan } from "../../overlay_names/lease_plans.ts";
import type { CommitOutcome, Committer, Guard, Plan } from "../../store/types.ts";
import type { Context } from "../context.ts";
import { failpoint } from "../failpoints.ts";

/** How often the leases of a transaction that conflicts because of the network's claims are written again. */
const TRIES = 50;
/** How long to wait for the mirror to show what has changed, in ms. */
const PATIENCE = 2000;

interface Job {
  readonly plan: EndpointLeasePlan;
  readonly resolve: (outcome: CommitOutcome) => void;
  readonly reject: (error: unknown) => void;
  tries: number;
}

/** The store's committer, which adds to plans of leases the changes of their network's claims. */
export class LeaseWriter implements Committer {
  /** By network, the leases that wait for the end of its running transaction. */
  readonly #waiting = new Map<string, Job[]>();

  constructor(private readonly context: () => Context) {}

  /** How many leases of the network are waiting to be written. */
  waiting(network: string): number {
    return this.#waiting.get(network)?.length ?? 0;
  }

  commit(plan: Plan): Promise<CommitOutcome> {
    return this.commitGrouped(plan);
  }

  async commitGrouped(plan: EndpointLeasePlan): Promise<CommitOutcome> {
    const { store, storeGuard } = this.context(), network = plan.claims?.network;
    storeGuard.assertNotHeld();
    if (network === undefined) return await store.committer.commitGrouped(plan);
    const parent = parentOf(plan.claims?.traceparent);
    if (!parent) return await this.#written(network, plan);
    return await inSpan("write to etcd", { parent }, async (span) => {
      const outcome = await this.#written(network, plan);
      if (outcome.committed) span?.setAttribute("strand.revision", outcome.revision);
      return outcome;
    });
  }

  #written(network: string, plan: EndpointLeasePlan): Promise<CommitOutcome> {
    return new Promise((resolve, reject) => {
      const job: Job = { plan, resolve, reject, tries: 0 }, waiting = this.#waiting.get(network);
      if (waiting) return void waiting.push(job);
      this.#waiting.set(network, [job]);
      void this.#write(network);
    });
  }

  async #write(network: string): Promise<void> {
    for (;;) {
      const waiting = this.#waiting.get(network) ?? [];
      if (!waiting.length) break;
      const jobs: Job[] = [];
      try {
        await this.#commit(network, waiting, jobs);
      } catch (error) {
        for (const job of jobs) job.reject(error);
      }
    }
    this.#waiting.delete(network);
  }

  /** Moves jobs that fit from `waiting` to `jobs`, and commits them. */
  async #commit(network: string, waiting: Job[], jobs: Job[]): Promise<void> {
    const { store, view, storeGuard } = this.context(), allocation = view.keys.allocation(network);
    let joined: JoinedLeases;
    try {
      joined = joinLeases(view, network, waiting.map(({ plan }) => plan), Date.now());
    } catch (error) {
      jobs.push(...waiting.splice(0));
      throw error;
    }
    for (const [i, job] of waiting.splice(0, joined.used).entries()) {
      // It is planned again from what the view shows, by which another client has the address.
      if (joined.refused.has(i)) job.resolve({ committed: false, current: [view.guard(allocation)] });
      else jobs.push(job);
    }
    if (!joined.plan) return;
    storeGuard.assertNotHeld();
    failpoint("lease:before-commit");
    const outcome = await store.committer.commit(joined.plan);
    if (outcome.committed) {
      failpoint("lease:after-commit");
      for (const job of jobs) job.resolve(outcome);
      // The next transaction starts from these claims; from older ones it would conflict, and be made again.
      await deadline(store.mirror.reached(outcome.revision, [allocation]), PATIENCE).catch(() => {});
      return;
    }
    const now = new Map(outcome.current.map(({ key, modRevision }) => [key, modRevision]));
    const again: Job[] = [];
    for (const job of jobs) {
      const current = currentOf(job.plan, now);
      const isLost = job.plan.guards.some(({ key, modRevision }) => now.get(key) !== modRevision);
      if (isLost || ++job.tries > TRIES) job.resolve({ committed: false, current });
      else again.push(job);
    }
    waiting.unshift(...again);
    // A mirror that is still behind makes them conflict once more, which is counted.
    await deadline(store.mirror.caughtUp(outcome.current), PATIENCE).catch(() => {});
  }
}

function currentOf({ guards }: Plan, now: ReadonlyMap<string, number>): Guard[] {
  return guards.map(({ key }) => ({ key, modRevision: now.get(key) ?? 0 }));
}
