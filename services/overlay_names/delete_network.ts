/** Plans that end a named network, or what is left of one that SAND's agents have deleted. */
import { Refusal } from "../common/refusal.ts";
import { planDeleteNetwork } from "../overlay/networks.ts";
import type { OverlayView } from "../overlay/view.ts";
import { pack, PlanBuilder } from "../store/plan_builder.ts";
import { MAX_PLAN_OPS, type Plan } from "../store/types.ts";

/**
 * Plans the end of a named network: of its overlay network, claims, name, settings and reservations, in one transaction where it
 * holds them all. In several, the overlay network goes first, which ends the network for every reader, and the name last, by
 * which what is left is found.
 *
 * @param now RFC 3339 with nanoseconds.
 * @param found See {@link planDeleteNetwork}.
 */
export function planDeleteNamed(
  view: OverlayView,
  name: string,
  now: string,
  found: Set<string>,
): readonly Plan[] {
  const id = view.networkNamed(name);
  if (id === undefined) {
    if (found.has(name)) return [];
    throw new Refusal("not-found", `there is no network "${name}"`);
  }
  found.add(name);
  if (!view.network(id) && !found.has(id)) throw new Refusal("not-found", `there is no network "${name}"`);
  const { plan, waitsFor } = planDeleteNetwork(view, id, now, found);
  const plans = plan === undefined ? [] : "ops" in plan ? [plan] : plan;
  // A host with an agent of SAND still has the network; what it leaves is swept once it is gone.
  if (waitsFor.length) return plans;
  const prefix = view.keys.reservations(id);
  const whole = plans.map((plan) =>
    new PlanBuilder().add(plan).unchanged(prefix, view.newestUnder(prefix)).plan()
  );
  return pack([...whole, ...remains(view, name, id)]);
}

/**
 * Plans the removal of what a network that is gone has left of its name, settings and reservations: SAND's agents and
 * `sand-agent-cli` do not know them. None for the name of a network that is there.
 */
export function planNamesLeft(view: OverlayView, name: string): readonly Plan[] {
  const id = view.networkNamed(name);
  return id === undefined || view.network(id) ? [] : pack(remains(view, name, id));
}

/** Plans the removal of all records of a named network; the name itself goes last. Unreadable records go too. */
function remains(view: OverlayView, name: string, id: string): Plan[] {
  const { keys } = view,
    gone = { key: keys.network(id), modRevision: view.guard(keys.network(id)).modRevision };
  const own = keys.networkName(name);
  const left = view.keysUnder(keys.namesOf(id));
  const plans: Plan[] = [];
  for (let i = 0; i < left.length; i += MAX_PLAN_OPS / 2) {
    plans.push({ guards: [gone], ops: left.slice(i, i + MAX_PLAN_OPS / 2).map((remove) => ({ remove })) });
  }
  return [...plans, { guards: [gone, view.guard(own)], ops: [{ remove: own }] }];
}
