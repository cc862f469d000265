/**
 * Encodes the comments that nft(8) keeps beside a set to know the types of its keys. The kernel stores them and does
 * not read them. The form is type, length and value, as in libnftnl's udata.h and nft's src/netlink.c.
 */
import { u32 } from "./netlink_message.ts";

const BYTE_ORDER = 0, KEY_TYPE_OF = 3, EXPRESSION = 0, DATA = 1;
const PAYLOAD = 7, CONCATENATION = 13, IP_HEADER = 12, SOURCE_ADDRESS = 11, TRANSPORT = 3;

type Octets = readonly number[];

function entry(type: number, value: Octets): Octets {
  return [type, value.length, ...value];
}

function number(type: number, value: number): Octets {
  return entry(type, [...u32(value)]);
}

/** Keys of one part are in this host's order, without which interfaces' names are not shown as text. */
export const HOST_ORDER = Uint8Array.from(number(BYTE_ORDER, 1));
/** Keys of one part are in network order, as numbers and addresses of packets are. */
export const NETWORK_ORDER = Uint8Array.from(number(BYTE_ORDER, 2));

/** A part of a key: bits behind the beginning of UDP's header, which nft(8) calls `@th,OFFSET,LENGTH`. */
export function transportBits(offset: number, length: number): Octets {
  return payload(0, 0, TRANSPORT, offset, length);
}

/** A part of a key: the source address, `ip saddr`. */
export function sourceAddress(): Octets {
  return [
    ...number(EXPRESSION, PAYLOAD),
    ...entry(DATA, [...number(0, IP_HEADER), ...number(1, SOURCE_ADDRESS)]),
  ];
}

function payload(protocol: number, field: number, base: number, offset: number, length: number): Octets {
  const data = [protocol, field, base, offset, length].flatMap((value, type) => number(type, value));
  return [...number(EXPRESSION, PAYLOAD), ...entry(DATA, data)];
}

/** Has nft(8) show a set's keys as `typeof` these parts, whose types alone have no width. */
export function typeOf(...parts: readonly Octets[]): Uint8Array {
  const [only] = parts;
  if (only && parts.length === 1) {
    return Uint8Array.from([...number(BYTE_ORDER, 2), ...entry(KEY_TYPE_OF, only)]);
  }
  const all = parts.flatMap((part, i) => entry(i, part));
  const whole = [...number(EXPRESSION, CONCATENATION), ...entry(DATA, all)];
  return Uint8Array.from([...number(BYTE_ORDER, 0), ...entry(KEY_TYPE_OF, whole)]);
}
