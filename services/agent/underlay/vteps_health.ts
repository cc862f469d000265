/** Reports the VXLAN that was refused because it is of no host of its network, and a kernel that cannot refuse any. */
import type { Daemon } from "../../common/daemon.ts";
import { Counter } from "../../common/metrics.ts";
import { messageOf } from "../../common/refusal.ts";
import type { Context } from "../context.ts";
import { REASONS, type RefusedVxlan, VERDICTS } from "../kernel/vtep_table.ts";
import type { VtepAdmission } from "./vteps.ts";

/** The time between two reads without a scrape, in ms. */
const EVERY = 10_000;

/** Adds the metric, and what `strand status` says. */
export function reportVteps(daemon: Daemon, { log }: Context, vteps: VtepAdmission): void {
  /** Since the agent started; a table that is made again begins at 0. */
  const all = new Map<RefusedVxlan, number>();
  let seen: ReadonlyMap<RefusedVxlan, number> | undefined;
  const read = async () => {
    try {
      const found = await vteps.table.counted();
      for (const [what, count] of found) {
        const before = seen?.get(what) ?? 0, more = count < before ? count : count - before;
        if (more) all.set(what, (all.get(what) ?? 0) + more);
      }
      seen = found;
    } catch (error) {
      log.debug(`the counters of refused VXLAN cannot be read: ${messageOf(error)}`);
    }
  };
  const timer = setInterval(read, EVERY);
  daemon.defer("counters of refused VXLAN", () => clearInterval(timer));
  daemon.check(() => {
    const { missing } = vteps.table;
    if (missing === undefined) return undefined;
    return {
      what: `VXLAN is taken from any host, since this kernel has no nf_tables (${missing})`,
      fix: "load or build the module nf_tables, and restart the agent",
      blocks: false,
    };
  });
  daemon.check(() => {
    const { problem } = vteps;
    if (problem === undefined) return undefined;
    const what =
      `the rules by which VXLAN is taken from the networks' hosts alone are not as they should be: ${problem}`;
    return { what, fix: "nothing if this passes: they are made again at the next check", blocks: false };
  });
  daemon.note(() => {
    if (!all.size) return [];
    return [{
      what: "refused VXLAN",
      value: [...all].map(([what, count]) => textOf(what, count)).join(", "),
    }];
  });
  new Counter({
    name: "agent_refused_vxlan_total",
    help:
      "VXLAN packets that came from no host of their network, or that a process of this host or behind it sent, " +
      "by reason and whether they were dropped.",
    labelNames: ["reason", "verdict"],
    registers: [daemon.metrics],
    async collect() {
      await read();
      this.reset();
      for (const verdict of VERDICTS) {
        for (const reason of REASONS) this.inc({ reason, verdict }, all.get(`${verdict} ${reason}`) ?? 0);
      }
    },
  });
}

function textOf(what: RefusedVxlan, count: number): string {
  const [verdict, reason] = what.split(" ");
  return `${count} ${reason} ${verdict}`;
}
