/** Encodes DHCP messages (RFC 2131 §2) into a buffer: the fixed fields, and options with overloading (RFC 2132 §9.3). */
import { write16, write32 } from "../common/bytes.ts";
import { MAGIC_COOKIE, Opt, OPTIONS_AT } from "./numbers.ts";

/** The fixed fields of a message (RFC 2131 §2); addresses are 32-bit values. */
export interface DhcpHeader {
  op: number;
  htype: number;
  hlen: number;
  xid: number;
  secs: number;
  flags: number;
  ciaddr: number;
  yiaddr: number;
  siaddr: number;
  giaddr: number;
  /** Up to 16 bytes. */
  chaddr: Uint8Array;
  /** The values of options 66 and 67, which are put into BOOTP's sname and file as well when these fields are free. */
  sname?: Uint8Array | undefined;
  file?: Uint8Array | undefined;
}

/** Options in the order in which they are to be sent; one list is reused for message after message. */
export class OptionList {
  length = 0;
  /** Their encoded length, without END. */
  size = 0;
  readonly #numbers: number[] = [];
  readonly #values: Uint8Array[] = [];

  clear(): void {
    this.length = this.size = 0;
  }

  add(number: number, value: Uint8Array): void {
    this.#numbers[this.length] = number;
    this.#values[this.length++] = value;
    this.size += encodedSize(value.length);
  }

  number(i: number): number {
    return this.#numbers[i] ?? 0;
  }

  value(i: number): Uint8Array {
    return this.#values[i] ?? nothing;
  }

  has(number: number): boolean {
    for (let i = 0; i < this.length; i++) if (this.#numbers[i] === number) return true;
    return false;
  }
}

const nothing = new Uint8Array(0);
/** The least length of a message: BOOTP's (RFC 1542 §2.1). */
const LEAST = 300;
const SNAME_AT = 44;
const FILE_AT = 108;
const COOKIE_AT = OPTIONS_AT - 4;

/**
 * Writes a message to `out` from `at`, of at most `limit` bytes (300 or more), and returns its length.
 * Options that do not fit go to `file` and `sname` (option 52); what fits nowhere is left out, so the
 * indispensable come first in `options`. Option 82 is written last of all (RFC 3046 §2.2).
 */
export function encode(
  out: Uint8Array,
  at: number,
  header: DhcpHeader,
  options: OptionList,
  limit: number,
): number {
  writeHeader(out, at, header);
  let end: number;
  if (OPTIONS_AT + options.size + 1 <= limit) {
    writeText(out, at + SNAME_AT, header.sname, 64);
    writeText(out, at + FILE_AT, header.file, 128);
    end = at + OPTIONS_AT;
    for (let i = 0; i < options.length; i++) {
      if (options.number(i) !== Opt.relayAgent) {
        end = writeOption(out, end, options.number(i), options.value(i));
      }
    }
    for (let i = 0; i < options.length; i++) {
      if (options.number(i) === Opt.relayAgent) end = writeOption(out, end, Opt.relayAgent, options.value(i));
    }
  } else {
    end = writeOverloaded(out, at, options, limit);
  }
  out[end++] = Opt.end;
  if (end < at + LEAST) {
    out.fill(0, end, at + LEAST);
    end = at + LEAST;
  }
  return end - at;
}

function writeHeader(out: Uint8Array, at: number, header: DhcpHeader): void {
  out.fill(0, at, at + OPTIONS_AT);
  out[at] = header.op;
  out[at + 1] = header.htype;
  out[at + 2] = header.hlen;
  write32(out, at + 4, header.xid);
  write16(out, at + 8, header.secs);
  write16(out, at + 10, header.flags);
  write32(out, at + 12, header.ciaddr);
  write32(out, at + 16, header.yiaddr);
  write32(out, at + 20, header.siaddr);
  write32(out, at + 24, header.giaddr);
  for (let i = 0; i < 16 && i < header.chaddr.length; i++) out[at + 28 + i] = header.chaddr[i] ?? 0;
  write32(out, at + COOKIE_AT, MAGIC_COOKIE);
}

/** One of the three fields that options can be in. */
interface Field {
  next: number;
  readonly end: number;
  readonly start: number;
}

/** Spreads the options over three fields; returns where END goes in the first. */
function writeOverloaded(out: Uint8Array, at: number, options: OptionList, limit: number): number {
  let relay: Uint8Array | undefined;
  for (let i = 0; i < options.length; i++) if (options.number(i) === Opt.relayAgent) relay = options.value(i);
  const kept = 1 + 3 + (relay ? encodedSize(relay.length) : 0); // END, option 52, option 82
  // An option 82 that does not fit is not echoed at all.
  if (relay && OPTIONS_AT + kept + 64 > limit) relay = undefined;
  const room = limit - (relay ? kept : 4);
  const field = (from: number, to: number): Field => ({ start: at + from, next: at + from, end: at + to });
  const fields = [field(OPTIONS_AT, room), field(FILE_AT, COOKIE_AT - 1), field(SNAME_AT, FILE_AT - 1)];
  for (let i = 0; i < options.length; i++) {
    if (options.number(i) !== Opt.relayAgent) place(out, fields, options.number(i), options.value(i));
  }
  const [main, file, sname] = fields as [Field, Field, Field];
  const used = (file.next > file.start ? 1 : 0) | (sname.next > sname.start ? 2 : 0);
  if (used & 1) out[file.next] = Opt.end;
  if (used & 2) out[sname.next] = Opt.end;
  let end = main.next;
  if (used) end = writeOption(out, end, Opt.overload, Uint8Array.of(used));
  return relay ? writeOption(out, end, Opt.relayAgent, relay) : end;
}

/** Puts an option into the first field with room for it; a long one may spread over them (RFC 3396 §5). */
function place(out: Uint8Array, fields: readonly Field[], number: number, value: Uint8Array): void {
  for (const field of fields) {
    if (field.next + encodedSize(value.length) > field.end) continue;
    field.next = writeOption(out, field.next, number, value);
    return;
  }
  if (value.length <= 255) return;
  const room = (field: Field) => longestIn(field.end - field.next);
  if (fields.reduce((sum, field) => sum + room(field), 0) < value.length) return;
  let done = 0;
  for (const field of fields) {
    const part = value.subarray(done, done + room(field));
    if (part.length) field.next = writeOption(out, field.next, number, part);
    done += part.length;
  }
}

/** The encoded length of a value of this length: in pieces of at most 255 bytes, each after two bytes (RFC 3396). */
function encodedSize(length: number): number {
  return length + 2 * Math.max(1, Math.ceil(length / 255));
}

/** The longest value whose encoding fits into `room` bytes. */
function longestIn(room: number): number {
  let length = Math.max(0, room - 2);
  while (length > 0 && encodedSize(length) > room) length--;
  return length;
}

function writeOption(out: Uint8Array, at: number, number: number, value: Uint8Array): number {
  let from = 0;
  do {
    const length = Math.min(255, value.length - from);
    out[at++] = number;
    out[at++] = length;
    // For the few bytes that most options have, a loop is faster than set().
    for (let i = 0; i < length; i++) out[at++] = value[from + i] ?? 0;
    from += length;
  } while (from < value.length);
  return at;
}

/** Text with a zero after it, when both fit. */
function writeText(out: Uint8Array, at: number, text: Uint8Array | undefined, room: number): void {
  if (text && text.length < room) out.set(text, at);
}
