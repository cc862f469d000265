/** Encodes and decodes netlink messages (netlink(7), RFC 3549 §2): a header, a fixed part, then attributes. */

export const NLM_F_REQUEST = 1, NLM_F_MULTI = 2, NLM_F_ACK = 4, NLM_F_DUMP_INTR = 0x10, NLM_F_DUMP = 0x300;
export const NLM_F_REPLACE = 0x100, NLM_F_EXCL = 0x200, NLM_F_CREATE = 0x400, NLM_F_ACK_TLVS = 0x200;
export const NLMSG_ERROR = 2, NLMSG_DONE = 3, NLMSG_OVERRUN = 4;

/** Octets of struct nlmsghdr {u32 length, u16 type, u16 flags, u32 seq, u32 pid}. */
export const HEADER = 16;
const ATTRIBUTE = 4, NESTED = 0x8000;
/** The bits of an attribute's type without flags. */
export const TYPE_MASK = 0x3fff;

/** An attribute: its type, and its octets or nested attributes. Undefined ones are omitted. */
export type Attribute = readonly [type: number, payload: Uint8Array | readonly (Attribute | undefined)[]];

/** Rounds a length up to the alignment of messages and attributes. */
export function aligned(length: number): number {
  return (length + 3) & ~3;
}

/** A whole message, with NLM_F_REQUEST; its sequence number is set when it is sent. */
export function encodeMessage(
  type: number,
  flags: number,
  fixed: Uint8Array,
  attributes: readonly (Attribute | undefined)[] = [],
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEADER + aligned(fixed.length) + sizeOf(attributes));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags | NLM_F_REQUEST, true);
  bytes.set(fixed, HEADER);
  encodeAttributes(bytes, view, HEADER + aligned(fixed.length), attributes);
  return bytes;
}

function sizeOf(attributes: readonly (Attribute | undefined)[]): number {
  let size = 0;
  for (const attribute of attributes) if (attribute) size += ATTRIBUTE + aligned(payloadSize(attribute));
  return size;
}

function payloadSize([, payload]: Attribute): number {
  return payload instanceof Uint8Array ? payload.length : sizeOf(payload);
}

function encodeAttributes(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  attributes: readonly (Attribute | undefined)[],
): void {
  for (const attribute of attributes) {
    if (!attribute) continue;
    const [type, payload] = attribute, length = ATTRIBUTE + payloadSize(attribute);
    view.setUint16(at, length, true);
    if (payload instanceof Uint8Array) {
      view.setUint16(at + 2, type, true);
      bytes.set(payload, at + ATTRIBUTE);
    } else {
      view.setUint16(at + 2, type | NESTED, true);
      encodeAttributes(bytes, view, at + ATTRIBUTE, payload);
    }
    at += aligned(length);
  }
}

/** A value of 8 bits. */
export function u8(value: number | boolean): Uint8Array {
  return Uint8Array.of(Number(value));
}

/** A port: 16 bits in network order. */
export function be16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value);
}

/** A value of 32 bits in this host's order, which is little-endian on every host that this runs on. */
export function u32(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

/** A value of 64 bits in network order. */
export function be64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

/** A text with the NUL that ends it. */
export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value + "\0");
}

/**
 * The attributes between two offsets, by type; of one that comes twice, the last.
 * @param only The types to read, where the kernel tells many more.
 */
export function readAttributes(
  view: DataView,
  from: number,
  to: number,
  only?: ReadonlySet<number>,
): Map<number, DataView> {
  const found = new Map<number, DataView>();
  while (to - from >= ATTRIBUTE) {
    const length = view.getUint16(from, true);
    if (length < ATTRIBUTE || length > to - from) break;
    const type = view.getUint16(from + 2, true) & TYPE_MASK;
    if (!only || only.has(type)) {
      found.set(type, new DataView(view.buffer, view.byteOffset + from + ATTRIBUTE, length - ATTRIBUTE));
    }
    from += aligned(length);
  }
  return found;
}

/** The attributes in an attribute. @param only As in {@link readAttributes}. */
export function readNested(view: DataView | undefined, only?: ReadonlySet<number>): Map<number, DataView> {
  return view ? readAttributes(view, 0, view.byteLength, only) : new Map();
}

/** The attributes in an attribute that is a list, in order and without their types. */
export function readList(view: DataView | undefined): DataView[] {
  const list: DataView[] = [];
  for (let from = 0; view && view.byteLength - from >= ATTRIBUTE;) {
    const length = view.getUint16(from, true);
    if (length < ATTRIBUTE || length > view.byteLength - from) break;
    list.push(new DataView(view.buffer, view.byteOffset + from + ATTRIBUTE, length - ATTRIBUTE));
    from += aligned(length);
  }
  return list;
}

/** A copy of an attribute's octets; empty when there is none. */
export function readOctets(view: DataView | undefined): Uint8Array<ArrayBuffer> {
  return view
    ? new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength).slice()
    : new Uint8Array();
}

const decoder = new TextDecoder();

/** An attribute's text, up to its NUL. */
export function readText(view: DataView | undefined): string {
  const octets = readOctets(view), nul = octets.indexOf(0), text = nul < 0 ? octets : octets.subarray(0, nul);
  // Nearly all are short and of ASCII, which a decoder takes many times as long for.
  return text.length <= 32 && text.every((octet) => octet < 0x80)
    ? String.fromCharCode(...text)
    : decoder.decode(text);
}
