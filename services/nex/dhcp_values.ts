/** The types of DHCP options' values, and how the text of each is encoded. */
import { Cidr, Ip } from "../common/ip.ts";

/** The type of an option's value. */
export type OptionType =
  | "address"
  | "addresses"
  | "address pairs"
  | "text"
  | "flag"
  | "u8"
  | "u16"
  | "u16 list"
  | "u32"
  | "i32"
  | "domains"
  | "routes"
  | "bytes";

interface Encoding {
  /** A description of a valid value, for the refusal. */
  readonly wanted: string;
  /** The option's payload; undefined when the text is no such value. */
  encode(text: string): Uint8Array | undefined;
}

/** A row per type: how its text becomes bytes. */
export const encodings: Record<OptionType, Encoding> = {
  address: { wanted: "an IPv4 address, like 10.0.0.1", encode: address },
  addresses: {
    wanted: "IPv4 addresses, like 10.0.0.1, 10.0.0.2",
    encode: (text) => each(words(text), address),
  },
  "address pairs": {
    wanted: "pairs of IPv4 addresses, like 10.0.0.1 10.0.0.2",
    encode: (text) => words(text).length % 2 ? undefined : each(words(text), address),
  },
  text: { wanted: "text without control characters", encode: plainText },
  flag: { wanted: "true or false", encode: flag },
  u8: { wanted: "a whole number from 0 to 255", encode: (text) => integer(text, 1, 0, 0xff) },
  u16: { wanted: "a whole number from 0 to 65535", encode: (text) => integer(text, 2, 0, 0xffff) },
  "u16 list": {
    wanted: "whole numbers from 0 to 65535, like 68, 296",
    encode: (text) => each(words(text), (word) => integer(word, 2, 0, 0xffff)),
  },
  u32: {
    wanted: "a whole number from 0 to 4294967295",
    encode: (text) => integer(text, 4, 0, 0xffffffff),
  },
  i32: {
    wanted: "a whole number from -2147483648 to 2147483647",
    encode: (text) => integer(text, 4, -0x80000000, 0x7fffffff),
  },
  domains: { wanted: "domain names, like example.net, example.org", encode: (text) => domains(words(text)) },
  routes: {
    wanted: "destinations with their routers, like 10.1.0.0/16 10.0.0.1, 0.0.0.0/0 10.0.0.254",
    encode: (text) => routes(words(text).filter((word) => word !== "via")),
  },
  bytes: { wanted: "bytes in hexadecimal, like 0x01ff", encode: hex },
};

/** Bytes written as `0x01ff`; undefined when the text is not that. */
export function hex(text: string): Uint8Array | undefined {
  const digits = /^0x((?:[0-9a-f]{2})*)$/i.exec(text)?.[1];
  return digits === undefined
    ? undefined
    : Uint8Array.from(digits.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** Names as RFC 1035 labels, where a suffix that occurred before is a pointer to it (RFC 3397 §2). */
export function domains(names: readonly string[]): Uint8Array | undefined {
  const out: number[] = [];
  const seen = new Map<string, number>();
  for (const name of names) {
    let tail = name.replace(/\.$/, "");
    if (tail.length > 253) return undefined;
    while (tail && !seen.has(tail.toLowerCase())) {
      const [label = "", ...rest] = tail.split(".");
      if (!/^[a-z0-9_-]{1,63}$/i.test(label) || tail.endsWith(".")) return undefined;
      // A pointer has 14 bits.
      if (out.length < 0x4000) seen.set(tail.toLowerCase(), out.length);
      out.push(label.length, ...new TextEncoder().encode(label));
      tail = rest.join(".");
    }
    const pointer = seen.get(tail.toLowerCase());
    out.push(...(pointer === undefined ? [0] : [0xc0 | (pointer >> 8), pointer & 0xff]));
  }
  return names.length ? Uint8Array.from(out) : undefined;
}

/** Classless routes: prefix length, the destination's significant bytes, router (RFC 3442). */
function routes(parts: readonly string[]): Uint8Array | undefined {
  if (parts.length === 0 || parts.length % 2) return undefined;
  const out: number[] = [];
  for (let i = 0; i < parts.length; i += 2) {
    const destination = Cidr.tryParse(parts[i] ?? "");
    const router = address(parts[i + 1] ?? "");
    if (destination?.family !== 4 || !router) return undefined;
    const significant = destination.first.bytes.subarray(0, Math.ceil(destination.prefix / 8));
    out.push(destination.prefix, ...significant, ...router);
  }
  return Uint8Array.from(out);
}

function words(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== "");
}

/** The encodings of all parts, one after the other; undefined where there is no part, or one is invalid. */
function each(
  parts: readonly string[],
  encode: (part: string) => Uint8Array | undefined,
): Uint8Array | undefined {
  const out: number[] = [];
  for (const part of parts) {
    const bytes = encode(part);
    if (!bytes) return undefined;
    out.push(...bytes);
  }
  return out.length ? Uint8Array.from(out) : undefined;
}

function address(text: string): Uint8Array | undefined {
  const ip = Ip.tryParse(text);
  return ip?.family === 4 ? ip.bytes : undefined;
}

function plainText(text: string): Uint8Array | undefined {
  return /^\P{Cc}+$/u.test(text) ? new TextEncoder().encode(text) : undefined;
}

function flag(text: string): Uint8Array | undefined {
  const value = { true: 1, yes: 1, on: 1, "1": 1, false: 0, no: 0, off: 0, "0": 0 }[text.toLowerCase()];
  return value === undefined ? undefined : Uint8Array.of(value);
}

function integer(text: string, size: 1 | 2 | 4, lowest: number, highest: number): Uint8Array | undefined {
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || value < lowest || value > highest) return undefined;
  return Uint8Array.from({ length: size }, (_, i) => (value >> (8 * (size - 1 - i))) & 0xff);
}
