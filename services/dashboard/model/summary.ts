/**
 * Summaries of networks: what lists show of one, and the state of each of its hosts. An overlay network's is kept until the network
 * changes, since going through all endpoints for each page would take seconds.
 */
import { delay } from "../../common/async.ts";
import type { Cluster, OverlayNetwork } from "../cluster.ts";
import { HostStates } from "./host_states.ts";
import { type NetworkRow, rowOf } from "./network_row.ts";

interface Summary {
  readonly row: NetworkRow;
  readonly hosts: HostStates;
  /** When it expires though nothing has changed, in ms since the epoch. */
  readonly until: number;
}

/** How long other work waits at most, in ms. */
const TURN = 20;

const made = new WeakMap<OverlayNetwork, Summary>();

/** @param now In ms since the epoch. */
export function summaryOf(cluster: Cluster, network: OverlayNetwork, now: number): Summary {
  let summary = made.get(network);
  if (!summary || now >= summary.until) {
    const { space } = network;
    let until = Infinity;
    for (const { until: seconds } of space.withheld.values()) {
      if (seconds * 1000 > now) until = Math.min(until, seconds * 1000);
    }
    summary = { row: rowOf(cluster, network, now), hosts: new HostStates(space), until };
    made.set(network, summary);
  }
  return summary;
}

/** Summarizes all networks, and yields to other work in between. */
export async function summarizeAll(cluster: Cluster, stopping: AbortSignal): Promise<void> {
  let begun = performance.now();
  for (const network of cluster.networks()) {
    if (network.kind === "overlay") summaryOf(cluster, network, Date.now());
    if (performance.now() - begun < TURN) continue;
    await delay(0, stopping);
    begun = performance.now();
  }
}
