/** Counts the packets that were refused to networks with egress, which had as many connections to the world as they may. */
import type { NetworkWorker } from "../reconcile/network.ts";

/** Networks that are read at once. */
const AT_ONCE = 50;
/** How long a network is named after the last refusal, in ms. */
const TOLD_FOR = 60_000;

/** Sums what the networks' counters have gained since the agent started; a table that is made again begins at 0. */
export class RefusedConnections {
  total = 0;
  /** The counters as last read, and when one last grew, by network. */
  readonly #seen = new Map<string, { readonly count: number; readonly grew: number }>();
  #turn: string[] = [];

  constructor(private readonly workers: () => Iterable<Pick<NetworkWorker, "id" | "refusedConnections">>) {}

  /** Reads the networks whose turn it is. @param now By performance.now(). */
  read(now: number): void {
    const workers = new Map([...this.workers()].map((worker) => [worker.id, worker]));
    for (const id of this.#seen.keys()) if (!workers.has(id)) this.#seen.delete(id);
    if (!this.#turn.length) this.#turn = [...workers.keys()];
    for (const id of this.#turn.splice(0, AT_ONCE)) {
      const count = workers.get(id)?.refusedConnections(),
        { count: before = 0, grew = -Infinity } = this.#seen.get(id) ?? {};
      if (count === undefined) continue;
      const more = count < before ? count : count - before;
      this.total += more;
      this.#seen.set(id, { count, grew: more ? now : grew });
    }
  }

  /** The networks that were refused some lately. */
  recent(now: number): string[] {
    return [...this.#seen].flatMap(([id, { grew }]) => now - grew < TOLD_FOR ? id : []);
  }
}
