/** Holds the API requests that are answered once the kernel has applied their endpoint. */
import { unobserved } from "../../common/async.ts";
import type { EndpointChange } from "../../overlay/network_change.ts";

/** API requests that wait until a change of an endpoint is applied on this host. */
export class AppliedWaiters {
  readonly #waiting = new Map<string, PromiseWithResolvers<void> & { count: number }>();

  get size(): number {
    return this.#waiting.size;
  }

  has(endpoint: string): boolean {
    return this.#waiting.has(endpoint);
  }

  /** The ids of the changed endpoints that are waited for. */
  among(changes: readonly EndpointChange[]): string[] {
    const changed = new Set(changes.map(({ before, after }) => (after ?? before)?.id ?? ""));
    return [...changed].filter((id) => this.#waiting.has(id));
  }

  /** Resolves when the next change of that endpoint is applied; rejects when it cannot be. */
  wait(endpoint: string): Promise<void> {
    let waiting = this.#waiting.get(endpoint);
    if (!waiting) {
      waiting = { ...unobserved<void>(), count: 0 };
      this.#waiting.set(endpoint, waiting);
    }
    waiting.count++;
    return waiting.promise;
  }

  /** Ends one wait for that endpoint. */
  forget(endpoint: string): void {
    const waiting = this.#waiting.get(endpoint);
    if (waiting && --waiting.count === 0) this.#waiting.delete(endpoint);
  }

  /** Answers the waits for that endpoint. */
  settle(endpoint: string, problem: unknown): void {
    const waiting = this.#waiting.get(endpoint);
    this.#waiting.delete(endpoint);
    if (problem === undefined) waiting?.resolve();
    else waiting?.reject(problem);
  }
}
