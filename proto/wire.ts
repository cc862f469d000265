/**
 * The protobuf wire format for the messages of nex.proto, read and written by the table in descriptor.ts.
 *
 * proto-loader does the same, and costs a program of 130 ms 30 ms of its start.
 * https://protobuf.dev/programming-guides/encoding/
 */
import { Buffer } from "node:buffer";
import { fields } from "./descriptor.ts";

/** A field: its number, name, type (a scalar's, or a message's name), and whether it is repeated. */
export type Field = readonly [number: number, name: string, type: string, repeated: boolean];

type Message = Readonly<Record<string, unknown>>;

interface MessageType {
  readonly byNumber: ReadonlyMap<number, FieldType>;
  /** What a message holds where nothing was sent; lists are made anew for each. */
  readonly scalars: Message;
  readonly lists: readonly string[];
}

interface FieldType {
  readonly name: string;
  readonly tag: number;
  readonly scalar: Scalar | undefined;
  readonly message: string;
  readonly repeated: boolean;
}

interface Scalar {
  readonly empty: string | number | boolean;
  write(out: Writer, value: unknown): void;
  read(from: Reader): string | number | boolean;
}

const otherVersion = "the client has another version of this API";
const VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5;
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

const scalars: Readonly<Record<string, Scalar>> = {
  string: {
    empty: "",
    write: (out, value) => out.text(String(value)),
    read: (from) => utf8.decode(from.bytes()),
  },
  bool: { empty: false, write: (out) => out.varint(1), read: (from) => from.varint() !== 0n },
  int32: { empty: 0, write: integer, read: (from) => Number(BigInt.asIntN(32, from.varint())) },
  int64: { empty: 0, write: integer, read: (from) => Number(BigInt.asIntN(64, from.varint())) },
  uint64: { empty: 0, write: integer, read: (from) => Number(BigInt.asUintN(64, from.varint())) },
};

/** Messages of requests in which, at any depth, nothing may be unknown. */
const exactTypes: ReadonlySet<string> = new Set(["Network", "NetworkUpdateRequest"]);

const types = new Map(Object.entries(fields).map(([name, fields]) => [name, messageType(fields)]));

function messageType(fields: readonly Field[]): MessageType {
  const empty: Record<string, unknown> = {};
  const byNumber = new Map<number, FieldType>();
  for (const [number, name, type, repeated] of fields) {
    const scalar = scalars[type];
    const wireType = scalar && type !== "string" ? VARINT : LENGTH;
    byNumber.set(number, { name, tag: number * 8 + wireType, scalar, message: type, repeated });
    if (!repeated) empty[name] = scalar ? scalar.empty : null;
  }
  const lists = fields.filter(([, , , repeated]) => repeated).map(([, name]) => name);
  return { byNumber, scalars: empty, lists };
}

/** The bytes of a message of nex.proto; what is undefined, null or the type's default is left out. */
export function encode(type: string, message: object): Buffer {
  const out = new Writer();
  writeMessage(out, type, message as Message);
  return out.finish();
}

/** The message in these bytes, with every field of types.ts; throws on bytes that are no message. */
export function decode(type: string, bytes: Uint8Array): object {
  return readMessage(new Reader(bytes), type, false);
}

/**
 * The same for a request, whose networks and updates must have no field that is not known: one that is left unread is
 * a change that is not made, or another one. It may come from a client with other numbers.
 */
export function decodeRequest(type: string, bytes: Uint8Array): object {
  return readMessage(new Reader(bytes), type, true);
}

function writeMessage(out: Writer, type: string, message: Message): void {
  for (const field of typeOf(type).byNumber.values()) {
    const value = message[field.name];
    if (value === undefined || value === null || value === field.scalar?.empty) continue;
    if (field.repeated) { for (const item of value as Iterable<unknown>) writeField(out, field, item); }
    else writeField(out, field, value);
  }
}

function writeField(out: Writer, { tag, scalar, message }: FieldType, value: unknown): void {
  out.varint(tag);
  if (scalar) scalar.write(out, value);
  else out.lengthOf(() => writeMessage(out, message, value as Message));
}

/** @param request True: what is unknown in {@link exactTypes} is refused. @param exact True inside of these. */
function readMessage(
  from: Reader,
  type: string,
  request: boolean,
  exact = request && exactTypes.has(type),
): object {
  const { byNumber, scalars, lists } = typeOf(type);
  const message: Record<string, unknown> = { ...scalars };
  for (const name of lists) message[name] = [];
  while (!from.ended) {
    const tag = from.small();
    const number = Math.floor(tag / 8), field = byNumber.get(number);
    if (!field || field.tag !== tag) {
      if (exact) throw field ? notExactly(type, number, field) : notKnown(type, number);
      from.skip(tag % 8);
      continue;
    }
    let value: unknown;
    if (field.scalar) value = field.scalar.read(from);
    else {
      const inner = from.bytes();
      try {
        value = readMessage(new Reader(inner), field.message, request, exact || undefined);
      } catch (error) {
        throw exact ? notExactly(type, number, field) : error;
      }
    }
    if (field.repeated) (message[field.name] as unknown[]).push(value);
    else message[field.name] = value;
  }
  return message;
}

function notKnown(type: string, number: number): Error {
  return new Error(`${type}: field ${number} is not known here; ${otherVersion}`);
}

function notExactly(type: string, number: number, { name, scalar, message }: FieldType): Error {
  const wanted = scalar
    ? message
    : `${message} (${[...typeOf(message).byNumber.values()].map((f) => f.name).join(", ")})`;
  const article = /^[aio]/i.test(wanted) ? "an" : "a";
  return new Error(`${type}: field ${number} (${name}) is not exactly ${article} ${wanted}; ${otherVersion}`);
}

function typeOf(name: string): MessageType {
  const type = types.get(name);
  if (!type) throw new Error(`nex.proto has no message ${name}`);
  return type;
}

function integer(out: Writer, value: unknown): void {
  const number = Number(value);
  if (!Number.isInteger(number)) throw new RangeError(`${value} is not a whole number`);
  out.varint(number);
}

class Writer {
  #bytes = Buffer.allocUnsafe(512);
  #length = 0;

  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + count));
    larger.set(this.finish());
    this.#bytes = larger;
  }

  varint(value: number): void {
    this.#reserve(10);
    if (value >= 0 && value < 0x80000000) {
      for (; value > 127; value >>>= 7) this.#bytes[this.#length++] = value & 127 | 128;
      this.#bytes[this.#length++] = value;
      return;
    }
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 127n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 127n) | 128;
    this.#bytes[this.#length++] = Number(rest);
  }

  text(text: string): void {
    this.#reserve(text.length * 3 + 10);
    this.lengthOf(() => {
      this.#length += encoder.encodeInto(text, this.#bytes.subarray(this.#length)).written;
    });
  }

  /** Writes the length of what `write` writes, and then that. */
  lengthOf(write: () => void): void {
    this.#reserve(1);
    const start = this.#length++;
    write();
    const length = this.#length - start - 1;
    if (length < 128) {
      this.#bytes[start] = length;
      return;
    }
    // The one byte kept for the length is not enough.
    const size = Math.ceil((32 - Math.clz32(length)) / 7);
    this.#reserve(size);
    this.#bytes.copyWithin(start + size, start + 1, this.#length);
    this.#length = start;
    this.varint(length);
    this.#length += length;
  }
}

class Reader {
  #at = 0;
  constructor(readonly all: Uint8Array) {}

  get ended(): boolean {
    return this.#at >= this.all.length;
  }

  varint(): bigint {
    let low = 0, value = 0n;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.all[this.#at++];
      if (byte === undefined) break;
      if (shift < 28) low |= (byte & 127) << shift;
      else value |= BigInt(byte & 127) << BigInt(shift);
      if (byte < 128) return value | BigInt(low);
    }
    throw new Error("a number without an end");
  }

  /** A tag or a length: mostly one byte. */
  small(): number {
    const first = this.all[this.#at] ?? 128;
    if (first > 127) return Number(this.varint());
    this.#at++;
    return first;
  }

  bytes(): Uint8Array {
    return this.#take(this.small());
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.varint();
    else if (wireType === FIXED64) this.#take(8);
    else if (wireType === LENGTH) this.bytes();
    else if (wireType === FIXED32) this.#take(4);
    else throw new Error(`wire type ${wireType} is not used by proto3`);
  }

  #take(length: number): Uint8Array {
    const end = this.#at + length;
    if (end > this.all.length) throw new Error("a field is longer than its message");
    const taken = this.all.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }
}
