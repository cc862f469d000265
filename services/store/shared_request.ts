/** Lets concurrent callers share one request to etcd, as long as it is sent after each of them has asked. */

/**
 * Shares one request among all callers that need its answer. A caller that comes while a request is running shares the next
 * one with other such callers, so that its answer is from after the call.
 */
export class SharedRequest<T> {
  #running: Promise<unknown> = Promise.resolve();
  #next: Promise<T> | undefined;

  constructor(private readonly request: () => Promise<T>) {}

  /** The answer to a request that begins after this call. Rejects when the request does. */
  next(): Promise<T> {
    return this.#next ??= this.#running.then(() => {
      this.#next = undefined;
      const sent = this.request();
      this.#running = sent.catch(() => {});
      return sent;
    });
  }
}
