/** Joins the plans of leases that one network is asked for at the same time: all of them change the record of its claims. */
import { Refusal } from "../common/refusal.ts";
import { Claims } from "../overlay/claims.ts";
import { findNetwork } from "../overlay/networks.ts";
import type { OverlayView } from "../overlay/view.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import type { Plan } from "../store/types.ts";
import type { EndpointLeasePlan } from "./lease_plans.ts";

/** Guards and operations that a transaction has besides those of its leases: claims and cursor, and the absence of SAND's locks. */
const OWN_ROOM = 6;

export interface JoinedLeases {
  /** One transaction; undefined: nothing is left to write. */
  readonly plan: Plan | undefined;
  /** How many of the plans it has dealt with, from the first on. */
  readonly used: number;
  /** The places of those whose address the claims do not give, and which are not in the transaction. */
  readonly refused: ReadonlySet<number>;
}

/**
 * Joins as many plans as one transaction holds.
 *
 * @param now Milliseconds since the epoch.
 * @throws Refusal when the network is gone, or its claims are not those of its range
 */
export function joinLeases(
  view: OverlayView,
  network: string,
  plans: readonly EndpointLeasePlan[],
  now: number,
): JoinedLeases {
  const builder = new PlanBuilder(), claims = new Claims(view, findNetwork(view, network), now);
  const refused = new Set<number>();
  let used = 0;
  for (const plan of plans) {
    const isFirst = used === refused.size;
    if (!isFirst && builder.room - Math.max(plan.guards.length, plan.ops.length) < OWN_ROOM) break;
    if (claim(claims, plan)) builder.add(plan);
    else refused.add(used);
    used++;
  }
  if (used === refused.size) return { plan: undefined, used, refused };
  claims.touch();
  claims.writeTo(builder);
  return { plan: builder.plan(), used, refused };
}

/** @returns false for an address that the claims do not give */
function claim(claims: Claims, { claims: wanted }: EndpointLeasePlan): boolean {
  if (!wanted) return true;
  const { release, take, mac } = wanted;
  try {
    if (take) claims.take(take, { mac });
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
  if (release) claims.release(release.address, new Set([release.id]));
  return true;
}
