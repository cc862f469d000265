/** IPv4 and IPv6 addresses, prefixes and ranges, as values that are parsed, compared and counted with. */
import { invalid } from "./refusal.ts";

/** Address family: 4 or 6. */
export type Family = 4 | 6;

/** An IPv4 or IPv6 address, never changed once made. */
export class Ip {
  /** The 32-bit value of an IPv4 address, since an array for each would cost most of what is done with it; else the 16 bytes. */
  private readonly content: number | Uint8Array;

  /** @param content Its 4 or 16 bytes; for IPv4 the 32-bit value will do. */
  constructor(readonly family: Family, content: number | Uint8Array) {
    this.content = family === 4 && typeof content !== "number" ? valueOf4(content) : content;
  }

  /** Reads `10.0.0.1` or `2001:db8::1` (RFC 4291 §2.2); undefined when it is neither. */
  static tryParse(text: string): Ip | undefined {
    if (!text.includes(":")) {
      const value = value4(text);
      return value < 0 ? undefined : new Ip(4, value);
    }
    const bytes = parse6(text);
    return bytes && new Ip(6, bytes);
  }

  /** The address family of a text that {@link tryParse} reads; undefined when it does not. */
  static familyOf(text: string): Family | undefined {
    if (!text.includes(":")) return value4(text) < 0 ? undefined : 4;
    return parse6(text) && 6;
  }

  /** Reads an address; a refusal names `field` and the value when it is none. */
  static parse(text: string, field = "address"): Ip {
    const ip = Ip.tryParse(text);
    if (!ip) throw invalid(`${field}: "${text}" is not an IP address, like 10.0.0.1 or 2001:db8::1`);
    return ip;
  }

  /** An IPv4 address from its 32-bit value. */
  static from4(value: number): Ip {
    return new Ip(4, value >>> 0);
  }

  /** Its 4 or 16 bytes. */
  get bytes(): Uint8Array {
    return typeof this.content === "number" ? bytes4(this.content) : this.content;
  }

  /** The 32-bit value of an IPv4 address, for the hot paths. */
  get u32(): number {
    return typeof this.content === "number" ? this.content : valueOf4(this.content);
  }

  /** The address as one whole number of 32 or 128 bits. */
  get value(): bigint {
    const { content } = this;
    return typeof content === "number"
      ? BigInt(content)
      : content.reduce((n, b) => (n << 8n) | BigInt(b), 0n);
  }

  /** The address `n` further on, or undefined past either end of the family. */
  plus(n: number | bigint): Ip | undefined {
    const value = this.value + BigInt(n);
    if (value < 0n || value >> BigInt(bitsOf(this.family))) return undefined;
    return fromValue(this.family, value);
  }

  /** Below 0, 0 or above 0: this address before, same as or after `other`; IPv4 before IPv6. */
  compare(other: Ip): number {
    if (this.family !== other.family) return this.family - other.family;
    if (this.family === 4) return this.u32 - other.u32;
    const { bytes } = this, others = other.bytes;
    for (let i = 0; i < bytes.length; i++) {
      const difference = (bytes[i] ?? 0) - (others[i] ?? 0);
      if (difference) return difference;
    }
    return 0;
  }

  equals(other: Ip): boolean {
    return this.compare(other) === 0;
  }

  /** The text form: dotted quad, or RFC 5952 for IPv6. */
  toString(): string {
    const { content: value } = this;
    if (typeof value !== "number") return format6(value);
    return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
  }
}

function bitsOf(family: Family): number {
  return family === 4 ? 32 : 128;
}

/** The address of `family` whose bits are `value`. */
function fromValue(family: Family, value: bigint): Ip {
  if (family === 4) return Ip.from4(Number(value));
  const bytes = new Uint8Array(16);
  for (let i = bytes.length - 1; i >= 0; i--, value >>= 8n) bytes[i] = Number(value & 255n);
  return new Ip(family, bytes);
}

/** A network: base address (host bits kept as given) and prefix length. */
export class Cidr {
  private constructor(readonly address: Ip, readonly prefix: number) {}

  /** Reads `10.0.0.0/24`; undefined when it is no CIDR. */
  static tryParse(text: string): Cidr | undefined {
    const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
    const ip = match?.[1] === undefined ? undefined : Ip.tryParse(match[1]);
    const prefix = Number(match?.[2]);
    return ip && prefix <= bitsOf(ip.family) ? new Cidr(ip, prefix) : undefined;
  }

  /** Reads a CIDR; a refusal names `field` and the value when it is none. */
  static parse(text: string, field = "subnet"): Cidr {
    const cidr = Cidr.tryParse(text);
    if (!cidr) throw invalid(`${field}: "${text}" is not a CIDR, like 10.0.0.0/24`);
    return cidr;
  }

  get family(): Family {
    return this.address.family;
  }

  private get hostBits(): bigint {
    return BigInt(bitsOf(this.family) - this.prefix);
  }

  /** The network without host bits: its one canonical form. */
  get masked(): Cidr {
    return new Cidr(this.first, this.prefix);
  }

  /** The lowest address: all host bits zero. */
  get first(): Ip {
    return fromValue(this.family, (this.address.value >> this.hostBits) << this.hostBits);
  }

  /** The highest address: all host bits one (IPv4: the broadcast address). */
  get last(): Ip {
    return fromValue(this.family, this.address.value | ((1n << this.hostBits) - 1n));
  }

  /** How many addresses it spans, network and broadcast included. */
  get size(): bigint {
    return 1n << this.hostBits;
  }

  contains(ip: Ip): boolean {
    if (ip.family !== this.family) return false;
    // A number is not shifted by 32 bits.
    if (ip.family === 4) return this.prefix === 0 || (ip.u32 ^ this.address.u32) >>> (32 - this.prefix) === 0;
    const whole = this.prefix >> 3, rest = this.prefix & 7;
    const { bytes } = ip, own = this.address.bytes;
    const differs = (i: number) => (bytes[i] ?? 0) ^ (own[i] ?? 0);
    for (let i = 0; i < whole; i++) if (differs(i)) return false;
    return rest === 0 || differs(whole) >> (8 - rest) === 0;
  }

  overlaps(other: Cidr): boolean {
    return this.prefix <= other.prefix ? this.contains(other.address) : other.contains(this.address);
  }

  /** True for an IPv4 subnet's network or broadcast address (/31 and /32 have neither, RFC 3021). */
  reserved(ip: Ip): boolean {
    return this.family === 4 && this.prefix < 31 && (ip.equals(this.first) || ip.equals(this.last));
  }

  toString(): string {
    return `${this.address}/${this.prefix}`;
  }
}

/** The 32-bit value, or -1: none. Character by character, and without an array, since every packet and record passes here. */
function value4(text: string): number {
  let whole = 0, parts = 0, value = 0, digits = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i), digit = code - 48;
    if (digit >= 0 && digit <= 9) {
      // A leading zero is refused: some readers take it for octal.
      if (digits > 0 && value === 0) return -1;
      value = value * 10 + digit;
      digits++;
      if (value > 255) return -1;
    } else {
      if (code !== 46 || digits === 0 || ++parts > 3) return -1;
      whole = whole * 256 + value;
      value = digits = 0;
    }
  }
  return parts === 3 && digits > 0 ? whole * 256 + value : -1;
}

function bytes4(value: number): Uint8Array {
  // Uint8Array.of() takes ten times as long, and an agent with a thousand networks reads a hundred
  // thousand addresses when it starts.
  const bytes = new Uint8Array(4);
  bytes[0] = value >>> 24;
  bytes[1] = value >>> 16;
  bytes[2] = value >>> 8;
  bytes[3] = value;
  return bytes;
}

function valueOf4(bytes: Uint8Array): number {
  return (((bytes[0] ?? 0) << 24) | ((bytes[1] ?? 0) << 16) | ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0)) >>> 0;
}

function parse6(text: string): Uint8Array | undefined {
  let head = text;
  const tail: number[] = [];
  const embedded = text.includes(".") ? text.lastIndexOf(":") : -1;
  if (embedded >= 0) {
    const four = value4(text.slice(embedded + 1));
    if (four < 0) return undefined;
    tail.push(four >>> 16, four & 0xffff);
    head = text.slice(0, embedded + 1);
    // "::1.2.3.4" keeps its "::"; "a:1.2.3.4" loses the one colon.
    if (!head.endsWith("::")) head = head.slice(0, -1);
  }
  const halves = head.split("::");
  if (halves.length > 2) return undefined;
  const groups = (half: string | undefined) => half ? half.split(":") : [];
  const left = groups(halves[0]), right = groups(halves[1]);
  if (![...left, ...right].every((g) => /^[0-9a-fA-F]{1,4}$/.test(g))) return undefined;
  const given = left.length + right.length + tail.length;
  if (halves.length === 2 ? given > 7 : given !== 8) return undefined;
  const words = [
    ...left.map((g) => parseInt(g, 16)),
    ...new Array<number>(8 - given).fill(0),
    ...right.map((g) => parseInt(g, 16)),
    ...tail,
  ];
  return Uint8Array.from(words.flatMap((w) => [w >> 8, w & 255]));
}

function format6(bytes: Uint8Array): string {
  const words = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  let best = { start: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && words[end] === 0) end++;
    if (end - i > best.length) best = { start: i, length: end - i };
  }
  const hex = (part: number[]) => part.map((w) => w.toString(16)).join(":");
  if (best.start < 0) return hex(words);
  return `${hex(words.slice(0, best.start))}::${hex(words.slice(best.start + best.length))}`;
}
