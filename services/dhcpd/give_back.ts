/** Handles RELEASE and DECLINE (RFC 2131 §4.4.4), by which a client gives an address back. They have no reply. */
import { Ip } from "../common/ip.ts";
import { planLeaseEnd, planRelease } from "../nex/leases.ts";
import type { Member } from "../nex/member.ts";
import { mayDecline, planDecline } from "../nex/quarantine.ts";
import { circuitOf } from "./arrival.ts";
import type { Client } from "./client.ts";
import { type Decision, ignore } from "./decision.ts";
import { Opt } from "./numbers.ts";

/** The plan is guarded by the mod revision of the lease that it ends: a lease that was given since then stays. */
export function release(client: Client): Decision {
  const { view, placement: { network }, arrival: { message, mac, source, now } } = client;
  const member = holder(client, message.ciaddr);
  const plan = member
    ? planLeaseEnd(view, member, now)
    : planRelease(view, network, mac, Ip.from4(message.ciaddr).toString());
  if (!plan) return ignore("not-held");
  // A client sends it from the address that it gives back, also through a router.
  if (!message.giaddr && source !== message.ciaddr || !isOwnFrame(client)) return ignore("wrong-sender");
  return { do: "commit", client: client.id, plan };
}

/** A client found its address in use by another machine: the address is quarantined, unless it is a static one. */
export function decline(client: Client): Decision {
  const { view, arrival, placement: { network } } = client;
  const { message, ownFrame, now, latest = now } = arrival;
  const member = holder(client, message.u32(Opt.requestedAddress));
  if (!member) return ignore("not-held");
  // It is broadcast on the client's link, from address 0.0.0.0: only a relay can bring it from another link.
  if (message.giaddr ? !isOwnFrame(client) : !ownFrame) return ignore("wrong-sender");
  const circuit = circuitOf(arrival);
  if (!mayDecline(view, member.mac, latest, circuit)) return ignore("declines-too-often", network);
  const plan = planDecline(view, network, member, latest, circuit);
  return plan
    ? { do: "commit", client: client.id, plan, declined: network }
    : ignore("static-declined", network);
}

/** The client's member, if it has this address in the network that the message came from. */
function holder(
  { view, placement: { network, member } }: Client,
  address: number | undefined,
): Member | undefined {
  if (!member?.ip4 || Ip.tryParse(member.ip4)?.u32 !== address) return undefined;
  return view.networkOf(member) === network ? member : undefined;
}

/**
 * True for a frame that can be the client's. On the link that carries the client's network, the frame has the client's hardware
 * address as its source. From another link a router or a relay brings it, also where dhcp4server is the interface's own address.
 */
function isOwnFrame({ arrival, placement: { network } }: Client): boolean {
  const { addresses } = arrival;
  // On an interface without an address, clients are on its link: a router or a relay would need an address to send to.
  const onLink = addresses.length === 0 ||
    addresses.some((address) => network.subnet4?.contains(Ip.from4(address)));
  return !onLink || arrival.ownFrame;
}
