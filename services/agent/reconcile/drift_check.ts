/** Compares a network soon after the kernel has reported that another program changed something in it. */
import { abortable, deadline, delay } from "../../common/async.ts";
import type { Context } from "../context.ts";
import type { ComparedNetwork, DriftPart } from "../parts.ts";
import { notCompared } from "./checks.ts";

/** Changes within this time are compared together, in ms. */
const SETTLES = 100;
/** The least time between two comparisons of one network, in ms. */
const GAP = 500;
/** The most comparisons of one network in a row with that pause; then one in REFILL ms. */
const BURST = 20, REFILL = 5000;
/** The pause after a comparison, as a multiple of its duration: comparisons take a fifth of the time at most. */
const REST = 4;
/** The longest that one network may delay the next, in ms. */
const PATIENCE = 1000;

interface State {
  /** The time of its last comparison. */
  compared: number;
  /** The remaining comparisons of the burst, and the time of that count. */
  left: number;
  at: number;
}

/**
 * Compares networks in which another program has changed the kernel, as its notifications tell, one after another. A
 * program that keeps changing networks slows this down but nothing else; the periodic check finds the rest.
 */
export class Drift implements DriftPart {
  readonly #states = new WeakMap<ComparedNetwork, State>();
  /** When each suspected network is due, by performance.now(). */
  readonly #suspects = new Map<ComparedNetwork, number>();
  readonly #closing = new AbortController();
  #running: Promise<void> | undefined;

  constructor(private readonly context: Pick<Context, "log" | "storeGuard">) {}

  /** Requests a comparison: something has changed in the network's namespace. */
  suspect(network: ComparedNetwork): void {
    if (this.#suspects.has(network) || this.#closing.signal.aborted) return;
    const now = performance.now();
    const { compared, left, at } = this.#states.get(network) ?? { compared: -Infinity, left: BURST, at: now };
    const some = Math.min(BURST, left + (now - at) / REFILL);
    const due = Math.max(now + SETTLES, compared + GAP, now + (1 - some) * REFILL);
    this.#states.set(network, { compared, left: some - 1, at: now });
    this.#suspects.set(network, due);
    this.#start();
  }

  #start(): void {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
      // A network may have been added at the very end of the run.
      if (this.#suspects.size && !this.#closing.signal.aborted) this.#start();
    });
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
        // Another network may become due earlier.
        await delay(Math.min(wait, SETTLES), signal);
        continue;
      }
      this.#suspects.delete(network);
      if (!storeGuard.hold) await this.#compare(network);
    }
  }

  async #compare(network: ComparedNetwork): Promise<void> {
    const { signal } = this.#closing, state = this.#states.get(network);
    const started = performance.now();
    if (state) state.compared = started;
    const compared = network.compare("drift")
      .catch((error) => this.context.log.warn(notCompared(network, error)));
    await abortable(deadline(compared, PATIENCE), signal).catch(() => {});
    await delay(Math.min(REST * (performance.now() - started), PATIENCE / 2), signal);
  }
}
