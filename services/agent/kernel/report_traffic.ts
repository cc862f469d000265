/** Reports traffic that the agent's rules in the kernel have dropped or only counted as a metric, and has it read at intervals. */
import { Mutex, repeat } from "../../common/async.ts";
import type { Daemon } from "../../common/daemon.ts";
import type { Log } from "../../common/log.ts";
import { labelledCounters } from "../../common/metrics.ts";
import { messageOf } from "../../common/refusal.ts";
import { type TrafficCounts, VERDICTS } from "./traffic_counts.ts";

/** The time between two reads without a scrape, in ms. */
const EVERY = 10_000;

export interface CountedTraffic<Reason extends string> {
  /** The subject of the counters, for the log. */
  readonly of: string;
  readonly metric: { readonly name: string; readonly help: string; readonly label: string };
  readonly reasons: readonly Reason[];
  /** The sums since the agent's start. */
  readonly counts: TrafficCounts<Reason>;
  /** Adds to the sums what the kernel has counted since the last call. */
  read(): void | Promise<void>;
}

/** Adds the metric, whose counters are read at each scrape too. */
export function reportTraffic<Reason extends string>(
  daemon: Daemon,
  log: Log,
  traffic: CountedTraffic<Reason>,
): void {
  const { of, metric: { name, help, label }, reasons, counts } = traffic;
  // An older reading that came after a newer one would look like a table that was made again.
  const turn = new Mutex();
  const read = () =>
    turn.run(async () => {
      try {
        await traffic.read();
      } catch (error) {
        log.debug(`the counters of ${of} cannot be read: ${messageOf(error)}`);
      }
    });
  daemon.defer(`counters of ${of}`, repeat(() => EVERY, read));
  labelledCounters(daemon.metrics, name, help, [label, "verdict"], async () => {
    await read();
    return VERDICTS.flatMap((verdict) =>
      reasons.map((reason) =>
        [{ [label]: reason, verdict }, counts.get(`${verdict} ${reason}`) ?? 0] as const
      )
    );
  });
}
