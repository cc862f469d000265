/**
 * Reads the kernel's counters of all networks of this host some networks at a time, so that a host with a thousand networks reads
 * as little at once as one with fifty.
 */
import { CounterGains } from "./traffic_counts.ts";

/** Networks that are read at once. */
const AT_ONCE = 50;

/** The counters of networks by name, of which each reading has the gains since the one before. */
export class NetworkCounters<Worker extends { readonly id: string }, Name extends string> {
  readonly #gains = new Map<string, CounterGains<Name>>();
  #turn: string[] = [];

  /** @param counted A network's counters as they are now; undefined where it has none. */
  constructor(
    private readonly workers: () => Iterable<Worker>,
    private readonly counted: (worker: Worker) => ReadonlyMap<Name, number> | undefined,
  ) {}

  /**
   * Reads the networks whose turn it is.
   *
   * @param kept Loses the networks that are gone.
   * @returns the gains of those that have some
   */
  read(kept: Map<string, unknown>): Map<string, ReadonlyMap<Name, number>> {
    const workers = new Map([...this.workers()].map((worker) => [worker.id, worker]));
    for (const known of [this.#gains, kept]) {
      for (const id of known.keys()) if (!workers.has(id)) known.delete(id);
    }
    if (!this.#turn.length) this.#turn = [...workers.keys()];
    const gained = new Map<string, ReadonlyMap<Name, number>>();
    for (const id of this.#turn.splice(0, AT_ONCE)) {
      const worker = workers.get(id), counts = worker && this.counted(worker);
      if (!counts) continue;
      const its = this.#gains.get(id) ?? new CounterGains();
      this.#gains.set(id, its);
      const gains = its.take(counts);
      if (gains.size) gained.set(id, gains);
    }
    return gained;
  }
}
