/** Plans a whole YAML spec: networks and lists of members. */
import type { NexNetworkRecord } from "../store/records.ts";
import { addMembers, askedAddresses, type MemberRequest, refuseUnshared } from "./members.ts";
import { type Action, addNetwork } from "./networks.ts";
import type { Draft } from "./steps.ts";

/** A list of members as a spec gives it. */
export interface MemberListRequest {
  readonly net: string;
  readonly list: readonly MemberRequest[];
  readonly force: boolean;
}

/** The action of the plan on one object of a spec. */
export interface Applied {
  readonly kind: "Network" | "Member";
  readonly name: string;
  readonly action: Action;
}

/**
 * Plans a whole spec: the networks, then the lists, where each sees those before it. If a part is refused, the whole spec is, and
 * nothing is written.
 */
export function applySpec(
  draft: Draft,
  networks: readonly NexNetworkRecord[],
  lists: readonly MemberListRequest[],
): Applied[] {
  const reserved = askedAddresses(lists.flatMap(({ list }) => list));
  const applied: Applied[] = networks.map((network) => ({
    kind: "Network",
    name: network.name,
    action: draft.attempts.action(
      `Network ${network.name}`,
      addNetwork(draft, network, { update: true, reserved }),
    ),
  }));
  for (const { net, list, force } of lists) {
    for (const { name, mac, action } of addMembers(draft, net, list, { force, reserved })) {
      applied.push({ kind: "Member", name, action: draft.attempts.action(`Member ${net} ${mac}`, action) });
    }
  }
  refuseUnshared(draft, applied.flatMap(({ kind, name }) => kind === "Member" ? name : []));
  return applied;
}
