/** A received DHCP message with the interface and addresses that show where its client is. */
import { Ip } from "../common/ip.ts";
import type { ClockVerdict } from "../nex/clock_verdict.ts";
import type { Network } from "../nex/network.ts";
import { type Message, subOption, u32Of } from "./message.ts";
import { Opt, RelayOpt, Type } from "./numbers.ts";

/** The part of a DHCP message that decides how it is answered. */
export type ClientRequest = Pick<
  Message,
  "op" | "htype" | "hlen" | "type" | "ciaddr" | "giaddr" | "u32" | "has" | "payload"
>;

/** A received DHCP message, with everything except the mirror that its answer depends on. */
export interface Arrival<M extends ClientRequest = ClientRequest> {
  readonly message: M;
  /** The client's hardware address in stored form. */
  readonly mac: string;
  /** True: the message was sent to one of our addresses, not broadcast. */
  readonly unicast: boolean;
  /** The packet's source address, as a 32-bit value. */
  readonly source: number;
  /** The frame's Ethernet source is the client's hardware address: neither a router nor a relay forwarded it. */
  readonly ownFrame: boolean;
  /** When the kernel received it, in ms since the epoch. */
  readonly received: number;
  /** The interface's own IPv4 addresses, as 32-bit values. */
  readonly addresses: readonly number[];
  /** Tests whether a network is on the interface; undefined: any may be. */
  readonly attached: ((network: Network) => boolean) | undefined;
  /** Seconds since the epoch, rounded up: the client counts its lease from no earlier than this less a second. */
  readonly now: number;
  /** The latest time that may be right, as `now`: stored leases end by it; absent: `now`. */
  readonly latest?: number | undefined;
  /** True: etcd cannot be written to, so a stored lease may be confirmed and nothing else done. */
  readonly storeAway: boolean;
  /** The verdict on `now`; absent: it can be trusted. */
  readonly clock?: ClockVerdict | undefined;
  /** True: a plan for this message could not be committed. */
  readonly tried?: boolean;
  /** True: names that clients ask for are registered. */
  readonly registerNames: boolean;
}

/**
 * The address that the client has and is reachable at; 0: none yet. A client without an address may still send a
 * former one in ciaddr: SELECTING and INIT-REBOOT are recognised by option 50 (RFC 2131 §4.3.2).
 */
export function clientAddress({ message, unicast, source }: Arrival): number {
  const { ciaddr } = message;
  switch (message.type) {
    case Type.discover:
      return 0;
    case Type.request: {
      // A message sent from ciaddr to this server alone is a renewal, also with option 50.
      const renews = message.u32(Opt.requestedAddress) === undefined || unicast && source === ciaddr;
      return renews ? ciaddr : 0;
    }
    case Type.inform:
      return ciaddr || (message.giaddr ? 0 : source);
    default:
      return ciaddr;
  }
}

/** Option 82, from a relay only. */
export function relayInformation({ message }: Arrival): Uint8Array | undefined {
  return message.giaddr ? message.payload(Opt.relayAgent) : undefined;
}

/** Octets of a relay's sub-option that tell one circuit from another; longer ones are no names of ports. */
const CIRCUIT_OCTETS = 64;

/** The circuit of a relay, as the port of a switch, that the message came by; undefined where the relay names none (RFC 3046). */
export function circuitOf(arrival: Arrival): string | undefined {
  const relay = relayInformation(arrival), circuit = relay && subOption(relay, RelayOpt.circuitId);
  if (!relay || !circuit?.length) return undefined;
  const remote = subOption(relay, RelayOpt.remoteId) ?? new Uint8Array();
  const parts = [circuit, remote].map((octets) => octets.slice(0, CIRCUIT_OCTETS).toHex());
  return [Ip.from4(arrival.message.giaddr), ...parts].join(" ").trim();
}

/**
 * The address that identifies the client's link: the relay's link selection or giaddr, or the client's own behind a
 * router.
 */
export function linkOf(arrival: Arrival, address: number): number | undefined {
  const { message, unicast, attached } = arrival;
  if (!message.giaddr) return unicast && attached && address ? address : undefined;
  const relay = relayInformation(arrival);
  return (relay && u32Of(subOption(relay, RelayOpt.linkSelection))) ?? message.giaddr;
}
