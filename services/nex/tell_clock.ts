/** Reports the verdict on a process's clock in /readyz, /metrics and `strand status`. */
import type { Daemon } from "../common/daemon.ts";
import { gauge } from "../common/metrics.ts";
import { differenceOf, TOLD_MS } from "./clock_verdict.ts";
import type { Clocks } from "./clocks.ts";

const FIX = "set this machine's clock, and keep it set by NTP (timedatectl set-ntp true)";

/** @param gives True for a process that gives leases: with a wrong clock it is not ready. */
export function tellClock(daemon: Daemon, clock: Clocks, gives: boolean): void {
  daemon.check(() => {
    const { verdict, offset, others } = clock;
    const by = differenceOf(offset);
    const stops = gives ? "no lease is ended, and no new one given" : "no lease is ended";
    const never = gives ? ", and only addresses that were never used are given" : "";
    const { uncompared } = clock;
    if (uncompared) {
      return {
        what: `this clock could not be compared with others' for ${
          Math.round(uncompared.ms / 1000)
        } s: ${uncompared.why}: no lease is ended${never}`,
        fix: "let its etcd user read and write /strand/clocks/, or see to etcd: docs/CAPACITY.md",
        blocks: gives,
      };
    }
    if (verdict === "wrong") {
      return { what: `this clock is ${by} most of ${others} others: ${stops}`, fix: FIX, blocks: gives };
    }
    if (verdict === "apart") {
      const what =
        `this clock is ${by} another, and no majority says which is right: no lease is ended${never}`;
      return { what, fix: `on the machine that is wrong: ${FIX}`, blocks: false };
    }
    if (verdict === "right" && Math.abs(offset) > TOLD_MS) {
      return { what: `this clock is ${by} most of ${others} others`, fix: FIX, blocks: false };
    }
    const { stepped } = clock;
    if (Math.abs(stepped) <= TOLD_MS) return undefined;
    return {
      what: `the system's clock was set by ${Math.round(stepped / 1000)} s: leases end by the later time`,
      fix: "restart the process if the clock is right now",
      blocks: false,
    };
  });
  daemon.note(() => {
    const { verdict, others } = clock;
    return [{
      what: "clock",
      value: verdict === "unknown" ? "not compared yet" : `${verdict}, of ${others + 1}`,
    }];
  });
  gauge(
    daemon.metrics,
    "strand_clock_offset_seconds",
    "By how much most other processes' clocks are ahead of this one's.",
    () => clock.offset / 1000,
  );
  gauge(
    daemon.metrics,
    "strand_clock_trusted",
    "0 while this clock differs from most others', or was not compared yet: no lease is ended.",
    () => Number(clock.verdict === "right"),
  );
}
