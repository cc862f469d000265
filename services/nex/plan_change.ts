/** Plans of leases in the space that Nex's networks share. */
import { Ip } from "../common/ip.ts";
import { keyOf } from "../store/keys.ts";
import { merge } from "../store/plan_builder.ts";
import { writeRecord } from "../store/records.ts";
import type { Guard, Plan } from "../store/types.ts";
import { withoutHostname } from "./client_name.ts";
import { withhold } from "./held.ts";
import type { LeaseChange } from "./lease_space.ts";
import type { Member } from "./member.ts";
import { memberStep } from "./member_step.ts";
import { inRange, type Network } from "./network.ts";
import type { NexState } from "./nex_state.ts";
import { Draft } from "./steps.ts";

/** Plans a lease, its end or a DHCPDECLINE. */
export function planChange(from: NexState, change: LeaseChange): Plan {
  const { mac, before, after, losing = [], ended, declined } = change;
  const steps = losing.length ? takeName(from, change) : [memberStep(from, mac, before, after)];
  if (ended) {
    steps.push({
      guards: [],
      ops: [{ put: keyOf.former(ended.address), value: writeRecord({ mac, ended: ended.at }) }],
    });
  }
  if (declined) {
    const net = (before && from.netOf(before)) ?? "";
    const { address, until, circuit } = declined;
    steps.push(withhold(from, address, { net, mac, until, ...circuit === undefined ? {} : { circuit } }));
  }
  const [only] = steps;
  return only && steps.length === 1 ? only : merge(steps);
}

/** Plans that a withheld address is free again. */
export function planFree(from: NexState, address: string): Plan {
  const key = keyOf.withheld(address);
  return { guards: [from.guard(key)], ops: [{ remove: key }] };
}

/** A member's record, and those of the members that lose their name to it. */
function takeName(from: NexState, { mac, before, after, losing = [] }: LeaseChange): Plan[] {
  const draft = new Draft(from);
  for (const holder of losing) draft.setMember(holder.mac, holder, withoutHostname(holder.record));
  draft.setMember(mac, before, after, { free: true });
  return draft.steps;
}

/** The client's record, the network, and the claims on both addresses are as the state shows them. */
export function refusalGuards(
  from: NexState,
  network: Network,
  member: Member | undefined,
  mac: string,
  address: string,
): Guard[] {
  const addresses = new Set([address, ...member?.ip4 ? [member.ip4] : []]);
  return [
    ...(member ? [member.key] : [keyOf.member(mac), keyOf.furtherMember(network.name, mac)]).map((key) =>
      from.guard(key)
    ),
    from.guard(keyOf.network(network.name)),
    ...[...addresses].flatMap((text) => [from.guard(keyOf.claimIp(text)), from.guard(keyOf.withheld(text))]),
  ];
}

/** A static address stays its member's. */
export function mayQuarantine(network: Network, { ip4 }: Member): boolean {
  const address = ip4 === undefined ? undefined : Ip.tryParse(ip4);
  return address !== undefined && inRange(network, address);
}
