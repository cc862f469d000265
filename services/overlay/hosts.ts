/** Plans for the keys by which a host publishes that it has a network, and the revision up to which it has applied it. */
import { PlanBuilder } from "../store/plan_builder.ts";
import { writeSandRecord } from "../store/sand_records.ts";
import type { Plan } from "../store/types.ts";
import type { OverlayView } from "./view.ts";

/** The status that a host publishes about a network that is set up on it. */
export interface Presence {
  readonly hostname: string;
  /** The largest MTU that the network can have there. */
  readonly mtu: number;
  /** The VNI on which the host answers probes; null: it answers none. Undefined: the published value stays. */
  readonly probeVni?: number | null | undefined;
  /** RFC 3339 with nanoseconds. */
  readonly now: string;
}

/** Adds the host's presence in the network to a plan, where it is not written yet. */
export function joinNetwork(
  view: OverlayView,
  network: string,
  presence: Presence,
  builder: PlanBuilder,
): void {
  const { hostname, mtu, probeVni, now } = presence;
  for (const key of [view.keys.hostNetwork(hostname, network), view.keys.networkHost(network, hostname)]) {
    const stored = view.presence(key);
    const vni = probeVni === undefined ? stored?.probe_vni : probeVni ?? undefined;
    if (stored?.mtu === mtu && stored.probe_vni === vni && stored.names) continue;
    // JSON omits undefined fields.
    const value = { id: network, created_at: now, ...stored, mtu, probe_vni: vni, names: true };
    builder.guard(view.guard(key)).put(key, writeSandRecord(value));
  }
}

/** Plans what {@link joinNetwork} adds, for a network that is set up already; undefined when etcd has it. */
export function planPresence(view: OverlayView, network: string, presence: Presence): Plan | undefined {
  const builder = new PlanBuilder();
  joinNetwork(view, network, presence, builder);
  const isNew = builder.plan().ops.length > 0;
  return isNew ? builder.guard(view.guard(view.keys.network(network))).plan() : undefined;
}

/** Plans to remove a host's presence after it has torn its part of a network down; undefined when it has none. */
export function planLeave(view: OverlayView, network: string, host: string): Plan | undefined {
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
    // A key that is absent in the mirror may only not have arrived yet.
    builder.guard(guard);
    if (guard.modRevision) builder.remove(key);
  }
  // A SAND agent that deletes a network leaves this key behind.
  const cursor = view.guard(keys.cursor(network));
  if (!view.network(network) && cursor.modRevision) builder.guard(cursor).remove(cursor.key);
  const plan = builder.plan();
  return plan.ops.length ? plan : undefined;
}

/**
 * Plans to publish the revision that a host has applied; undefined when it is published already. The key is the
 * host's own: only its agent writes it.
 */
export function planApplied(
  view: OverlayView,
  network: string,
  host: string,
  revision: number,
): Plan | undefined {
  if ((view.space(network).applied.get(host) ?? -1) >= revision) return undefined;
  // A host that has left the network meanwhile must not write this any more.
  return new PlanBuilder().guard(view.guard(view.keys.hostNetwork(host, network)))
    .put(view.keys.applied(network, host), writeSandRecord({ revision })).plan();
}
