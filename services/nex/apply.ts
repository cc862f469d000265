/** Plans a whole YAML spec: networks and lists of members. */
import type { NexNetworkRecord } from "../store/records.ts";
import { addMembers, type MemberRequest, refuseUnshared, requestedAddresses } from "./members.ts";
import { type Action, addNetwork } from "./networks.ts";
import { RefusedObjects, type SpecObject } from "./refused_objects.ts";
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
 * nothing is written. The members of a network that is refused are not looked at: what it would be is not known.
 *
 * @throws Refusals of {@link ObjectRefused}
 */
export function applySpec(
  draft: Draft,
  networks: readonly NexNetworkRecord[],
  lists: readonly MemberListRequest[],
): Applied[] {
  const refused = new RefusedObjects(), { attempt } = refused;
  const reserved = requestedAddresses(lists.flatMap(({ list }) => list));
  const wrong = new Set<string>();
  const applied: Applied[] = networks.flatMap((network) => {
    const { name } = network;
    const planned = attempt(
      { kind: "Network", net: name },
      () => addNetwork(draft, network, { update: true, reserved }),
    );
    if (planned === undefined) {
      wrong.add(name);
      return [];
    }
    return { kind: "Network", name, action: draft.attempts.action(`Network ${name}`, planned) };
  });
  const named = new Map<string, SpecObject>();
  for (const { net, list, force } of lists) {
    if (wrong.has(net)) continue;
    const members = attempt(
      { kind: "MemberList", net },
      () => addMembers(draft, net, list, { force, reserved, attempt }),
    );
    for (const { name, mac, action } of members ?? []) {
      applied.push({ kind: "Member", name, action: draft.attempts.action(`Member ${net} ${mac}`, action) });
      named.set(name, { kind: "Member", net, mac });
    }
  }
  for (const [name, member] of named) attempt(member, () => refuseUnshared(draft, [name]));
  refused.refuse();
  return applied;
}
