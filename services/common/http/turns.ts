/** A share of this process's time for work that others can ask for without end, so that nothing else waits long for its own. */

/** In each round of the event loop, in ms. */
const SHARE = 2;

/** Lets everything else that is due be done first. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Those who have such work, one after the other: all of them together have {@link SHARE}. */
export class Turns {
  #waiting: (() => void)[] = [];
  #running = false;

  /** Resolves when it is the caller's turn, until it next waits for something. */
  next(): Promise<void> {
    // The first in a round of the event loop need not wait for the next one.
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
        // It does its work before this goes on.
        await Promise.resolve();
      }
      this.#waiting = [...waiting.slice(served), ...this.#waiting];
    } while (this.#waiting.length);
    this.#running = false;
  }
}
