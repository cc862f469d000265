/** Refuses namespaces in which no endpoint may be made: the host's own, and those that agents have created. */
import { homeIdentity } from "../../../ffi/netns.ts";
import { Refusal } from "../../common/refusal.ts";
import type { Link } from "../../../ffi/netlink_links.ts";
import { BRIDGE, PROBE, VXLAN } from "../../overlay/state.ts";
import type { NetworkNamespace } from "./network_namespace.ts";

/** The namespace is one in which no endpoint may be. */
export class TargetRefused extends Refusal {
  constructor(path: string, what: string) {
    super("forbidden", `target_netns_path: "${path}" is ${what}: nothing is made there`);
  }
}

/**
 * Refuses a namespace in which no endpoint may be, regardless of the record, which another host may have written.
 *
 * @throws TargetRefused for the namespace of this process and for those that agents create
 */
export async function refuseTarget(namespace: NetworkNamespace): Promise<void> {
  if (namespace.identity === homeIdentity()) {
    throw new TargetRefused(namespace.path, "the agent's own network namespace");
  }
  const made = await madeByAgents(namespace);
  if (made !== undefined) throw new TargetRefused(namespace.path, made);
}

/** The purpose of a namespace that an agent created for its own use, as part of a sentence; undefined for others. */
export async function madeByAgents(namespace: NetworkNamespace): Promise<string | undefined> {
  // Containers usually have neither interface, so this cheap question is enough for them.
  if (!namespace.has(BRIDGE) && !namespace.has(PROBE)) return undefined;
  return agentsOwn([await namespace.link(BRIDGE), await namespace.link(VXLAN), await namespace.link(PROBE)]);
}

/** The purpose of a namespace that has these links. */
function agentsOwn(links: readonly (Link | undefined)[]): string | undefined {
  const has = (name: string, kind?: string) =>
    links.some((link) => link?.name === name && (kind === undefined || link.kind === kind));
  if (has(BRIDGE) && has(VXLAN)) {
    return `the namespace of an overlay network (it has ${BRIDGE} and ${VXLAN})`;
  }
  return has(PROBE, "vxlan") ? `the namespace of an agent's probes (it has ${PROBE})` : undefined;
}
