import { home, namespaceIdentity } from "../../../ffi/netns.ts";
import { Refusal } from "../../common/refusal.ts";
import { BRIDGE, VXLAN } from "../../overlay/state.ts";
import type { Place } from "./place.ts";

/** A namespace that no endpoint may be in. */
export class TargetRefused extends Refusal {
  constructor(path: string, what: string) {
    super("forbidden", `target_netns_path: "${path}" is ${what}: nothing is made there`);
  }
}

/**
 * Refuses a namespace that no endpoint may be in, whatever its record says: another host may have written it.
 *
 * @throws TargetRefused for the namespace of this process and for that of an overlay network
 */
export async function refuseTarget(place: Place): Promise<void> {
  if (namespaceIdentity(place.fd) === namespaceIdentity(home)) {
    throw new TargetRefused(place.path, "the agent's own network namespace");
  }
  if (await place.link(BRIDGE) && await place.link(VXLAN)) {
    throw new TargetRefused(
      place.path,
      `the namespace of an overlay network (it has ${BRIDGE} and ${VXLAN})`,
    );
  }
}
