/** The committer sends plans to etcd as guarded transactions. Several plans may share one transaction. */
import { TimeLimit } from "../common/async.ts";
import { messageOf, Refusal } from "../common/refusal.ts";
import type { EtcdConnection } from "./connection.ts";
import { UnknownOutcome } from "./errors.ts";
import { remedyFor, verdictOf } from "./failure.ts";
import { Fence } from "./fence.ts";
import { keyOf as nexKeyOf } from "./keys.ts";
import { currentOf, decodeTxn, encodeSharedTxn, encodeTxn, type TxnResponse } from "./messages.ts";
import { type CommitOutcome, type Committer, type Guard, keyOf, MAX_TXN_OPS, type Plan } from "./types.ts";

export interface CommitterOptions {
  /** Returns the key of this process's fence, see {@link Fence}, for a name. Default: the key of names and addresses. */
  readonly fenceKey?: (name: string) => string;
  /** Plans in one shared transaction, at most (default 64). */
  readonly maxPlans?: number;
  /** Shared transactions under way at once, at most (default 2). */
  readonly maxInFlight?: number;
}

interface Waiting {
  readonly plan: Plan;
  readonly resolve: (outcome: CommitOutcome) => void;
  readonly reject: (reason: unknown) => void;
}

/** etcd answers, but takes no writes. Times are in ms since the epoch. */
export interface RefusedWrites {
  readonly since: number;
  /** The reason in one sentence. */
  readonly reason: string;
  readonly remedy: string;
}

/** Together these keep a shared transaction inside etcd's limits: 128 operations a level, 1.5 MiB a request. */
const GROUPED_OPS = 32, GROUPED_SIZE = 8_192;
/** One compare is reserved for the fence. */
const MOST_OPS = MAX_TXN_OPS - 1;
/** How long the fence may take to move after an answer was lost, in ms. */
const MOVE_MS = 5_000;
/** The most times that a transaction is sent again because its fence has changed: another process writes the key then. */
const FENCES = 16;

/** The writing half of the store, see {@link Committer}. */
export class StoreCommitter implements Committer {
  readonly #connection: EtcdConnection;
  readonly #fence: Fence;
  readonly #maxPlans: number;
  readonly #maxInFlight: number;
  #queue: Waiting[] = [];
  #inFlight = 0;
  #flushing = false;
  #refused: RefusedWrites | undefined;

  constructor(connection: EtcdConnection, options: CommitterOptions = {}) {
    this.#connection = connection;
    this.#fence = new Fence(connection, (options.fenceKey ?? nexKeyOf.fence)(crypto.randomUUID()));
    this.#maxPlans = Math.min(options.maxPlans ?? 64, MAX_TXN_OPS - GROUPED_OPS);
    this.#maxInFlight = options.maxInFlight ?? 2;
  }

  /** Set while etcd refuses writes for lack of space or permission: until it accepts the next value. */
  get refused(): RefusedWrites | undefined {
    return this.#refused;
  }

  async commit(plan: Plan): Promise<CommitOutcome> {
    check(plan);
    const { answer, fence } = await this.#txn([plan], (fence) => encodeTxn(plan, fence));
    return outcomeOf(plan, answer, answer.header.revision, fence);
  }

  /** Resolves when no transaction with an unknown outcome can be applied any more; rejects with the signal's reason. */
  async settled(signal: AbortSignal): Promise<void> {
    await this.#fence.settled(signal);
  }

  /** Rejects the calls that wait for the fence. */
  close(): void {
    this.#fence.close();
  }

  commitGrouped(plan: Plan): Promise<CommitOutcome> {
    // An error that is thrown in here rejects the promise. An async function would keep one more promise until etcd answers.
    return new Promise((resolve, reject) => {
      check(plan);
      if (weight(plan) > GROUPED_OPS || size(plan) > GROUPED_SIZE) return resolve(this.commit(plan));
      this.#queue.push({ plan, resolve, reject });
      if (this.#flushing) return;
      this.#flushing = true;
      // The delay lets all plans from the same batch of packets join the queue.
      queueMicrotask(() => this.#flush());
    });
  }

  /**
   * Sends plans in one transaction, which `encode` makes. One that met a fence that has moved was not applied and never
   * will be: it is sent again behind the new fence.
   */
  async #txn(
    plans: readonly Plan[],
    encode: (fence: Guard | undefined) => Uint8Array,
  ): Promise<{ answer: TxnResponse; fence: Guard | undefined }> {
    for (let tries = FENCES;; tries--) {
      const fence = this.#fence.guard ?? await this.#held(plans);
      let answer;
      try {
        answer = await this.#send(plans, encode(fence));
      } catch (error) {
        await this.#settle(error, fence);
        throw error;
      }
      if (!fence || !met(answer, fence)) return { answer, fence };
      this.#fence.left(fence.modRevision);
      if (tries > 1) continue;
      throw new Refusal(
        "unavailable",
        `others keep writing ${fence.key} in etcd, which is this process's own`,
      );
    }
  }

  /** The fence for these plans; none where etcd has no space for one, and the plans only remove keys of known revisions. */
  async #held(plans: readonly Plan[]): Promise<Guard | undefined> {
    try {
      return await this.#fence.held();
    } catch (error) {
      this.#note(error);
      if (isRefused(error) && plans.every(removesOnce)) {
        return undefined;
      }
      throw error;
    }
  }

  /** Sends the transaction once. A malformed answer counts as a lost one: the transaction may have been applied. */
  async #send(plans: readonly Plan[], bytes: Uint8Array): Promise<TxnResponse> {
    let answer;
    try {
      answer = await this.#connection.txn(bytes);
    } catch (error) {
      this.#note(error);
      throw error;
    }
    // An etcd without space still removes keys.
    if (plans.some(({ ops }) => ops.some((op) => "put" in op))) this.#refused = undefined;
    try {
      const decoded = decodeTxn(answer), expected = plans.length > 1 && decoded.succeeded ? plans.length : 0;
      if (decoded.nested.length === expected) return decoded;
      throw new RangeError(`${decoded.nested.length} of ${expected} plans were answered`);
    } catch (error) {
      throw new UnknownOutcome(`etcd's answer cannot be read: ${messageOf(error)}`, { cause: error });
    }
  }

  /** An unknown outcome is reported only when the fence has settled it. */
  async #settle(error: unknown, fence: Guard | undefined): Promise<void> {
    if (!fence || !(error instanceof UnknownOutcome)) return;
    using limit = new TimeLimit(MOVE_MS);
    const late = limit.signal;
    await this.#fence.passed(fence.modRevision, late).catch((reason) => {
      if (!late.aborted && !(reason instanceof Refusal)) throw reason;
      throw new Refusal(
        "unavailable",
        `${error.message}: the change may or may not have been made, and may still be`,
        {
          cause: error,
        },
      );
    });
    throw error;
  }

  #note(error: unknown): void {
    if (isRefused(error)) {
      const remedy = remedyFor(error.message, this.#connection.endpoints);
      this.#refused = { since: this.#refused?.since ?? Date.now(), reason: error.message, remedy };
    }
  }

  #flush(): void {
    this.#flushing = false;
    while (this.#queue.length && this.#inFlight < this.#maxInFlight) {
      const batch = this.#take();
      this.#inFlight++;
      this.#share(batch).finally(() => {
        this.#inFlight--;
        this.#flush();
      });
    }
  }

  /** The longest-waiting plans that can share a transaction; plans that conflict with one of them stay queued. */
  #take(): Waiting[] {
    const batch: Waiting[] = [], left: Waiting[] = [];
    const touched = new Touched();
    for (const waiting of this.#queue) {
      if (batch.length < this.#maxPlans && touched.add(waiting.plan)) batch.push(waiting);
      else left.push(waiting);
    }
    this.#queue = left;
    return batch;
  }

  /** Settles every plan of the batch; never rejects. */
  async #share(batch: readonly Waiting[]): Promise<void> {
    const [only] = batch;
    if (only && batch.length === 1) return await this.commit(only.plan).then(only.resolve, only.reject);
    try {
      const plans = batch.map(({ plan }) => plan);
      const { answer: { header, nested } } = await this.#txn(plans, (fence) => encodeSharedTxn(plans, fence));
      batch.forEach(({ plan, resolve, reject }, i) => {
        const answer = nested[i];
        if (answer) resolve(outcomeOf(plan, answer, header.revision));
        else reject(new Error("a plan without an answer"));
      });
    } catch (error) {
      if (error instanceof Refusal || error instanceof UnknownOutcome) {
        for (const { reject } of batch) reject(error);
        return;
      }
      // etcd finds one plan malformed and wrote none: each is sent again alone, so that only the malformed one fails.
      await Promise.all(batch.map(({ plan, resolve, reject }) => this.commit(plan).then(resolve, reject)));
    }
  }
}

/** The keys that the plans of one shared transaction read and write: none may use a key that another one writes. */
class Touched {
  readonly #read = new Set<string>();
  readonly #written = new Set<string>();
  readonly #prefixes: string[] = [];

  /** Adds the plan, or returns false if it conflicts with one that was added. */
  add(plan: Plan): boolean {
    const writes = plan.ops.map(keyOf);
    const prefixes = plan.prefixGuards?.map(({ prefix }) => prefix) ?? [];
    // etcd evaluates every guard before it writes anything, so a guard on another plan's key would see the old state.
    if (plan.guards.some(({ key }) => this.#written.has(key))) return false;
    if (writes.some((key) => this.#written.has(key) || this.#read.has(key))) return false;
    if (
      this.#prefixes.length && writes.some((key) => this.#prefixes.some((prefix) => key.startsWith(prefix)))
    ) return false;
    for (const prefix of prefixes) {
      for (const key of this.#written) if (key.startsWith(prefix)) return false;
    }
    for (const { key } of plan.guards) this.#read.add(key);
    for (const key of writes) this.#written.add(key);
    this.#prefixes.push(...prefixes);
    return true;
  }
}

function outcomeOf(plan: Plan, answer: TxnResponse, revision: number, fence?: Guard): CommitOutcome {
  return answer.succeeded
    ? { committed: true, revision }
    : { committed: false, current: currentOf(plan, answer.found, fence) };
}

/** True when etcd has read the transaction and refuses it. */
function isRefused(error: unknown): error is Refusal {
  return error instanceof Refusal && verdictOf(error.cause) === "refused";
}

/** True when the fence's compare failed: a shared transaction has no other one, and a single plan reads the fence. */
function met({ succeeded, found }: TxnResponse, { key, modRevision }: Guard): boolean {
  return !succeeded && found.get(key) !== modRevision;
}

/** True when nothing but keys of certain revisions is removed: a mod revision never recurs. */
function removesOnce({ guards, ops }: Plan): boolean {
  return ops.every((op) =>
    "remove" in op && guards.some(({ key, modRevision }) => key === op.remove && modRevision > 0)
  );
}

function weight(plan: Plan): number {
  return Math.max(plan.ops.length, plan.guards.length + (plan.prefixGuards?.length ?? 0));
}

function size(plan: Plan): number {
  return plan.ops.reduce((sum, op) => sum + ("put" in op ? op.value.length : 0), 0);
}

/** Throws for a plan that etcd can never accept: this is a programming error, not a user's. */
function check(plan: Plan): void {
  if (weight(plan) > MOST_OPS) {
    const guards = plan.guards.length + (plan.prefixGuards?.length ?? 0);
    throw new Error(
      `a plan of ${guards} guards and ${plan.ops.length} operations: at most ${MOST_OPS} of each fit`,
    );
  }
  const keys = plan.ops.map(keyOf);
  if (keys.length > 1 && new Set(keys).size !== keys.length) {
    throw new Error(`a plan that writes one key twice: ${keys.join(" ")}`);
  }
  if (keys.includes("")) throw new Error("a plan that writes a key without a name");
}
