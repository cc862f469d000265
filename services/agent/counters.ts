/** The agent's metrics of what it did to the kernel and found there. Metrics of its HTTP API are in http/counters.ts. */
import { Counter, Durations, type Registry } from "../common/metrics.ts";

/** The agent's metrics. */
export interface AgentCounters {
  /** Differences that periodic checks have repaired since the start. */
  drifted: number;
  /** Called with the differences that were repaired in a network, by operation; of the host itself the network is empty. */
  repaired: (network: string, ops: ReadonlyMap<string, number>) => void;
  readonly drift: Counter<"op">;
  readonly deactivated: Counter;
  readonly failures: Counter;
  readonly moves: Counter<"result">;
  readonly reconcile: Durations<"kind">;
  readonly refusedRecords: Counter;
  readonly swept: Counter<"what">;
}

/** Creates the metrics in a registry. */
export function createCounters(metrics: Registry): AgentCounters {
  const registers = [metrics];
  return {
    drifted: 0,
    repaired: () => {},
    drift: new Counter({
      name: "agent_drift_repaired_total",
      help: "Differences between kernel and store that a periodic check found and repaired, by operation.",
      labelNames: ["op"],
      registers,
    }),
    deactivated: new Counter({
      name: "agent_endpoints_deactivated_total",
      help: "Endpoints that were made inactive because the namespace that they were in is gone.",
      registers,
    }),
    moves: new Counter({
      name: "agent_machine_moves_total",
      help:
        "Machines that have sent at a port of this host and are known at another one, by what became of that.",
      labelNames: ["result"],
      registers,
    }),
    failures: new Counter({
      name: "agent_reconcile_failures_total",
      help: "How often a network could not be brought to what the store says, and was tried again later.",
      registers,
    }),
    reconcile: new Durations({
      name: "agent_reconcile_seconds",
      help:
        "How long it took to bring a network to what the store says: all of it, or some changed endpoints.",
      labelNames: ["kind"],
      buckets: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2, 10],
      registers,
    }),
    refusedRecords: new Counter({
      name: "agent_refused_records_total",
      help:
        "Records in etcd that can be read and are not carried out or believed, each counted once while it stays.",
      registers,
    }),
    swept: new Counter({
      name: "agent_swept_addresses_total",
      help: "Addresses given back that no endpoint had, and endpoints' addresses that were free for others.",
      labelNames: ["what"],
      registers,
    }),
  };
}
