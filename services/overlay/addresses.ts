/** Plans that allocate and release single addresses of a network, as Docker's IPAM driver asks for them. */
import type { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import type { Plan } from "../store/types.ts";
import { Claims } from "./claims.ts";
import { findNetwork } from "./networks.ts";
import type { OverlayView } from "./view.ts";

/**
 * Plans a claim on an address without an endpoint, as Docker requests it; the claim lasts for the sweep's grace time.
 *
 * @param now Milliseconds since the epoch.
 * @param address Undefined: the next free one.
 */
export function planClaim(
  view: OverlayView,
  networkId: string,
  now: number,
  address?: Ip,
): { address: Ip; plan: Plan } {
  const network = findNetwork(view, networkId), claims = new Claims(view, network, now);
  const claimed = address ? claims.take(address) : claims.takeNext();
  const builder = new PlanBuilder().guard(view.guard(view.keys.network(networkId)));
  claims.writeTo(builder);
  return { address: claimed, plan: builder.plan() };
}

/**
 * Plans to release an address without an endpoint; undefined when nothing is to be done.
 *
 * @param now Milliseconds since the epoch.
 */
export function planRelease(
  view: OverlayView,
  networkId: string,
  now: number,
  address: Ip,
): Plan | undefined {
  const claims = claimsOf(view, networkId, now), builder = new PlanBuilder();
  claims?.release(address);
  claims?.writeTo(builder);
  const plan = builder.plan();
  return plan.ops.length ? plan : undefined;
}

/**
 * The network's claims; undefined when the network or its bit set is gone: an endpoint must be deletable without
 * releasing its address.
 */
export function claimsOf(view: OverlayView, networkId: string, now: number): Claims | undefined {
  const network = view.network(networkId);
  if (!network || !view.allocation(networkId)) return undefined;
  try {
    return new Claims(view, network, now);
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}
