import { Refusal } from "../common/refusal.ts";
import type { Connection } from "./connection.ts";
import { UnknownOutcome } from "./errors.ts";
import { decodeTxn, encodeTxn } from "./messages.ts";
import { pause, unlessAborted } from "./timers.ts";
import type { Guard } from "./types.ts";

/** Of the lease on the key, in seconds: a process that is gone leaves its key for so long, one that lives writes it anew. */
const TTL = 3600;
const RETRY_MS = 100;

/**
 * What keeps a transaction that was given up from being applied later, when the member that it was sent to goes on.
 *
 * Each process has a key of its own, whose mod revision all its transactions compare. When the outcome of one is not
 * known, the key is written again: what was sent before that has either been applied by then, or never will be. The key may
 * vanish at any time, with its lease or in a store that is emptied: it is written again then, too.
 */
export class Fence {
  readonly #connection: Connection;
  readonly #closing = new AbortController();
  /** Undefined: not written yet, or it has to be written again. */
  #guard: Guard | undefined;
  #moving: Promise<Guard> | undefined;
  /** Outcomes that are not known and for which the key is still to be written again. */
  #unsettled = 0;

  constructor(connection: Connection, private readonly key: string) {
    this.#connection = connection;
  }

  /** What a transaction has to compare now; undefined where the key is to be written before that, see {@link Fence.held}. */
  get guard(): Guard | undefined {
    return this.#guard;
  }

  /** What a transaction has to compare. Throws Refusal "unavailable". */
  async held(): Promise<Guard> {
    return this.#guard ?? await (this.#moving ??= this.#write().finally(() => this.#moving = undefined));
  }

  /** The key does not have that mod revision any more, or must not: it is written again before it is next held. */
  left(modRevision: number): void {
    if (this.#guard?.modRevision === modRevision) this.#guard = undefined;
  }

  /**
   * Resolves when nothing that compares that mod revision can be applied any more; tries until it is so, whatever becomes
   * of `signal`, which only ends the waiting.
   */
  async passed(modRevision: number, signal: AbortSignal): Promise<void> {
    this.left(modRevision);
    this.#unsettled++;
    const settled = this.#writeAtLast().finally(() => this.#unsettled--);
    await unlessAborted(settled, signal);
  }

  /** Resolves when every outcome that was not known is settled: none is, as a rule. */
  async settled(signal: AbortSignal): Promise<void> {
    if (this.#unsettled) await unlessAborted(this.#writeAtLast(), signal);
  }

  close(): void {
    this.#closing.abort();
  }

  async #writeAtLast(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        await this.held();
        return;
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        await pause(RETRY_MS, signal);
      }
    }
  }

  async #write(): Promise<Guard> {
    const { id: lease } = await this.#connection.grantLease(TTL);
    try {
      const put = encodeTxn({ guards: [], ops: [{ put: this.key, value: "", lease }] });
      const answer = await this.#connection.txn(put);
      return this.#guard = { key: this.key, modRevision: decodeTxn(answer).header.revision };
    } catch (error) {
      if (!(error instanceof UnknownOutcome)) throw error;
      // Should it be written after all, later than the next try, then that is seen to have been overwritten.
      throw new Refusal("unavailable", error.message, { cause: error });
    }
  }
}
