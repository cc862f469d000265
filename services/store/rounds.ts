/** One question for all who ask: whoever comes while it is under way shares the next one, which begins after he came. */
export class Rounds<T> {
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<T> | undefined;

  constructor(private readonly ask: () => Promise<T>) {}

  /** The answer to a question that is asked from now on. Rejects when asking does. */
  next(): Promise<T> {
    return this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      const asked = this.ask();
      this.#running = asked.catch(() => {});
      return asked;
    });
  }
}
