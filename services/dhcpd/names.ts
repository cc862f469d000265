import type { Message } from "./message.ts";
import { Opt } from "./numbers.ts";

/** Bits of option 81's first byte (RFC 4702 §2.1). */
export const Fqdn = {
  /** The server keeps the A record. */
  S: 1,
  /** The server decided otherwise than the client asked. */
  O: 2,
  /** The name is in DNS wire format, not in ASCII. */
  E: 4,
  /** The server keeps no record. */
  N: 8,
} as const;

/**
 * The name that a client asks for, of which the first label counts: option 81, else option 12. Undefined when it
 * gives none, or wants it in no DNS.
 */
export function askedName(message: Message): string | undefined {
  const fqdn = message.payload(Opt.fqdn);
  if (fqdn && fqdn.length > 3) {
    const flags = fqdn[0] ?? 0;
    if (flags & Fqdn.N) return undefined;
    return flags & Fqdn.E ? text(fqdn.subarray(4, 4 + (fqdn[3] ?? 0))) : label(fqdn.subarray(3));
  }
  const hostname = message.payload(Opt.hostname);
  return hostname && label(hostname);
}

/** Option 81's answer, to what the client asked: we keep the A record if there is a name (RFC 4702 §4). */
export function answerFqdn(asked: Uint8Array, name: string | undefined): Uint8Array {
  const flags = asked[0] ?? 0;
  const wire = flags & Fqdn.E;
  const override = (name === undefined) === Boolean(flags & Fqdn.S) ? Fqdn.O : 0;
  const kept = wire | override | (name === undefined ? Fqdn.N : Fqdn.S);
  const rest = name === undefined ? asked.subarray(3) : wire ? toWire(name) : new TextEncoder().encode(name);
  // RCODE1 and RCODE2 are 255 in every answer.
  return Uint8Array.of(kept, 255, 255, ...rest);
}

/** Up to the first dot, without the zero that some clients end it with. */
function label(bytes: Uint8Array): string | undefined {
  return text(bytes).split(".", 1)[0]?.replace(/\0+$/, "") || undefined;
}

/** UTF-8, which names with other letters come in, else one byte a letter. */
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
