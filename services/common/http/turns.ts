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
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    if (!this.#running) void this.#run();
    return promise;
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#waiting.length) {
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
    }
    this.#running = false;
  }
}
