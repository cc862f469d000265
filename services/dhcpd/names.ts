/** Reads the client's name from DHCP messages: option 12, and option 81 (RFC 4702) with its answer. */
import type { Message } from "./message.ts";
import { Opt } from "./numbers.ts";

/** Bits of option 81's first byte (RFC 4702 §2.1). */
export const Fqdn = {
  /** The server updates the A record. */
  S: 1,
  /** The server overrides the client's S. */
  O: 2,
  /** The name is in DNS wire format, not in ASCII. */
  E: 4,
  /** The server updates no record. */
  N: 8,
} as const;

/**
 * The name that a client asks for, of which the first label counts: option 81, else option 12. Undefined when it sends
 * neither, or asks for no DNS record.
 */
export function requestedName(message: Pick<Message, "payload">): string | undefined {
  const fqdn = message.payload(Opt.fqdn);
  if (fqdn && fqdn.length > 3) {
    const flags = fqdn[0] ?? 0;
    if (flags & Fqdn.N) return undefined;
    return flags & Fqdn.E ? text(fqdn.subarray(4, 4 + (fqdn[3] ?? 0))) : label(fqdn.subarray(3));
  }
  const hostname = message.payload(Opt.hostname);
  return hostname && label(hostname);
}

/** The option 81 of a reply: the server keeps the A record if the client has a name (RFC 4702 §4). */
export function answerFqdn(option: Uint8Array, name: string | undefined): Uint8Array {
  const flags = option[0] ?? 0;
  const wire = flags & Fqdn.E;
  const override = (name === undefined) === Boolean(flags & Fqdn.S) ? Fqdn.O : 0;
  const kept = wire | override | (name === undefined ? Fqdn.N : Fqdn.S);
  const rest = name === undefined ? option.subarray(3) : wire ? toWire(name) : new TextEncoder().encode(name);
  // RCODE1 and RCODE2 are 255 in every answer.
  return Uint8Array.of(kept, 255, 255, ...rest);
}

/** The name up to its first dot, without the zero byte that some clients end it with. */
function label(bytes: Uint8Array): string | undefined {
  return text(bytes).split(".", 1)[0]?.replace(/\0+$/, "") || undefined;
}

/** Decoded as UTF-8, else as Latin-1. */
function text(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return latin1.decode(bytes);
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true }), latin1 = new TextDecoder("latin1");

function toWire(name: string): number[] {
  return [...name.split(".").flatMap((l) => [l.length, ...new TextEncoder().encode(l)]), 0];
}
