/** Plans for the keys by which a host tells that it has a network, and which revision it has applied. */
import { PlanBuilder } from "../store/plan_builder.ts";
import { writeSandRecord } from "../store/sand_records.ts";
import type { Plan } from "../store/types.ts";
import type { View } from "./view.ts";

/** What a host tells of a network that is set up on it. */
export interface Presence {
  readonly hostname: string;
  /** The largest that the network can have there. */
  readonly mtu: number;
  /** The VNI on which the host answers probes; null: it does not answer. Undefined: what is told of that stays. */
  readonly probeVni?: number | null | undefined;
  /** RFC 3339 with nanoseconds. */
  readonly now: string;
}

/** Adds that the network is set up on the host, where that is not written yet. */
export function joinNetwork(view: View, network: string, presence: Presence, builder: PlanBuilder): void {
  const { hostname, mtu, probeVni, now } = presence;
  for (const key of [view.keys.hostNetwork(hostname, network), view.keys.networkHost(network, hostname)]) {
    const told = view.presence(key);
    const vni = probeVni === undefined ? told?.probe_vni : probeVni ?? undefined;
    if (told?.mtu === mtu && told.probe_vni === vni) continue;
    // JSON leaves out what is undefined.
    const value = { id: network, created_at: now, ...told, mtu, probe_vni: vni };
    builder.guard(view.guard(key)).put(key, writeSandRecord(value));
  }
}

/** Plans what {@link joinNetwork} adds, for a network that is set up already; undefined when it is told already. */
export function planPresence(view: View, network: string, presence: Presence): Plan | undefined {
  const builder = new PlanBuilder().guard(view.guard(view.keys.network(network)));
  joinNetwork(view, network, presence, builder);
  const plan = builder.plan();
  return plan.ops.length ? plan : undefined;
}

/** Plans that a host has torn its part of a network down; undefined when nothing says that it has one. */
export function planLeave(view: View, network: string, host: string): Plan | undefined {
  const { keys } = view;
  const builder = new PlanBuilder();
  for (
    const key of [
      keys.hostNetwork(host, network),
      keys.networkHost(network, host),
      keys.applied(network, host),
    ]
  ) {
    const guard = view.guard(key);
    // An absent key may only not have reached the mirror yet.
    builder.guard(guard);
    if (guard.modRevision) builder.remove(key);
  }
  // An old agent that deletes a network leaves it.
  const cursor = view.guard(keys.cursor(network));
  if (!view.network(network) && cursor.modRevision) builder.guard(cursor).remove(cursor.key);
  const plan = builder.plan();
  return plan.ops.length ? plan : undefined;
}

/**
 * Plans to tell that a host's kernel shows the network as it was at a revision; undefined when that is told already.
 * The key is the host's own: only its agent writes it.
 */
export function planApplied(view: View, network: string, host: string, revision: number): Plan | undefined {
  if ((view.space(network).applied.get(host) ?? -1) >= revision) return undefined;
  // A host that has left the network meanwhile must not write this any more.
  return new PlanBuilder().guard(view.guard(view.keys.hostNetwork(host, network)))
    .put(view.keys.applied(network, host), writeSandRecord({ revision })).plan();
}
