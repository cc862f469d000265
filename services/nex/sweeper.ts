import { repeat } from "../common/async.ts";
import { messageOf } from "../common/refusal.ts";
import type { Log } from "../common/log.ts";
import { type LeaseClock, surelyPast } from "./clocks.ts";
import type { Nex } from "./nex.ts";

/** How often what is due is looked for, in milliseconds. Without anything due it costs one comparison. */
const EVERY = 1000;

export interface SweeperOptions {
  readonly log: Log;
  /** While it is not known to be right, nothing is ended whose time is over; what deleted networks left goes all the same. */
  readonly clock: LeaseClock;
  /**
   * Before anything else, make a store of the old daemons ours; until that is done it is served as it is. What they write
   * later is taken over when it comes.
   */
  readonly takeOver?: boolean;
  /** Told how many steps a sweep took, when any. */
  readonly onSwept?: (count: number) => void;
}

export interface Sweeper {
  /** Resolves when the first sweep is over, done or put off. */
  readonly first: Promise<void>;
  /** Resolves when the sweep under way, if any, has ended. */
  stop(): Promise<void>;
}

/**
 * Sweeps, once a second, what is due. Every replica does: whichever comes first wins, and the others find nothing left.
 */
export function runSweeper(nex: Nex, { log, clock, takeOver = false, onSwept }: SweeperOptions): Sweeper {
  const stop = new AbortController();
  const first = Promise.withResolvers<void>();
  let failing = false, takenOver = false;
  const sweep = async () => {
    try {
      const isOurs = () => takenOver && nex.view.strays.size === 0;
      if (takeOver && !nex.view.unreadable.misread && !isOurs()) {
        if (!failing) { for (const conflict of nex.conflicts()) log.warn(`taking over: ${conflict}`); }
        const changes = await nex.takeOver(stop.signal);
        if (changes) log.info({ changes }, "took over what the old daemons left");
        takenOver = !nex.view.unreadable.misread;
      }
      const count = await nex.sweep(surelyPast(clock), stop.signal);
      if (count) onSwept?.(count);
      failing = false;
    } catch (error) {
      if (!failing) log.warn(`sweeping is put off: ${messageOf(error)}`);
      failing = true;
    }
    first.resolve();
  };
  // Replicas that were started together do not all come at once.
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
