/** Counts the packets that were refused to networks with egress, which had as many connections to the world as they may. */
import { NetworkCounters } from "../kernel/network_counters.ts";
import type { NetworkWorker } from "../reconcile/network.ts";

/** How long a network is named after the last refusal, in ms. */
const TOLD_FOR = 60_000;

/** Sums what the networks' counters have gained since the agent started. */
export class RefusedConnections {
  total = 0;
  /** When a network's counter last grew. */
  readonly #grew = new Map<string, number>();
  readonly #counters: NetworkCounters<Pick<NetworkWorker, "id" | "refusedConnections">, "refused">;

  constructor(workers: () => Iterable<Pick<NetworkWorker, "id" | "refusedConnections">>) {
    this.#counters = new NetworkCounters(workers, (worker) => {
      const count = worker.refusedConnections();
      return count === undefined ? undefined : new Map([["refused", count]]);
    });
  }

  /** Reads the networks whose turn it is. @param now By performance.now(). */
  read(now: number): void {
    for (const [id, gains] of this.#counters.read(this.#grew)) {
      this.total += gains.get("refused") ?? 0;
      this.#grew.set(id, now);
    }
  }

  /** The networks that were refused some lately. */
  recent(now: number): string[] {
    return [...this.#grew].flatMap(([id, grew]) => now - grew < TOLD_FOR ? id : []);
  }
}
