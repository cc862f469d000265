import { homeIdentity } from "../../../ffi/netns.ts";
import { Refusal } from "../../common/refusal.ts";
import type { Link } from "../../../ffi/netlink_links.ts";
import { BRIDGE, PROBE, VXLAN } from "../../overlay/state.ts";
import type { NetworkNamespace } from "./network_namespace.ts";

/** A namespace that no endpoint may be in. */
export class TargetRefused extends Refusal {
  constructor(path: string, what: string) {
    super("forbidden", `target_netns_path: "${path}" is ${what}: nothing is made there`);
  }
}

/**
 * Refuses a namespace that no endpoint may be in, whatever its record says: another host may have written it.
 *
 * @throws TargetRefused for the namespace of this process and for those that agents make
 */
export async function refuseTarget(namespace: NetworkNamespace): Promise<void> {
  if (namespace.identity === homeIdentity) {
    throw new TargetRefused(namespace.path, "the agent's own network namespace");
  }
  const made = await madeByAgents(namespace);
  if (made !== undefined) throw new TargetRefused(namespace.path, made);
}

/** What a namespace is that agents have made for themselves, as part of a sentence; undefined: it is none of theirs. */
export async function madeByAgents(namespace: NetworkNamespace): Promise<string | undefined> {
  // A container has neither, as a rule, and is asked no more.
  if (!namespace.has(BRIDGE) && !namespace.has(PROBE)) return undefined;
  return agentsOwn([await namespace.link(BRIDGE), await namespace.link(VXLAN), await namespace.link(PROBE)]);
}

/** What a namespace with these links is that agents have made for themselves; undefined: it is none of theirs. */
function agentsOwn(links: readonly (Link | undefined)[]): string | undefined {
  const has = (name: string, kind?: string) =>
    links.some((link) => link?.name === name && (kind === undefined || link.kind === kind));
  if (has(BRIDGE) && has(VXLAN)) {
    return `the namespace of an overlay network (it has ${BRIDGE} and ${VXLAN})`;
  }
  return has(PROBE, "vxlan") ? `the namespace of an agent's probes (it has ${PROBE})` : undefined;
}
