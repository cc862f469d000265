/** Writes and deletes the endpoints of one network in etcd. Simultaneous requests share transactions. */
import { Mutex } from "../../common/async.ts";
import { Refusal } from "../../common/refusal.ts";
import { type EndpointRequest, planCreateEndpoints } from "../../overlay/create_endpoints.ts";
import { findEndpoint, planDeleteEndpoints } from "../../overlay/endpoints.ts";
import { change } from "../../store/change.ts";
import type { EndpointRecord } from "../../store/sand_records.ts";
import type { Context } from "../context.ts";
import { failpoint } from "../failpoints.ts";

/** The most endpoints that are written at once, in as many transactions as needed. */
const BATCH = 256;
/**
 * How often a conflicting write is planned again: hosts that fill one network at the same time conflict often, and
 * one of them succeeds each time.
 */
const TRIES = 200;

/** A written endpoint, with the revision of the write. */
export interface Written {
  readonly record: EndpointRecord;
  readonly revision: number;
}

/**
 * Writes one network's endpoints of this host to etcd. Requests that arrive during a write share the next
 * transactions, since all of them change the record of the network's claimed addresses.
 */
export class EndpointWriter {
  readonly #turn = new Mutex();
  #making: Job<EndpointRequest, Written>[] = [];
  #deleting: Job<Deletion, number>[] = [];

  /** @param mtuHere The largest MTU that the network can have on this host. */
  constructor(
    private readonly network: string,
    private readonly context: Context,
    private readonly mtuHere: () => number,
  ) {}

  /** @throws Refusal */
  create(request: EndpointRequest): Promise<Written> {
    return this.#add(this.#making, request, (jobs) => this.#create(jobs));
  }

  /**
   * @param options.keepAddress True: the address stays claimed, since Docker releases it by itself.
   * @returns the revision of the deletion. @throws Refusal
   */
  delete(id: string, { keepAddress = false } = {}): Promise<number> {
    return this.#add(this.#deleting, { id, keepAddress }, (jobs) => this.#delete(jobs));
  }

  /** Deletes an endpoint of any host, whose agent may be gone. @throws Refusal */
  async forceDelete(id: string): Promise<void> {
    const { view, store, storeGuard } = this.context;
    const found = new Set<string>();
    await this.exclusive(() =>
      change(store, () => {
        storeGuard.assertNotHeld();
        return planDeleteEndpoints(view, [id], { hostname: undefined, now: Date.now(), found });
      }, { tries: TRIES })
    );
  }

  /** Runs an action while this host changes no other endpoint of this network. */
  exclusive<T>(act: () => Promise<T>): Promise<T> {
    return this.#turn.run(act);
  }

  #add<In, Out>(
    queue: Job<In, Out>[],
    request: In,
    act: (jobs: readonly Job<In, Out>[]) => Promise<void>,
  ): Promise<Out> {
    const { promise, resolve, reject } = Promise.withResolvers<Out>();
    queue.push({ request, resolve, reject });
    if (queue.length === 1) {
      const drain = async () => {
        const jobs = queue.splice(0, BATCH);
        if (queue.length) void this.exclusive(drain);
        await act(jobs).catch((error) => {
          for (const job of jobs) job.reject(error);
        });
      };
      void this.exclusive(drain);
    }
    return promise;
  }

  async #create(jobs: readonly Job<EndpointRequest, Written>[]): Promise<void> {
    const { view, store, storeGuard } = this.context;
    const host = { ...this.context.host, mtu: this.mtuHere() };
    let results: readonly (EndpointRecord | Refusal)[] = [];
    failpoint("endpoint:before-commit");
    const revision = await change(store, () => {
      storeGuard.assertNotHeld();
      const planned = planCreateEndpoints(view, this.network, host, jobs.map((job) => job.request));
      results = planned.results;
      return planned.plans;
    }, { tries: TRIES, refuses: () => results.some((result) => result instanceof Refusal) });
    failpoint("endpoint:after-commit");
    for (const [i, job] of jobs.entries()) {
      const result = results[i];
      if (result === undefined || result instanceof Refusal) job.reject(result);
      else job.resolve({ record: result, revision: revision ?? 0 });
    }
  }

  async #delete(jobs: readonly Job<Deletion, number>[]): Promise<void> {
    const { view, store, host: { hostname }, storeGuard } = this.context;
    const found = new Set<string>();
    let refused = new Map<Job<Deletion, number>, Refusal>();
    failpoint("delete:before-commit");
    const revision = await change(store, () => {
      storeGuard.assertNotHeld();
      refused = new Map();
      for (const job of jobs) {
        const { id } = job.request;
        const reason = found.has(id) ? undefined : refusal(() => findEndpoint(view, id, hostname));
        if (reason) refused.set(job, reason);
      }
      const left = jobs.filter((job) => !refused.has(job)).map(({ request }) => request);
      const keepAddresses = new Set(left.flatMap(({ id, keepAddress }) => keepAddress ? [id] : []));
      return planDeleteEndpoints(view, left.map(({ id }) => id), {
        hostname,
        now: Date.now(),
        found,
        keepAddresses,
      });
    }, { tries: TRIES, refuses: () => refused.size > 0 });
    failpoint("delete:after-commit");
    for (const job of jobs) {
      const reason = refused.get(job);
      if (reason) job.reject(reason);
      else job.resolve(revision ?? 0);
    }
  }
}

/** The Refusal that the action throws; undefined when it throws none. */
function refusal(act: () => unknown): Refusal | undefined {
  try {
    act();
    return undefined;
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}

interface Deletion {
  readonly id: string;
  readonly keepAddress: boolean;
}

interface Job<In, Out> {
  readonly request: In;
  resolve(value: Out): void;
  reject(reason: unknown): void;
}
