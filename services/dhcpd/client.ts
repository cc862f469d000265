/** Identifies the client of a received message: its network, and the server identifier that it is answered with. */
import { Ip } from "../common/ip.ts";
import { placeClient, type Placement } from "../nex/leases.ts";
import type { Network } from "../nex/network.ts";
import type { LeaseSpace } from "../nex/lease_space.ts";
import { type Arrival, clientAddress, linkOf, relayInformation } from "./arrival.ts";
import { clientIn, ignore, type Ignored } from "./decision.ts";
import { subOption, u32Of } from "./message.ts";
import { Opt, RelayOpt, Type } from "./numbers.ts";
import type { Offers } from "./offers.ts";

/** The client that a message is from, in the network that it is served from. */
export interface Client {
  readonly id: string;
  readonly view: LeaseSpace;
  readonly offers: Offers;
  readonly arrival: Arrival;
  readonly placement: Placement;
  /** The address that replies carry as server identifier. */
  readonly serverId: number;
  /** See {@link clientAddress}. */
  readonly address: number;
}

/** Finds the client's network and the address that the server answers by, or the reason why the message is ignored. */
export function findClient(view: LeaseSpace, offers: Offers, arrival: Arrival): Client | Ignored {
  const { message, mac } = arrival, { type } = message;
  const address = clientAddress(arrival), link = linkOf(arrival, address);
  if (type === Type.inform && !link && !address) return ignore("malformed");
  const placement = type === Type.inform ? placeInform(view, arrival, link, address) : placeClient(view, {
    mac,
    link: link === undefined ? undefined : Ip.from4(link),
    attached: arrival.attached,
    named: address || message.u32(Opt.requestedAddress),
  }) ?? placeHeld(view, arrival);
  if (!placement) return { do: "ignore", why: "unknown-client", link };
  const id = clientIn(placement.network.name, mac), relay = relayInformation(arrival);
  const override = relay && u32Of(subOption(relay, RelayOpt.serverIdOverride));
  const serverId = override ?? serverIdFor(placement.network, arrival.addresses);
  if (serverId === undefined) return ignore("no-server-id", placement.network);
  const chosen = message.u32(Opt.serverId);
  if (chosen === undefined || chosen === serverId) {
    return { id, view, offers, arrival, placement, serverId, address };
  }
  // The client takes another server's offer.
  if (type === Type.request) offers.drop(id);
  return ignore("other-server");
}

/**
 * INFORM requests no lease: any client is answered with the parameters of the network that its address is in (RFC
 * 2131 §4.3.5).
 */
function placeInform(
  view: LeaseSpace,
  { mac, attached }: Arrival,
  link: number | undefined,
  address: number,
): Placement | undefined {
  const network = view.networkAt(Ip.from4(address || link || 0));
  if (!network || link === undefined && attached && !attached(network)) return undefined;
  return { network, member: view.member(mac, network.name) };
}

/** A client whose membership was deleted, and that releases the address which is held for its lease. */
function placeHeld(view: LeaseSpace, { message, mac }: Arrival): Placement | undefined {
  if (message.type !== Type.release) return undefined;
  const network = view.network(view.withheld.get(Ip.from4(message.ciaddr).toString())?.net ?? "");
  return network && { network, member: view.member(mac, network.name) };
}

/** The network's dhcp4server, which is the same for all replicas; else the interface's address. */
function serverIdFor(network: Network, addresses: readonly number[]): number | undefined {
  const { dhcp4server, subnet4 } = network;
  if (dhcp4server?.family === 4) return dhcp4server.u32;
  return addresses.find((address) => subnet4?.contains(Ip.from4(address))) ?? addresses[0];
}
