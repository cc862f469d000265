import { Ip } from "../common/ip.ts";
import type { ClockVerdict } from "../nex/clock_verdict.ts";
import { nameClient, type NameOutcome } from "../nex/client_name.ts";
import { isHeldFor } from "../nex/held.ts";
import {
  addressFor,
  type Offered,
  ownAddress,
  placeClient,
  type Placement,
  planLease,
  planLeaseEnd,
  planRelease,
} from "../nex/leases.ts";
import type { Member } from "../nex/member.ts";
import type { Network } from "../nex/network.ts";
import { mayDecline, planDecline } from "../nex/quarantine.ts";
import type { View } from "../nex/view.ts";
import type { Plan } from "../store/types.ts";
import { type Message, subOption, u32Of } from "./message.ts";
import { askedName } from "./names.ts";
import { BOOTREQUEST, ETHERNET, Opt, RelayOpt, Type } from "./numbers.ts";
import type { Offers } from "./offers.ts";
import { networkOptions } from "./options.ts";
import type { Reply } from "./reply.ts";

/** A message with what is known of how it came. */
export interface Arrival {
  readonly message: Message;
  /** The client's hardware address in stored form. */
  readonly mac: string;
  /** It was sent to one of our addresses, not to everybody. */
  readonly unicast: boolean;
  /** The packet's source address, as a 32-bit value. */
  readonly source: number;
  /** The frame's Ethernet source is the client's hardware address: neither a router nor a relay sent it on. */
  readonly ownFrame: boolean;
  /** When the kernel received it, in ms since the epoch. */
  readonly received: number;
  /** The interface's own IPv4 addresses, as 32-bit values. */
  readonly addresses: readonly number[];
  /** Which networks are on the interface; undefined: not known, any. */
  readonly attached: ((network: Network) => boolean) | undefined;
  /** Seconds since the epoch, rounded up: the client counts its lease from no earlier than this less a second. */
  readonly now: number;
  /** The latest time that may be right, as `now`: what is stored ends by it; absent: `now`. */
  readonly latest?: number;
  /** The store cannot be written to: what it already holds may be confirmed, nothing else. */
  readonly storeAway: boolean;
  /** Whether `now` can be trusted; absent: it can. */
  readonly clock?: ClockVerdict;
  /** A plan for this message was to be committed, in vain. */
  readonly tried?: boolean;
  /** Names that clients ask for are registered. */
  readonly registerNames: boolean;
}

/** Why a message is not answered. */
export type Reason =
  | "malformed"
  | "unknown-client"
  | "other-server"
  | "no-server-id"
  | "exhausted"
  | "no-address" // a member that was given none, where there is no range
  | "store-away"
  | "wrong-clock"
  | "not-held"
  | "static-declined"
  | "declines-too-often"
  | "wrong-sender"; // a release or decline that its client did not send

/** What to do about a message. A plan is committed before its reply goes out; release and decline have no reply. */
export type Step =
  | Ignored
  | { readonly do: "answer"; readonly reply: Reply }
  | Commit;

export interface Ignored {
  readonly do: "ignore";
  readonly why: Reason;
  readonly network?: Network;
  /** Of a client that is unknown: the address that tells its link, where that is not our own. */
  readonly link?: number | undefined;
}

export interface Commit {
  readonly do: "commit";
  /** Whom it is about, see {@link clientIn}. */
  readonly client: string;
  readonly plan: Plan;
  readonly reply?: Reply;
  /** What came of the name that the client asks for, where it did not get it as it is. */
  readonly named?: NameOutcome | undefined;
  /** The network that an address is quarantined in. */
  readonly declined?: Network;
}

/** A client of one network: the same MAC may have a lease in another one at the same time. */
export function clientIn(network: string, mac: string): string {
  return `${network} ${mac}`;
}

const ignore = (why: Reason, network?: Network): Step => ({ do: "ignore", why, ...network && { network } });

/**
 * The whole of DHCP's server side (RFC 2131 §4.3) as a function of what the view shows. It is called again, with the
 * newer view, when its plan met a conflict.
 */
export function handle(view: View, offers: Offers, arrival: Arrival): Step {
  const { message, mac } = arrival;
  const type = message.type;
  if (message.op !== BOOTREQUEST || message.htype !== ETHERNET || message.hlen !== 6) {
    return ignore("malformed");
  }
  if (
    type < Type.discover || type > Type.inform || type === Type.offer || type === Type.ack ||
    type === Type.nak
  ) {
    return ignore("malformed");
  }
  const relay = message.giaddr ? message.payload(Opt.relayAgent) : undefined;
  const address = clientAddress(arrival);
  const link = linkOf(arrival, relay, address);
  if (type === Type.inform && !link && !address) return ignore("malformed");
  const placement = type === Type.inform ? placeInform(view, arrival, link, address) : placeClient(view, {
    mac,
    link: link === undefined ? undefined : Ip.from4(link),
    attached: arrival.attached,
    named: address || message.u32(Opt.requestedAddress),
  }) ?? placeHeld(view, arrival);
  if (!placement) return { do: "ignore", why: "unknown-client", link };
  const id = clientIn(placement.network.name, mac);
  const override = relay && u32Of(subOption(relay, RelayOpt.serverIdOverride));
  const serverId = override ?? serverIdFor(placement.network, arrival.addresses);
  if (serverId === undefined) return ignore("no-server-id", placement.network);
  const named = message.u32(Opt.serverId);
  if (named !== undefined && named !== serverId) {
    // It chose another server's offer.
    if (type === Type.request) offers.drop(id);
    return ignore("other-server");
  }
  const client: Client = { id, view, offers, arrival, placement, serverId, address };
  switch (type) {
    case Type.discover:
      return discover(client);
    case Type.request:
      return request(client);
    case Type.inform:
      return { do: "answer", reply: { ...parameters(client, Type.ack, placement.member?.name), yiaddr: 0 } };
    case Type.release:
      return release(client);
    default:
      return decline(client);
  }
}

/** A client that we know, at its network. */
interface Client {
  readonly id: string;
  readonly view: View;
  readonly offers: Offers;
  readonly arrival: Arrival;
  readonly placement: Placement;
  readonly serverId: number;
  /** See {@link clientAddress}. */
  readonly address: number;
}

/**
 * The address that the client has and can be reached at; 0: none yet. A client that has none yet may send a former one in
 * ciaddr all the same: SELECTING and INIT-REBOOT are told by option 50 (RFC 2131 §4.3.2).
 */
function clientAddress({ message, unicast, source }: Arrival): number {
  const { ciaddr } = message;
  switch (message.type) {
    case Type.discover:
      return 0;
    case Type.request: {
      // What a client sends from the address, to us alone, is a renewal in any case.
      const renews = message.u32(Opt.requestedAddress) === undefined || unicast && source === ciaddr;
      return renews ? ciaddr : 0;
    }
    case Type.inform:
      return ciaddr || (message.giaddr ? 0 : source);
    default:
      return ciaddr;
  }
}

/** The address that tells the client's link: the relay's word, or the client's own when a router brought it here. */
function linkOf(
  { message, unicast, attached }: Arrival,
  relay: Uint8Array | undefined,
  address: number,
): number | undefined {
  if (message.giaddr) return (relay && u32Of(subOption(relay, RelayOpt.linkSelection))) ?? message.giaddr;
  return unicast && attached && address ? address : undefined;
}

/** INFORM wants no lease: any client is told of the network that its address is in (RFC 2131 §4.3.5). */
function placeInform(
  view: View,
  { mac, attached }: Arrival,
  link: number | undefined,
  address: number,
): Placement | undefined {
  const network = view.networkAt(Ip.from4(address || link || 0));
  if (!network || link === undefined && attached && !attached(network)) return undefined;
  return { network, member: view.member(mac, network.name) };
}

/** A client that is no member any more, and gives back the address that is held for its lease. */
function placeHeld(view: View, { message, mac }: Arrival): Placement | undefined {
  if (message.type !== Type.release) return undefined;
  const network = view.network(view.withheld.get(Ip.from4(message.ciaddr).toString())?.net ?? "");
  return network && { network, member: view.member(mac, network.name) };
}

/** All replicas name the one address that the network gives, if it does. */
function serverIdFor(network: Network, addresses: readonly number[]): number | undefined {
  const { dhcp4server, subnet4 } = network;
  if (dhcp4server?.family === 4) return dhcp4server.u32;
  return addresses.find((address) => subnet4?.contains(Ip.from4(address))) ?? addresses[0];
}

function discover(client: Client): Step {
  const { id, view, offers, arrival, placement } = client;
  const { message, mac, now } = arrival;
  const { network } = placement;
  // Another replica may have given away even the address that this client had.
  if (arrival.storeAway) return ignore("store-away", network);
  const wish = offers.heldBy(id) ?? message.u32(Opt.requestedAddress);
  const held = offers.besides(id, network.name, now);
  if (arrival.clock !== "apart") offers.unused.forget();
  const offered: Offered = arrival.clock === "apart"
    ? offers.unused.beside(held, network.name, (ip) => neverUsed(client, Ip.from4(ip)))
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

/** Whether a client may have an address by the clock that there is: its own always, with an end by the latest time known. */
function mayGive(client: Client, address: Ip): boolean {
  const { view, arrival: { clock = "right" }, placement: { network, member } } = client;
  if (clock === "right") return true;
  return ownAddress(view, network, member)?.equals(address) ||
    clock === "apart" && neverUsed(client, address);
}

/** No other client has had it before: none can still have it because a lease was ended by a wrong clock. */
function neverUsed({ view, placement: { network }, arrival: { mac } }: Client, address: Ip): boolean {
  const text = address.toString(), former = view.formerHolderOf(text);
  const kept = view.withheld.has(text) && !isHeldFor(view, network, mac, text);
  return (former === undefined || former === mac) && !kept;
}

function noneLeft(network: Network): Step {
  return ignore(network.range4 ? "exhausted" : "no-address", network);
}

/** SELECTING and INIT-REBOOT name the address in option 50, RENEWING and REBINDING in ciaddr (RFC 2131 §4.3.2). */
function request(client: Client): Step {
  const address = client.address || client.arrival.message.u32(Opt.requestedAddress);
  return address ? lease(client, Ip.from4(address)) : ignore("malformed");
}

function lease(client: Client, address: Ip, rapid = false): Step {
  const { id, view, arrival, placement } = client;
  const { mac, now, latest = now } = arrival;
  const { network, member } = placement;
  const ack = (expires: number, name: string | undefined): Reply => ({
    ...parameters(client, Type.ack, name),
    yiaddr: address.u32,
    // An end that was stored by a clock that is ahead gives a client no more than the usual time.
    seconds: Math.min(expires - latest, network.leaseSeconds),
    rapid,
  });
  // A client that renews has its address in use, and keeps it while its lease runs. One that comes anew may have released
  // it through another replica, which this one does not know: etcd decides, and without its word the client is told nothing.
  if (arrival.storeAway && (client.address || arrival.tried)) {
    const own = client.address && running(placement, latest) && ownAddress(view, network, member);
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
      // Without an operation, but under guards: the mirror may be behind, and another replica may have just given the client
      // this address. The NAK goes out once etcd says that all is as the mirror shows it.
      return {
        do: "commit",
        client: id,
        plan: { guards: planned.guards, ops: [] },
        reply: { type: Type.nak, serverId: client.serverId, yiaddr: 0, text: `${address} is not yours here` },
      };
  }
}

/** Its plan is guarded by the mod revision of the lease that it ends: a lease that was given since is not touched. */
function release(client: Client): Step {
  const { view, placement: { network }, arrival: { message, mac, source, now } } = client;
  const member = holder(client, message.ciaddr);
  const plan = member
    ? planLeaseEnd(view, member, now)
    : planRelease(view, network, mac, Ip.from4(message.ciaddr).toString());
  if (!plan) return ignore("not-held");
  // A client sends it from the address that it gives back (RFC 2131 §4.4.4), also through a router.
  if (!message.giaddr && source !== message.ciaddr || !ownFrame(client)) return ignore("wrong-sender");
  return { do: "commit", client: client.id, plan };
}

function decline(client: Client): Step {
  const { view, arrival, placement: { network } } = client;
  const { message, ownFrame: own, now, latest = now } = arrival;
  const member = holder(client, message.u32(Opt.requestedAddress));
  if (!member) return ignore("not-held");
  // It is broadcast on the client's link, from no address (RFC 2131 §4.4.4): only a relay can bring it from elsewhere.
  if (message.giaddr ? !ownFrame(client) : !own) return ignore("wrong-sender");
  if (!mayDecline(view, member.mac, latest)) return ignore("declines-too-often", network);
  const plan = planDecline(view, network, member, latest);
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
 * Whether the frame can be the client's. On the link that carries the client's network, the frame has the client's hardware
 * address as its source. From elsewhere a router or a relay brings it, also where dhcp4server is the interface's own address.
 */
function ownFrame({ arrival, placement: { network } }: Client): boolean {
  const { addresses } = arrival;
  // Clients are on the link of an interface without an address: a router or a relay would have to reach one.
  const onLink = addresses.length === 0 ||
    addresses.some((address) => network.subnet4?.contains(Ip.from4(address)));
  return !onLink || arrival.ownFrame;
}

/** What every answer but a NAK tells of the client's network. */
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
  return registerNames ? askedName(message) : undefined;
}

/** The time, where this process's clock is known to be right: only by such a clock another client's lease is taken to be over. */
function trustedNow({ clock = "right", now }: Arrival): number | undefined {
  return clock === "right" ? now : undefined;
}

function running({ member }: Placement, now: number): boolean {
  return member?.expires !== undefined && member.expires > now;
}
