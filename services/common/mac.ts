/** Parses and formats MAC addresses, whose stored form is lower-case with colons. */
import { invalid } from "./refusal.ts";

const form = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;

/**
 * Reads a MAC and returns its stored form, lower-case with colons; undefined when `text` is none. Dashes are
 * accepted.
 */
export function tryParseMac(text: string): string | undefined {
  // Nearly all are in stored form already, and each record of a listing is read by this.
  if (form.test(text)) return text;
  const mac = text.toLowerCase().replaceAll("-", ":");
  return form.test(mac) ? mac : undefined;
}

/** The stored form of a MAC; a refusal names `field` and the value when it is none. */
export function parseMac(text: string, field = "mac"): string {
  const mac = tryParseMac(text);
  if (mac === undefined) throw invalid(`${field}: "${text}" is not a MAC address, like 00:00:11:11:00:01`);
  return mac;
}

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Formats the six bytes at `offset` as a MAC. */
export function macFromBytes(bytes: Uint8Array, offset = 0): string {
  const at = (i: number) => hex[bytes[offset + i] ?? 0];
  return `${at(0)}:${at(1)}:${at(2)}:${at(3)}:${at(4)}:${at(5)}`;
}

/** A random MAC of six bytes: locally administered and unicast (IEEE 802-2014 §8.4). */
export function randomMacBytes(): Uint8Array {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  bytes[0] = (bytes[0]! & 0xfc) | 2;
  return bytes;
}

/** The six bytes of a MAC in stored form. */
export function macToBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(":"), (part) => parseInt(part, 16));
}
