/** Reports the VXLAN that was refused because it is of no host of its network, and a kernel that cannot refuse any. */
import type { Daemon } from "../../common/daemon.ts";
import type { Context } from "../context.ts";
import { reportTraffic } from "../kernel/report_traffic.ts";
import { addTo, CounterGains, textOfCounts } from "../kernel/traffic_counts.ts";
import { REASONS, type RefusedVxlan } from "../kernel/vtep_table.ts";
import type { VtepAdmission } from "./vteps.ts";

/** Adds the metric, and what `strand status` says. */
export function reportVteps(daemon: Daemon, { log }: Context, vteps: VtepAdmission): void {
  const gains = new CounterGains<RefusedVxlan>(), all = new Map<RefusedVxlan, number>();
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
  daemon.note(() => all.size ? [{ what: "refused VXLAN", value: textOfCounts(all) }] : []);
  reportTraffic(daemon, log, {
    of: "refused VXLAN",
    name: "agent_refused_vxlan_total",
    help:
      "VXLAN packets that came from no host of their network, or that a process of this host or behind it sent, " +
      "by reason and whether they were dropped.",
    label: "reason",
    reasons: REASONS,
    counts: all,
    read: async () => addTo(all, gains.take(await vteps.table.counted())),
  });
}
