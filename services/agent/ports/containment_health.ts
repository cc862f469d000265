/** Reports how many frames the networks' port rules have dropped or counted, and whether the kernel lacks such rules. */
import type { Daemon } from "../../common/daemon.ts";
import type { Context } from "../context.ts";
import { FOREIGN_KINDS, type ForeignKind } from "../kernel/containment.ts";
import { NetworkCounters } from "../kernel/network_counters.ts";
import { reportTraffic } from "../kernel/report_traffic.ts";
import { addTo, textOfCounts, type TrafficCounts } from "../kernel/traffic_counts.ts";
import type { NetworkWorker } from "../reconcile/network.ts";
import type { Workers } from "../reconcile/networks.ts";

/** Networks that `strand status` names. */
const SHOWN = 5;

/** How many frames, by verdict and kind. */
type Frames = TrafficCounts<ForeignKind>;
type FrameCount = Frames extends ReadonlyMap<infer Name, number> ? Name : never;

/** Sums what the networks' counters have gained since the agent started. */
class ContainedFrames {
  readonly all = new Map<FrameCount, number>();
  readonly ofNetworks = new Map<string, Map<FrameCount, number>>();
  readonly #counters: NetworkCounters<Pick<NetworkWorker, "id" | "counted">, FrameCount>;

  constructor(workers: () => Iterable<Pick<NetworkWorker, "id" | "counted">>) {
    this.#counters = new NetworkCounters(workers, (worker): Frames | undefined => {
      const found = worker.counted(), verdict = found?.rules === "drop" ? "dropped" : "counted";
      return found && new Map([...found.frames].map(([kind, count]) => [`${verdict} ${kind}`, count]));
    });
  }

  /** Reads the networks whose turn it is. */
  read(): void {
    for (const [id, gains] of this.#counters.read(this.ofNetworks)) {
      const its = this.ofNetworks.get(id) ?? new Map();
      this.ofNetworks.set(id, its);
      for (const sums of [this.all, its]) addTo(sums, gains);
    }
  }
}

/** Adds the metric, and what `strand status` says. */
export function reportContainment(daemon: Daemon, { kernel, view, log }: Context, workers: Workers): void {
  const frames = new ContainedFrames(() => workers.all());
  daemon.check(() => {
    const { missing } = kernel.containment;
    if (missing === undefined) return undefined;
    return {
      what:
        "containment is off: this kernel has no nf_tables for bridges, so ports of overlay networks may send with any " +
        `MAC and address (${missing})`,
      fix: "load or build the module nf_tables with CONFIG_NF_TABLES_BRIDGE, and restart the agent",
      blocks: false,
    };
  });
  daemon.note(() => {
    const networks = [...frames.ofNetworks].slice(0, SHOWN)
      .map(([id, its]) => `${view.network(id)?.name ?? id}: ${textOfCounts(its)}`);
    return networks.length ? [{ what: "frames not their port's own", value: networks.join("; ") }] : [];
  });
  const foreign = (drops: boolean) =>
    [...workers.all()].flatMap((worker) => {
      if ((worker.contained() === "drop") !== drops) return [];
      const network = worker.shownName();
      return worker.foreignPorts().map((port) => ({ port, network }));
    });
  daemon.check(() => {
    const [first, ...others] = foreign(true);
    if (!first) return undefined;
    const { port, network } = first;
    return {
      what: `${port} is a port of network ${network} that another program has made: its frames are dropped` +
        (others.length ? `; so are those of ${others.length} more ports` : ""),
      fix:
        `take it out of the bridge, and have the agent make it a port: "strand attach ${network} --device ${port}"`,
      blocks: false,
    };
  });
  daemon.note(() => {
    const all = foreign(false), more = all.length > SHOWN ? ` and ${all.length - SHOWN} more` : "";
    const shown = all.slice(0, SHOWN).map(({ port, network }) => `${port} of ${network}`).join(", ");
    return all.length ? [{ what: "ports of other programs, not checked", value: shown + more }] : [];
  });
  reportTraffic(daemon, log, {
    of: "port rules",
    name: "agent_foreign_frames_total",
    help:
      "Frames from ports with a MAC or address that is not the port's own, or of a kind that no port may send, " +
      "by what was wrong and whether they were dropped.",
    label: "kind",
    reasons: FOREIGN_KINDS,
    counts: frames.all,
    read: () => frames.read(),
  });
}
