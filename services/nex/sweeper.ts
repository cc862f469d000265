/** Runs the background work on names and addresses: it takes a store over, and then ends expired leases at intervals. */
import { repeat } from "../common/async.ts";
import { messageOf } from "../common/refusal.ts";
import type { Log } from "../common/log.ts";
import { certainlyPast, type LeaseClock } from "./clocks.ts";
import type { Nex } from "./nex.ts";

/** How often it is checked what is due, in milliseconds. With nothing due that costs one comparison. */
const EVERY = 1000;

export interface SweeperOptions {
  readonly log: Log;
  /** While the clock is not known to be right, no lease is ended; what deleted networks left is removed even so. */
  readonly clock: LeaseClock;
  /**
   * True to take over a store of Nex's own daemons before anything else; until that is done it is served as it is. What these
   * daemons write later is taken over too.
   */
  readonly takeOver?: boolean;
  /** Called with the number of steps of a sweep that had any. */
  readonly onSwept?: (count: number) => void;
}

export interface Sweeper {
  /** Resolves when the first sweep has ended, also where it failed and is put off. */
  readonly first: Promise<void>;
  /** Resolves when the sweep under way, if any, has ended. */
  stop(): Promise<void>;
}

/** Sweeps once a second what is due. Every replica does: the first one wins, and the others find nothing left to do. */
export function runSweeper(nex: Nex, { log, clock, takeOver = false, onSwept }: SweeperOptions): Sweeper {
  const stop = new AbortController();
  const first = Promise.withResolvers<void>();
  let failing = false, takenOver = false;
  const sweep = async () => {
    try {
      const isOurs = () => takenOver && nex.view.strays.size === 0;
      if (takeOver && !nex.view.unreadable.misread && !isOurs()) {
        if (!failing) {
          for (const conflict of nex.conflicts()) {
            log.warn(`taking over the store of Nex's daemons: ${conflict}`);
          }
        }
        const changes = await nex.takeOver(stop.signal);
        if (changes) log.info({ changes }, "took over the store of Nex's daemons");
        takenOver = !nex.view.unreadable.misread;
      }
      const count = await nex.sweep(certainlyPast(clock), stop.signal);
      if (count) onSwept?.(count);
      failing = false;
    } catch (error) {
      if (!failing) log.warn(`the sweep has failed, and is tried again: ${messageOf(error)}`);
      failing = true;
    }
    first.resolve();
  };
  // Replicas that were started at the same time do not all sweep at the same time.
  let wait = takeOver ? 0 : EVERY * (0.5 + Math.random());
  const end = repeat(() => {
    const ms = wait;
    wait = EVERY;
    return ms;
  }, sweep);
  return {
    first: first.promise,
    stop: async () => {
      stop.abort();
      await end();
    },
  };
}
