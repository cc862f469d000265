import { messageOf } from "../../common/refusal.ts";
import { abortable, deadline, delay } from "../../common/async.ts";
import type { Context } from "../context.ts";
import type { NetworkWorker } from "./network.ts";

/** What comes together is looked at together, in ms. */
const SETTLES = 100;
/** Between two comparisons of one network, in ms. */
const GAP = 500;
/** So many comparisons of one network may follow one another like that; then, one in so many ms. */
const BURST = 20, REFILL = 5000;
/** For so many times its own length nothing is compared after a comparison: all of them take a fifth of the time at most. */
const REST = 4;
/** The next network is not kept waiting for longer, in ms. */
const PATIENCE = 1000;

type Network = Pick<NetworkWorker, "compare">;

interface State {
  /** When it was compared last. */
  compared: number;
  /** How many comparisons it has left, and when that was so. */
  left: number;
  at: number;
}

/**
 * Compares networks that others have changed, as the kernel tells, one after another. A program that goes on changing a
 * network, or many of them, slows this down and nothing else; the periodic check finds the rest.
 */
export class Drift {
  readonly #states = new WeakMap<Network, State>();
  /** When each is due, on the clock of performance.now(). */
  readonly #suspects = new Map<Network, number>();
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;

  constructor(private readonly context: Pick<Context, "log" | "storeGuard">) {}

  /** Something has changed in the network's namespace. */
  suspect(network: Network): void {
    if (this.#suspects.has(network) || this.#closing.signal.aborted) return;
    const now = performance.now();
    const { compared, left, at } = this.#states.get(network) ?? { compared: -Infinity, left: BURST, at: now };
    const some = Math.min(BURST, left + (now - at) / REFILL);
    const due = Math.max(now + SETTLES, compared + GAP, now + (1 - some) * REFILL);
    this.#states.set(network, { compared, left: some - 1, at: now });
    this.#suspects.set(network, due);
    this.#running ??= this.#run().finally(() => this.#running = undefined);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing, { storeGuard } = this.context;
    while (this.#suspects.size && !signal.aborted) {
      const [network, due] = [...this.#suspects].reduce((a, b) => b[1] < a[1] ? b : a);
      const wait = due - performance.now();
      if (wait > 0) {
        // Another may be due before.
        await delay(Math.min(wait, SETTLES), signal);
        continue;
      }
      this.#suspects.delete(network);
      if (!storeGuard.hold) await this.#compare(network);
    }
  }

  async #compare(network: Network): Promise<void> {
    const { signal } = this.#closing, state = this.#states.get(network);
    const started = performance.now();
    if (state) state.compared = started;
    const compared = network.compare("drift")
      .catch((error) => this.context.log.warn(`a network could not be compared: ${messageOf(error)}`));
    await abortable(deadline(compared, PATIENCE), signal).catch(() => {});
    await delay(Math.min(REST * (performance.now() - started), PATIENCE / 2), signal);
  }
}
