/**
 * The messages of the demo's own DHCP client (RFC 2131 §2, RFC 2132), no more than a lease needs. They share no code
 * with `dhcpd`, so that the demo is a second reading of the RFCs.
 */

export const DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5;
export const SUBNET_MASK = 1, REQUESTED_ADDRESS = 50, LEASE_TIME = 51, SERVER_ID = 54;
const PAD = 0, MESSAGE_TYPE = 53, END = 255;

/** The offsets of a message's fields, in octets. */
const XID = 4, FLAGS = 10, YIADDR = 16, CHADDR = 28, COOKIE = 236, OPTIONS = 240;
const BOOTREQUEST = 1, BOOTREPLY = 2, ETHERNET = 1, BROADCAST = 0x8000, MAGIC = 0x63825363;
/** BOOTP's relays and servers may discard a shorter message (RFC 1542 §2.1). */
const SHORTEST = 300;

export interface DemoReply {
  readonly type: number;
  /** The address for the client, of four octets. */
  readonly yiaddr: Uint8Array;
  /** By number; of one that comes more than once, all parts in a row (RFC 3396). */
  readonly options: ReadonlyMap<number, Uint8Array>;
}

/** A client's broadcast, which asks for a broadcast in return. */
export function encodeRequest(
  type: number,
  mac: string,
  xid: number,
  options: readonly (readonly [number, Uint8Array])[] = [],
): Uint8Array {
  const all: readonly (readonly [number, ArrayLike<number>])[] = [[MESSAGE_TYPE, [type]], ...options];
  const bytes = all.flatMap(([number, value]) => [number, value.length, ...Array.from(value)]);
  const message = new Uint8Array(Math.max(SHORTEST, OPTIONS + bytes.length + 1));
  const view = new DataView(message.buffer);
  message.set([BOOTREQUEST, ETHERNET, 6]);
  view.setUint32(XID, xid);
  view.setUint16(FLAGS, BROADCAST);
  message.set(mac.split(":").map((octet) => parseInt(octet, 16)), CHADDR);
  view.setUint32(COOKIE, MAGIC);
  message.set([...bytes, END], OPTIONS);
  return message;
}

/** A server's reply to the exchange `xid`; undefined for anything else. */
export function decodeReply(message: Uint8Array, xid: number): DemoReply | undefined {
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  if (message.length < OPTIONS || message[0] !== BOOTREPLY || view.getUint32(XID) !== xid) return undefined;
  if (view.getUint32(COOKIE) !== MAGIC) return undefined;
  const options = new Map<number, Uint8Array>();
  for (let at = OPTIONS; at < message.length && message[at] !== END;) {
    const number = message[at] ?? END, length = message[at + 1] ?? 0;
    if (number === PAD) {
      at++;
      continue;
    }
    const value = message.slice(at + 2, at + 2 + length);
    if (value.length < length) return undefined;
    options.set(number, Uint8Array.of(...options.get(number) ?? [], ...value));
    at += 2 + length;
  }
  const [type] = options.get(MESSAGE_TYPE) ?? [];
  return type === undefined ? undefined : { type, yiaddr: message.slice(YIADDR, YIADDR + 4), options };
}
