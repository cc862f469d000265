/**
 * Limits the time that clients' requests can take in each round of the event loop, so that other work never waits
 * long.
 */

/** The share in each round of the event loop, in ms. */
const SHARE = 2;

/** Lets everything else that is due run first. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Schedules such work one after another: all callers together get {@link SHARE} in each round. */
export class WorkScheduler {
  #waiting: (() => void)[] = [];
  #running = false;

  /** Resolves when it is the caller's turn, which lasts until it next awaits something. */
  next(): Promise<void> {
    // The first caller in a round of the event loop need not wait for the next round.
    if (!this.#running) {
      void this.#run();
      return Promise.resolve();
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    return promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    do {
      await nextTurn();
      const until = performance.now() + SHARE, waiting = this.#waiting;
      this.#waiting = [];
      let served = 0;
      while (served < waiting.length && (served === 0 || performance.now() < until)) {
        waiting[served++]?.();
        // The caller does its work before this continues.
        await Promise.resolve();
      }
      this.#waiting = [...waiting.slice(served), ...this.#waiting];
    } while (this.#waiting.length);
    this.#running = false;
  }
}
