/** Compares each of this host's networks with the kernel at intervals, to repair what has changed unnoticed. */
import { messageOf } from "../../common/refusal.ts";
import { deadline, delay } from "../../common/async.ts";
import type { Context } from "../context.ts";
import type { NetworkWorker } from "./network.ts";

/** The longest that one network may delay the comparison of the next, in ms. */
const PATIENCE = 1000;
/** The least time between two comparisons, in ms: with very many networks a round takes longer, not the processor. */
const LEAST = 1000;

type Network = Pick<NetworkWorker, "compare" | "shownName">;

/** The log line of a comparison that failed. */
export function notCompared(network: Pick<NetworkWorker, "shownName">, error: unknown): string {
  return `network ${network.shownName()} could not be compared with the kernel: ${messageOf(error)}`;
}

/**
 * Compares every network with the kernel once in `everyMs`, one after another and evenly spread, until it is closed: of very many
 * networks, one a second. This finds and repairs what other programs have changed without the agent noticing.
 */
export class Checks {
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;

  constructor(
    private readonly context: Pick<Context, "log" | "storeGuard">,
    private readonly workers: { all(): Iterable<Network>; startMissing(): Promise<void> },
    private readonly everyMs: number,
    /** Called at each round, for further periodic checks. */
    private readonly onRound: () => Promise<void>,
  ) {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const workers = [...this.workers.all()], least = Math.min(LEAST, this.everyMs);
      const wait = Math.max(least, this.everyMs / Math.max(1, workers.length));
      if (!workers.length) await delay(wait, signal);
      for (const worker of workers) {
        await delay(wait, signal);
        if (signal.aborted) return;
        if (!this.context.storeGuard.hold) await this.#compare(worker);
      }
      try {
        await this.onRound();
        if (!this.context.storeGuard.hold) await this.workers.startMissing();
      } catch (error) {
        this.context.log.warn(`a periodic check is skipped: ${messageOf(error)}`);
      }
    }
  }

  async #compare(network: Network): Promise<void> {
    const compared = network.compare("check").catch((error) =>
      this.context.log.warn(notCompared(network, error))
    );
    await deadline(compared, PATIENCE);
  }
}
