import type { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import type { Plan } from "../store/types.ts";
import { Claims } from "./claims.ts";
import { findNetwork } from "./networks.ts";
import { Step } from "./step.ts";
import type { View } from "./view.ts";

/** Plans a claim on an address before there is an endpoint, as Docker asks for it; it lasts for the sweep's grace. */
export function planClaim(view: View, networkId: string, address?: Ip): { address: Ip; plan: Plan } {
  const network = findNetwork(view, networkId), claims = new Claims(view, network);
  const claimed = address ? claims.take(address) : claims.takeLowest();
  const step = new Step().guard(view.guard(view.keys.network(networkId)));
  claims.writeTo(step);
  return { address: claimed, plan: step.plan() };
}

/** Plans that an address without an endpoint is given back; undefined when nothing is to be done. */
export function planRelease(view: View, networkId: string, address: Ip): Plan | undefined {
  const claims = claimsOf(view, networkId), step = new Step();
  claims?.release(address);
  claims?.writeTo(step);
  const plan = step.plan();
  return plan.ops.length ? plan : undefined;
}

/** Undefined when there is nothing to give addresses back to: that must not keep an endpoint from being deleted. */
export function claimsOf(view: View, networkId: string): Claims | undefined {
  const network = view.network(networkId);
  if (!network || !view.allocation(networkId)) return undefined;
  try {
    return new Claims(view, network);
  } catch (error) {
    if (error instanceof Refusal) return undefined;
    throw error;
  }
}
