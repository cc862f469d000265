/** Computes how far the hosts of an overlay network have applied its changes, and which MTU each of them uses. */
import { OLD_MTU } from "../../overlay/desired.ts";
import { LEAST_MTU } from "../../overlay/faults.ts";
import type { Space } from "../../overlay/space.ts";
import { endpointsSince, reportsOf } from "../../overlay_names/attached.ts";

export interface Lag {
  /** Hosts with endpoints that have not applied all. Those with SAND's agent do not say. */
  readonly behind: number;
  /** The revision of etcd at which the newest of its endpoints was written. */
  readonly newest: number;
}

/** How many hosts have not applied the newest endpoint of a network. */
export function lagOf(space: Space): Lag {
  const { newest } = endpointsSince(space);
  let behind = 0;
  for (const applied of reportsOf(space).values()) if (applied !== undefined && applied < newest) behind++;
  return { behind, newest };
}

/** Every host uses the least MTU that one of them publishes, as services/overlay/desired.ts has it; none is known without hosts. */
export function mtuOf(space: Space): { readonly mtu?: number; readonly largestMtu?: number } {
  const published = [...space.hostsByMtu.keys()].filter((mtu) => mtu >= LEAST_MTU);
  const all = space.oldHosts().length ? [...published, OLD_MTU] : published;
  return all.length ? { mtu: Math.min(...all), largestMtu: Math.max(...all) } : {};
}
