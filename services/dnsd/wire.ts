/** Constants and helper functions of the DNS wire format (RFC 1035 §4, RFC 6895). */

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  PTR: 12,
  AAAA: 28,
  DNAME: 39,
  OPT: 41,
  RRSIG: 46,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
} as const;

export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  BADVERS: 16,
} as const;

export const CLASS_IN = 1;

/** Octets of a header, and the longest message with and without what a client allows (RFC 1035, RFC 6891). */
export const HEADER = 12;
export const UDP_PLAIN = 512;
/** The EDNS size that we announce, and the longest answer over UDP: it is not fragmented on any path (DNS flag day 2020). */
export const UDP_MAX = 1232;
export const TCP_MAX = 65535;
export const OPT_LENGTH = 11;

/** A–Z to a–z and every other octet to itself: RFC 4343. Label lengths are below "A", so whole names can go through. */
export const LOWER = Uint8Array.from({ length: 256 }, (_, i) => i >= 65 && i <= 90 ? i + 32 : i);

/** A name's text without its last dot, in lower case (ASCII only, RFC 4343). */
export function canonical(name: string): string {
  const text = name.endsWith(".") ? name.slice(0, -1) : name;
  return text.replace(/[A-Z]+/g, (part) => part.toLowerCase());
}

// deno-lint-ignore no-control-regex
const ASCII = /^[\x00-\x7f]*$/, DOT = 0x2e;
const utf8 = new TextEncoder();

/**
 * A name on the wire, root label included.
 * @returns undefined when a label is empty or over 63 octets, or the whole over 255
 */
export function nameToWire(name: string): Uint8Array | undefined {
  if (name === "") return new Uint8Array(1);
  // Nearly all names are ASCII, which needs no encoder: a host may have tens of thousands.
  const octets = ASCII.test(name) ? undefined : utf8.encode(name), { length } = octets ?? name;
  if (length > 253) return undefined;
  const wire = new Uint8Array(length + 2);
  let label = 0;
  for (let i = 0; i <= length; i++) {
    const octet = i === length ? DOT : octets ? octets[i]! : name.charCodeAt(i);
    if (octet !== DOT) {
      wire[i + 1] = octet;
      continue;
    }
    if (i === label || i - label > 63) return undefined;
    wire[label] = i - label;
    label = i + 1;
  }
  return wire;
}

/**
 * The offset at which a name in a message ends: behind its root label or its compression pointer, which is not followed.
 * @returns -1 when it runs past `end` or has a label type that is none
 */
export function skipName(message: Uint8Array, at: number, end: number): number {
  while (at < end) {
    const length = message[at]!;
    if (length === 0) return at + 1;
    if (length >= 0xc0) return at + 2 <= end ? at + 2 : -1;
    if (length > 63) return -1;
    at += length + 1;
  }
  return -1;
}
