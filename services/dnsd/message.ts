/** Reads DNS messages of clients and resolvers as far as forwarding needs, and rewrites them without decoding them. */
import { read16 } from "../common/bytes.ts";
import { HEADER, LOWER, RCODE, skipName, TYPE } from "./wire.ts";

/** The offsets of a message's parts. */
export interface Layout {
  /** The offset at which the one question ends. */
  readonly questionEnd: number;
  /** The offset of the OPT, or the message's end: records behind it are not used. */
  readonly end: number;
  /** Additional records before `end`. */
  readonly additional: number;
  /** The offset of each TTL before `end`. */
  readonly ttls: readonly number[];
  /** Seconds: the least TTL of the answer and authority sections, capped by an SOA's minimum (RFC 2308 §5). */
  readonly ttl: number;
  /** The authority section has an SOA. */
  readonly soa: boolean;
  readonly edns: { readonly size: number; readonly rcode: number; readonly dnssecOk: boolean } | undefined;
}

/** Walks a message with one question. @returns undefined when it is malformed */
export function layoutOf(message: Uint8Array): Layout | undefined {
  const length = message.length;
  if (length < HEADER || read16(message, 4) !== 1) return undefined;
  const nameEnd = skipName(message, HEADER, length);
  const questionEnd = nameEnd + 4;
  if (nameEnd < 0 || questionEnd > length) return undefined;
  const counts = [read16(message, 6), read16(message, 8), read16(message, 10)];
  const ttls: number[] = [];
  let at = questionEnd, end = -1, additional = 0, least = Infinity, soa = false;
  let edns: Layout["edns"];
  for (let section = 0; section < 3; section++) {
    for (let left = counts[section] ?? 0; left > 0; left--) {
      const fixed = skipName(message, at, length);
      if (fixed < 0 || fixed + 10 > length) return undefined;
      const type = read16(message, fixed);
      const next = fixed + 10 + read16(message, fixed + 8);
      if (next > length) return undefined;
      if (type === TYPE.OPT && section === 2) {
        if (edns) return undefined;
        end = at;
        edns = {
          size: read16(message, fixed + 2),
          rcode: (message[fixed + 4] ?? 0) << 4,
          dnssecOk: ((message[fixed + 6] ?? 0) & 0x80) !== 0,
        };
      } else if (end < 0) {
        ttls.push(fixed + 4);
        if (section === 2) additional++;
        else least = Math.min(least, readTtl(message, fixed + 4));
        if (section === 1 && type === TYPE.SOA) {
          // MINIMUM is the last field.
          if (next - fixed < 10 + 22) return undefined;
          soa = true;
          least = Math.min(least, readTtl(message, next - 4));
        }
      }
      at = next;
    }
  }
  const ttl = least === Infinity ? 0 : least;
  return { questionEnd, end: end < 0 ? at : end, additional, ttls, ttl, soa, edns };
}

/** The last octet that a compression pointer reaches. */
export const POINTER_MAX = 0x3fff;

/** A name in a message, uncompressed and with its root label; undefined when it is malformed. */
export function readName(message: Uint8Array, at: number): Uint8Array | undefined {
  const name = new Uint8Array(255);
  let length = 0, limit = at;
  for (;;) {
    const octet = message[at];
    if (octet === undefined) return undefined;
    if (octet >= 0xc0) {
      const target = read16(message, at) & POINTER_MAX;
      // A pointer may only point backwards, so that the loop ends.
      if (target >= limit) return undefined;
      at = limit = target;
      continue;
    }
    const next = at + octet + 1;
    if (octet > 63 || next > message.length || length + octet + 1 > name.length) return undefined;
    name.set(message.subarray(at, next), length);
    length += octet + 1;
    if (octet === 0) return name.slice(0, length);
    at = next;
  }
}

/** Octets as a key: a character for each, ASCII letters in lower case. */
export function lowerCase(octets: Uint8Array, from = 0, to = octets.length): string {
  let text = "";
  for (let i = from; i < to; i++) text += String.fromCharCode(LOWER[octets[i] ?? 0] ?? 0);
  return text;
}

/** The RCODE of a message's header, without EDNS's upper bits. */
export function rcodeOf(message: Uint8Array): number {
  return (message[3] ?? 0) & 15;
}

/** True when a response reports data, or its absence, rather than an error. */
export function hasAnswer(message: Uint8Array): boolean {
  const rcode = rcodeOf(message);
  return rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN;
}

/** Takes `seconds` off every TTL. */
export function ageTtls(message: Uint8Array, ttls: readonly number[], seconds: number): void {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  for (const at of ttls) view.setUint32(at, Math.max(readTtl(message, at) - seconds, 0));
}

/** A TTL with its highest bit set means 0: RFC 2181 §8. */
function readTtl(bytes: Uint8Array, at: number): number {
  const high = read16(bytes, at);
  return high >= 0x8000 ? 0 : high * 65536 + read16(bytes, at + 2);
}
