/**
 * A fence for transactions whose answer was lost: a key that each transaction compares.
 * Writing the key again makes sure that no earlier transaction can still be applied.
 */
import { Refusal } from "../common/refusal.ts";
import type { EtcdConnection } from "./connection.ts";
import { UnknownOutcome } from "./errors.ts";
import { isLeaseGone } from "./failure.ts";
import { decodeTxn, encodeTxn } from "./messages.ts";
import { abortable, delay } from "../common/async.ts";
import type { Guard } from "./types.ts";

/** The TTL of the key's lease, in seconds: the key of a process that has ended expires; a running process writes it again. */
const TTL = 3600;
/** The first and the longest delay before the key is written again after a failure, in ms. */
const RETRY_MS = 100, SELDOM_MS = 3_000;

/**
 * A guard that keeps a transaction that was given up from being applied later, when the member that it was sent to goes on.
 *
 * Each process has a key of its own, whose mod revision all its transactions compare. When the outcome of one is not
 * known, the key is written again: what was sent before that has either been applied by then, or never will be. The key may
 * vanish at any time, with its lease or in a store that is emptied: it is written again then, too.
 */
export class Fence {
  readonly #connection: EtcdConnection;
  readonly #closing = new AbortController();
  /** Undefined: not written yet, or it has to be written again. */
  #guard: Guard | undefined;
  #moving: Promise<Guard> | undefined;
  /** While an outcome is not known: resolves when the key has been written again. */
  #settling: Promise<void> | undefined;
  /** Aborted when the key has been written, by any caller. */
  #written = new AbortController();
  /** The id of the process's one lease. It is chosen here, so that a repeated request does not make a second lease. */
  readonly #lease = randomId();
  #granted = false;

  constructor(connection: EtcdConnection, private readonly key: string) {
    this.#connection = connection;
  }

  /** The guard for a transaction; undefined where the key has to be written first, see {@link Fence.held}. */
  get guard(): Guard | undefined {
    return this.#guard;
  }

  /** Returns the guard for a transaction, and writes the key first if needed. Throws Refusal "unavailable". */
  async held(): Promise<Guard> {
    return this.#guard ?? await (this.#moving ??= this.#write().finally(() => this.#moving = undefined));
  }

  /** Drops the guard of this mod revision: the key is written again before the next transaction. */
  left(modRevision: number): void {
    if (this.#guard?.modRevision === modRevision) this.#guard = undefined;
  }

  /**
   * Resolves when no transaction that compares that mod revision can be applied any more. The attempts go on until that is
   * so, or the fence is closed: then this throws Refusal. `signal` only ends this call's wait.
   */
  async passed(modRevision: number, signal: AbortSignal): Promise<void> {
    this.left(modRevision);
    await abortable(this.#settle(), signal);
  }

  /** Resolves when every unknown outcome is settled; usually there is none. Throws Refusal when the fence is closed. */
  async settled(signal: AbortSignal): Promise<void> {
    if (this.#settling) await abortable(this.#settling, signal);
  }

  close(): void {
    this.#closing.abort();
  }

  /** Writes the key once for all outcomes that are unknown at that time. */
  #settle(): Promise<void> {
    return this.#settling ??= this.#writeAtLast().finally(() => this.#settling = undefined);
  }

  async #writeAtLast(): Promise<void> {
    const { signal } = this.#closing;
    for (let wait = RETRY_MS; !signal.aborted; wait = Math.min(wait * 2, SELDOM_MS)) {
      const written = this.#written.signal;
      try {
        await this.held();
        return;
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        await delay(wait * (0.5 + Math.random() / 2), AbortSignal.any([signal, written]));
      }
    }
    throw new Refusal("unavailable", "the store is being closed");
  }

  async #write(): Promise<Guard> {
    try {
      const modRevision = await this.#put();
      this.#written.abort();
      this.#written = new AbortController();
      return this.#guard = { key: this.key, modRevision };
    } catch (error) {
      if (!(error instanceof UnknownOutcome)) throw error;
      // If this write is applied late, after the next attempt, the key's new mod revision shows it.
      throw new Refusal("unavailable", error.message, { cause: error });
    }
  }

  /** Writes the key and returns its mod revision. */
  async #put(): Promise<number> {
    const put = encodeTxn({ guards: [], ops: [{ put: this.key, value: "", lease: this.#lease }] });
    for (let tries = 2;; tries--) {
      if (!this.#granted) await this.#connection.grantLease(TTL, this.#lease);
      this.#granted = true;
      try {
        return decodeTxn(await this.#connection.txn(put)).header.revision;
      } catch (error) {
        if (!isLeaseGone(error)) throw error;
        // The lease has expired, or the store was replaced.
        this.#granted = false;
        if (tries <= 1) {
          throw new Refusal("unavailable", "etcd does not keep the lease that it has granted", {
            cause: error,
          });
        }
      }
    }
  }
}

/** Returns a random lease id: etcd accepts any positive 64-bit integer. */
function randomId(): bigint {
  const [id = 0n] = crypto.getRandomValues(new BigUint64Array(1));
  return BigInt.asUintN(62, id) + 1n;
}
