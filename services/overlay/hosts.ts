import { writeSandRecord } from "../store/sand_records.ts";
import type { Plan } from "../store/types.ts";
import { Step } from "./step.ts";
import type { View } from "./view.ts";

/** Adds that the network is set up on the host, where that is not written yet. `now`: RFC 3339 with nanoseconds. */
export function joinNetwork(view: View, network: string, host: string, now: string, step: Step): void {
  const value = writeSandRecord({ id: network, created_at: now });
  for (const key of [view.keys.hostNetwork(host, network), view.keys.networkHost(network, host)]) {
    const guard = view.guard(key);
    if (guard.modRevision === 0) step.guard(guard).put(key, value);
  }
}

/** Plans that a host has torn its part of a network down; undefined when nothing says that it has one. */
export function planLeave(view: View, network: string, host: string): Plan | undefined {
  const { keys } = view;
  const step = new Step();
  for (
    const key of [
      keys.hostNetwork(host, network),
      keys.networkHost(network, host),
      keys.applied(network, host),
    ]
  ) {
    const guard = view.guard(key);
    if (guard.modRevision) step.guard(guard).remove(key);
  }
  const plan = step.plan();
  return plan.ops.length ? plan : undefined;
}

/**
 * Plans to tell that a host's kernel shows the network as it was at a revision; undefined when that is told already.
 * The key is the host's own: only its agent writes it.
 */
export function planApplied(view: View, network: string, host: string, revision: number): Plan | undefined {
  if ((view.space(network).applied.get(host) ?? -1) >= revision) return undefined;
  return new Step().put(view.keys.applied(network, host), writeSandRecord({ revision })).plan();
}
