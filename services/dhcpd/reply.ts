/** Builds DHCP replies: their contents, their destination (RFC 2131 §4.1) and their encoding. */
import { write32 } from "../common/bytes.ts";
import { type DhcpHeader, encode, OptionList } from "./encode.ts";
import type { Message } from "./message.ts";
import { answerFqdn } from "./names.ts";
import { BOOTREPLY, BROADCAST, CLIENT_PORT, ETHERNET, Opt, SERVER_PORT, Type } from "./numbers.ts";
import type { EncodedOptions } from "./options.ts";

/** The contents of a reply. Addresses are 32-bit values. */
export interface Reply {
  readonly type: typeof Type.offer | typeof Type.ack | typeof Type.nak;
  readonly serverId: number;
  /** The network's options; undefined: none (NAK). */
  readonly options?: EncodedOptions;
  /** The client's address; 0: none (NAK, and the answer to INFORM). */
  readonly yiaddr: number;
  /** The address that the client already has and is answered at; 0 or absent: none yet. */
  readonly clientAddress?: number;
  /** The next server of a boot (siaddr). */
  readonly siaddr?: number;
  /** The rest of the lease; undefined: there is no lease. */
  readonly seconds?: number;
  /** The client's registered name, fully qualified. */
  readonly name?: string | undefined;
  /** An ACK to a DISCOVER (RFC 4039). */
  readonly rapid?: boolean;
  /** The reason, for a NAK. */
  readonly text?: string;
}

/** The way that a reply takes: by the kernel's routes, or as a frame straight onto the link that the request came from. */
export type ReplyDestination =
  | { readonly by: "route"; readonly address: number; readonly port: number }
  | { readonly by: "link"; readonly address: number; readonly mac: Uint8Array };

const broadcastMac = new Uint8Array(6).fill(0xff);
const broadcast: ReplyDestination = { by: "link", address: 0xffffffff, mac: broadcastMac };

/** The destination of a reply (RFC 2131 §4.1): the relay, or the client. A client with a ciaddr is not always reachable there. */
export function destination(request: Message, reply: Reply): ReplyDestination {
  // INFORM is answered at the client's address in any case (§4.3.5): without a yiaddr a relay has nowhere to send it.
  const informed = !reply.yiaddr && reply.clientAddress;
  if (request.giaddr && !informed) return { by: "route", address: request.giaddr, port: SERVER_PORT };
  if (reply.type === Type.nak) return broadcast;
  if (reply.clientAddress) return { by: "route", address: reply.clientAddress, port: CLIENT_PORT };
  if (request.flags & BROADCAST) return broadcast;
  return { by: "link", address: reply.yiaddr, mac: request.chaddr.subarray(0, 6) };
}

/** The length that every client accepts (RFC 2131 §2), and the longest message that is sent, both without IP and UDP headers. */
const LEAST_MAXIMUM = 576 - 28;
const MOST_MAXIMUM = 1500 - 28;

/** Options that a parameter request list does not add: those of the message itself, which are written always or never. */
const ownOptions = new Set<number>([
  Opt.subnetMask,
  Opt.hostname,
  Opt.requestedAddress,
  Opt.leaseTime,
  Opt.type,
  Opt.serverId,
  Opt.renewalTime,
  Opt.rebindingTime,
  Opt.clientId,
  Opt.fqdn,
  Opt.relayAgent,
]);

/** Encodes replies one after the other, in most cases without allocating memory. */
export class ReplyWriter {
  readonly #list = new OptionList();
  readonly #type = new Uint8Array(1);
  readonly #serverId = new Uint8Array(4);
  readonly #lease = new Uint8Array(4);
  readonly #renewal = new Uint8Array(4);
  readonly #rebinding = new Uint8Array(4);
  readonly #header: DhcpHeader = {
    op: BOOTREPLY,
    htype: ETHERNET,
    hlen: 6,
    xid: 0,
    secs: 0,
    flags: 0,
    ciaddr: 0,
    yiaddr: 0,
    siaddr: 0,
    giaddr: 0,
    chaddr: new Uint8Array(0),
  };

  /** Writes to `out` from `at`, where at least 1472 bytes must be free; returns the length. */
  write(out: Uint8Array, at: number, request: Message, reply: Reply): number {
    const header = this.#header, { options } = reply;
    header.xid = request.xid;
    // A reply with no address to send it to is to be broadcast by the relay: a NAK, and some answers to INFORM.
    const isUnaddressed = request.giaddr && !reply.yiaddr && !reply.clientAddress;
    header.flags = isUnaddressed ? request.flags | BROADCAST : request.flags;
    // "Only filled in if client … can respond to ARP requests" (RFC 2131 §2).
    header.ciaddr = reply.clientAddress ? request.ciaddr : 0;
    header.yiaddr = reply.yiaddr;
    header.siaddr = reply.siaddr ?? 0;
    header.giaddr = request.giaddr;
    header.chaddr = request.chaddr;
    header.sname = options?.values[Opt.tftpServer];
    header.file = options?.values[Opt.bootFile];
    this.#listOptions(request, reply);
    const most = Math.max(LEAST_MAXIMUM, (request.u16(Opt.maxSize) ?? 0) - 28);
    return encode(out, at, header, this.#list, Math.min(most, MOST_MAXIMUM));
  }

  /** Lists the options. The indispensable ones are first, since not everything may fit. */
  #listOptions(request: Message, reply: Reply): void {
    const list = this.#list;
    list.clear();
    this.#type[0] = reply.type;
    list.add(Opt.type, this.#type);
    write32(this.#serverId, 0, reply.serverId);
    list.add(Opt.serverId, this.#serverId);
    if (reply.seconds !== undefined) {
      const seconds = Math.min(reply.seconds, 0xffffffff);
      write32(this.#lease, 0, seconds);
      write32(this.#renewal, 0, Math.floor(seconds / 2));
      write32(this.#rebinding, 0, Math.floor(seconds * 0.875));
      list.add(Opt.leaseTime, this.#lease);
      list.add(Opt.renewalTime, this.#renewal);
      list.add(Opt.rebindingTime, this.#rebinding);
    }
    if (reply.rapid) list.add(Opt.rapidCommit, empty);
    const clientId = request.payload(Opt.clientId);
    if (clientId) list.add(Opt.clientId, clientId);
    if (reply.text) list.add(Opt.message, ascii.encode(reply.text));
    if (reply.options) this.#listNetworkOptions(request, reply, reply.options);
    const relay = request.payload(Opt.relayAgent);
    if (relay) list.add(Opt.relayAgent, relay);
  }

  #listNetworkOptions(request: Message, reply: Reply, { values, defaults }: EncodedOptions): void {
    const list = this.#list;
    // Before the routers, in any case (RFC 2132 §3.3).
    const mask = values[Opt.subnetMask];
    if (mask) list.add(Opt.subnetMask, mask);
    const requested = request.payload(Opt.parameterList);
    const name = hostLabel(reply.name);
    if (name && (!requested || requested.includes(Opt.hostname))) list.add(Opt.hostname, name);
    for (const number of requested ?? defaults) {
      const value = values[number];
      if (value && !ownOptions.has(number) && !list.has(number)) list.add(number, value);
    }
    const fqdn = request.payload(Opt.fqdn);
    if (fqdn && fqdn.length >= 3) list.add(Opt.fqdn, answerFqdn(fqdn, reply.name));
  }
}

const empty = new Uint8Array(0);
const ascii = new TextEncoder();

/** The first label of a fully qualified name. */
function hostLabel(name: string | undefined): Uint8Array | undefined {
  return name ? ascii.encode(name.split(".", 1)[0]) : undefined;
}
