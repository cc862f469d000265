import { messageOf } from "../common/refusal.ts";
import type { Log } from "../common/log.ts";
import type { Nex } from "./nex.ts";

/** How often what is due is looked for, in milliseconds. Without anything due it costs one comparison. */
const EVERY = 1000;

export interface SweeperOptions {
  readonly log: Log;
  /** Told how many steps a sweep took, when any. */
  readonly onSwept?: (count: number) => void;
}

/**
 * Sweeps, once a second, what is due, until the function that it returns is called. Every replica does: whichever
 * comes first wins, and the others find nothing left.
 */
export function runSweeper(nex: Nex, { log, onSwept }: SweeperOptions): () => Promise<void> {
  const stop = new AbortController();
  let failing = false, running = Promise.resolve();
  const sweep = async () => {
    try {
      const count = await nex.sweep(Math.floor(Date.now() / 1000), stop.signal);
      if (count) onSwept?.(count);
      failing = false;
    } catch (error) {
      if (!failing) log.warn(`sweeping is put off: ${messageOf(error)}`);
      failing = true;
    }
    if (!stop.signal.aborted) timer = setTimeout(start, EVERY);
  };
  const start = () => void (running = sweep());
  // Replicas that were started together do not all come at once.
  let timer = setTimeout(start, EVERY * (0.5 + Math.random()));
  return async () => {
    stop.abort();
    clearTimeout(timer);
    await running;
  };
}
