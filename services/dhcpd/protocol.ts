/** The DHCP protocol: what dhcpd answers to each type of message, as pure functions. */
import { Ip } from "../common/ip.ts";
import { nameClient } from "../nex/client_name.ts";
import { isHeldFor } from "../nex/held.ts";
import { addressFor, type Offered, ownAddress, type Placement, planLease } from "../nex/leases.ts";
import type { Network } from "../nex/network.ts";
import type { LeaseSpace } from "../nex/lease_space.ts";
import type { Arrival } from "./arrival.ts";
import { type Client, findClient } from "./client.ts";
import { type Decision, ignore } from "./decision.ts";
import { decline, release } from "./give_back.ts";
import { requestedName } from "./names.ts";
import { BOOTREQUEST, ETHERNET, Opt, Type } from "./numbers.ts";
import type { Offers } from "./offers.ts";
import { networkOptions } from "./options.ts";
import type { Reply } from "./reply.ts";

/**
 * DHCP's server side (RFC 2131 §4.3) as a function of a message and of what the mirror shows. It is called again, with the
 * newer mirror, when its plan met a conflict.
 */
export function handle(view: LeaseSpace, offers: Offers, arrival: Arrival): Decision {
  const { message } = arrival;
  if (message.op !== BOOTREQUEST || message.htype !== ETHERNET || message.hlen !== 6) {
    return ignore("malformed");
  }
  const handler = handlers[message.type];
  if (!handler) return ignore("malformed");
  const client = findClient(view, offers, arrival);
  return "do" in client ? client : handler(client);
}

const handlers: Record<number, (client: Client) => Decision> = {
  [Type.discover]: discover,
  [Type.request]: request,
  [Type.inform]: inform,
  [Type.release]: release,
  [Type.decline]: decline,
};

function discover(client: Client): Decision {
  const { id, view, offers, arrival, placement } = client;
  const { message, mac, now } = arrival;
  const { network } = placement;
  // Another replica may have given away even the address that this client had.
  if (arrival.storeAway) return ignore("store-away", network);
  const wish = offers.heldBy(id) ?? message.u32(Opt.requestedAddress);
  const held = offers.excluding(id, network.name, now);
  if (arrival.clock !== "apart") offers.unused.forget();
  const offered: Offered = arrival.clock === "apart"
    ? offers.unused.excluding(held, network.name, (ip) => isNeverUsed(client, Ip.from4(ip)))
    : held;
  const address = addressFor(view, placement, mac, wish === undefined ? undefined : Ip.from4(wish), offered);
  if (!address) return noneLeft(network);
  if (!mayGive(client, address)) return ignore("wrong-clock", network);
  offers.hold(id, address.u32, now);
  if (message.has(Opt.rapidCommit)) return lease(client, address, true);
  const { name } = nameClient(view, placement, mac, wishedName(arrival), trustedNow(arrival));
  const seconds = network.leaseSeconds;
  return { do: "answer", reply: { ...parameters(client, Type.offer, name), yiaddr: address.u32, seconds } };
}

/** SELECTING and INIT-REBOOT name the address in option 50, RENEWING and REBINDING in ciaddr (RFC 2131 §4.3.2). */
function request(client: Client): Decision {
  const address = client.address || client.arrival.message.u32(Opt.requestedAddress);
  return address ? lease(client, Ip.from4(address)) : ignore("malformed");
}

function inform(client: Client): Decision {
  const { member } = client.placement;
  return { do: "answer", reply: { ...parameters(client, Type.ack, member?.name), yiaddr: 0 } };
}

function lease(client: Client, address: Ip, rapid = false): Decision {
  const { id, view, arrival, placement } = client;
  const { mac, now, latest = now } = arrival;
  const { network, member } = placement;
  const ack = (expires: number, name: string | undefined): Reply => ({
    ...parameters(client, Type.ack, name),
    yiaddr: address.u32,
    // If a clock that is ahead has stored the end, the client gets no more than the network's lease time.
    seconds: Math.min(expires - latest, network.leaseSeconds),
    rapid,
  });
  // A client that renews keeps its address while its lease runs. A client in INIT-REBOOT may have released it through another
  // replica, so etcd decides, and without etcd's answer the client gets none.
  if (arrival.storeAway && (client.address || arrival.tried)) {
    const own = client.address && isRunning(placement, latest) && ownAddress(view, network, member);
    if (!own || !own.equals(address)) return ignore("store-away", network);
    return { do: "answer", reply: ack(member?.expires ?? latest, member?.name) };
  }
  if (!mayGive(client, address)) return ignore("wrong-clock", network);
  const planned = planLease(view, placement, {
    mac,
    address,
    hostname: wishedName(arrival),
    trustedNow: trustedNow(arrival),
    now: latest,
  });
  switch (planned.kind) {
    case "commit":
      return {
        do: "commit",
        client: id,
        plan: planned.plan,
        reply: ack(planned.expires, planned.name),
        named: planned.what,
      };
    case "exhausted":
      return noneLeft(network);
    case "wrong-address":
      if (client.offers.heldBy(id) === address.u32) client.offers.lost(id, network.name, now);
      // The plan has guards and no operation: the mirror may be behind, and another replica may have just given the client
      // this address. The NAK goes out once etcd has confirmed that all is as the mirror shows it.
      return {
        do: "commit",
        client: id,
        plan: { guards: planned.guards, ops: [] },
        reply: { type: Type.nak, serverId: client.serverId, yiaddr: 0, text: `${address} is not yours here` },
      };
  }
}

/**
 * True when a client may have an address although the clock may be wrong: its own always, since that lease is stored with an end
 * by the latest time known.
 */
function mayGive(client: Client, address: Ip): boolean {
  const { view, arrival: { clock = "right" }, placement: { network, member } } = client;
  if (clock === "right") return true;
  return ownAddress(view, network, member)?.equals(address) ||
    clock === "apart" && isNeverUsed(client, address);
}

/** No other client has had the address before, so none can still use it because a wrong clock ended its lease. */
function isNeverUsed({ view, placement: { network }, arrival: { mac } }: Client, address: Ip): boolean {
  const text = address.toString(), former = view.formerHolderOf(text);
  const kept = view.withheld.has(text) && !isHeldFor(view, network, mac, text);
  return (former === undefined || former === mac) && !kept;
}

function noneLeft(network: Network): Decision {
  return ignore(network.range4 ? "exhausted" : "no-address", network);
}

/** The part of every answer but a NAK that follows from the client's network. */
function parameters(client: Client, type: typeof Type.offer | typeof Type.ack, name: string | undefined) {
  const { network } = client.placement;
  return {
    type,
    serverId: client.serverId,
    clientAddress: client.address,
    options: networkOptions(network),
    siaddr: network.siaddr?.family === 4 ? network.siaddr.u32 : 0,
    name,
  };
}

function wishedName({ message, registerNames }: Arrival): string | undefined {
  return registerNames ? requestedName(message) : undefined;
}

/** The time, where this process's clock is known to be right: only by such a clock another client's lease is taken to be over. */
function trustedNow({ clock = "right", now }: Arrival): number | undefined {
  return clock === "right" ? now : undefined;
}

function isRunning({ member }: Placement, now: number): boolean {
  return member?.expires !== undefined && member.expires > now;
}
