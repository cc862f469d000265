/** Reports as metrics what the agent's rules in the kernel have counted, like traffic that they have dropped. */
import { Mutex, repeat } from "../../common/async.ts";
import type { Daemon } from "../../common/daemon.ts";
import type { Log } from "../../common/log.ts";
import { labelledCounters, type Series } from "../../common/metrics.ts";
import { messageOf } from "../../common/refusal.ts";
import { type TrafficCounts, VERDICTS } from "./traffic_counts.ts";

/** The time between two reads without a scrape, in ms. */
const EVERY = 10_000;

export interface KernelCounters<L extends string> {
  /** The subject of the counters, for the log. */
  readonly of: string;
  readonly name: string;
  readonly help: string;
  readonly labels: readonly L[];
  /** Adds to the sums what the kernel has counted since the last call. */
  read(): void | Promise<void>;
  /** The sums since the agent's start. */
  series(): Series<L>;
}

/** Has counters of the kernel read at intervals and at each scrape, and adds their metric. */
export function reportCounters<L extends string>(
  daemon: Daemon,
  log: Log,
  counters: KernelCounters<L>,
): void {
  const { of, name, help, labels } = counters;
  // An older reading that came after a newer one would look like a table that was made again.
  const turn = new Mutex();
  const read = () =>
    turn.run(async () => {
      try {
        await counters.read();
      } catch (error) {
        log.debug(`the counters of ${of} cannot be read: ${messageOf(error)}`);
      }
    });
  daemon.defer(`counters of ${of}`, repeat(() => EVERY, read));
  labelledCounters(daemon.metrics, name, help, labels, async () => {
    await read();
    return counters.series();
  });
}

export interface CountedTraffic<Reason extends string>
  extends Omit<KernelCounters<string>, "labels" | "series"> {
  /** The label that has the reason, beside `verdict`. */
  readonly label: string;
  readonly reasons: readonly Reason[];
  readonly counts: TrafficCounts<Reason>;
}

/** Reports traffic by what was wrong with it, and whether it was dropped. */
export function reportTraffic<Reason extends string>(
  daemon: Daemon,
  log: Log,
  { label, reasons, counts, ...rest }: CountedTraffic<Reason>,
): void {
  const series = (): Series<string> =>
    VERDICTS.flatMap((verdict) =>
      reasons.map((reason) =>
        [{ [label]: reason, verdict }, counts.get(`${verdict} ${reason}`) ?? 0] as const
      )
    );
  reportCounters(daemon, log, { ...rest, labels: [label, "verdict"], series });
}
