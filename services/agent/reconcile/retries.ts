/** Decides when a network is compared again after a failure: soon at first, then less often, and as soon as etcd is back. */
import { Refusal } from "../../common/refusal.ts";
import { UnknownOutcome } from "../../store/errors.ts";
import type { StoreMirror } from "../../store/mirror.ts";

/** The pause after a failure, in ms: the first one, which doubles each time up to the longest one. */
export const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 10_000;
/** For how long a request waits while the kernel is not as it has just been read, in ms: another program changes it. */
const PASSING_MS = 2_000;

/**
 * Runs a step of a request that changes the kernel, and again after a comparison where another program had changed it.
 * @param bring Compares the network: see {@link NetworkWorker.bring}.
 */
export async function outlast(step: () => Promise<void>, bring: () => Promise<void>): Promise<void> {
  for (const end = performance.now() + PASSING_MS;;) {
    try {
      return await step();
    } catch (error) {
      const isFinal = error instanceof Refusal || error instanceof UnknownOutcome;
      if (isFinal || performance.now() >= end) throw error;
      await bring();
    }
  }
}

/** The failures in a row of one network, and the timer of its next try. */
export class Retries {
  #failures = 0;
  /** The time of the first failure in the row. */
  #since = 0;
  #mayPass = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** True while the mirror's being in sync again is waited for. */
  #isWaiting = false;

  /**
   * @param retry Begins the next try, unless one runs.
   * @param now Milliseconds of a monotonic clock.
   */
  constructor(
    private readonly mirror: Pick<StoreMirror<unknown>, "inSync"> & {
      readonly state: { readonly inSync: boolean };
    },
    private readonly retry: () => void,
    private readonly closing: AbortSignal,
    private readonly now = () => performance.now(),
  ) {
    closing.addEventListener("abort", () => clearTimeout(this.#timer), { once: true });
  }

  /** True since the last try has failed. */
  get isFailing(): boolean {
    return this.#failures > 0;
  }

  /** True where the last try failed with an error that a request does not end with yet, see {@link mayPass}. */
  get isPassing(): boolean {
    return this.isFailing && this.#mayPass;
  }

  /**
   * True for an error that may be over at the next try: the kernel was not as it had been read, since another program changes
   * it, and this began only just now. What is wrong with a request, or with etcd, is a Refusal.
   */
  mayPass(error: unknown): boolean {
    return !(error instanceof Refusal) && (!this.isFailing || this.now() - this.#since < PASSING_MS);
  }

  succeeded(): void {
    this.#failures = 0;
  }

  /** Schedules the next try. @returns true for the first failure in a row */
  failed(error: unknown): boolean {
    const { mirror, retry, closing } = this;
    this.#mayPass = this.mayPass(error);
    if (this.#failures++ === 0) this.#since = this.now();
    const isFirst = this.#failures === 1;
    clearTimeout(this.#timer);
    // A run that was under way when the worker was closed ends after that.
    if (closing.aborted) return isFirst;
    const wait = Math.min(FIRST_PAUSE * 2 ** (this.#failures - 1), LONGEST_PAUSE);
    this.#timer = setTimeout(retry, wait * (0.8 + Math.random() * 0.4));
    // While etcd is out of reach, the next try is due as soon as it is back, however long the pauses have become.
    if (!mirror.state.inSync && !this.#isWaiting) {
      this.#isWaiting = true;
      void mirror.inSync({ signal: closing }).then(retry, () => {}).finally(() => this.#isWaiting = false);
    }
    return isFirst;
  }
}
