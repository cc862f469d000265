/**
 * Checks a request's bytes before they are decoded. Decoders pass over fields that they do not know; in a network or
 * an update a field that is left unread is a change that is not made, or another one: it may come from a client with
 * other numbers.
 */
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { FieldDescriptor } from "./field.ts";
import { fields } from "./gen/descriptor.ts";
import type { MessageFns } from "./gen/nex.ts";

const otherVersion = "the client has another version of this API";

/** Messages in which, at any depth, nothing may be unknown. */
const exactTypes: ReadonlySet<string> = new Set(["Network", "NetworkUpdateRequest"]);

/**
 * The request in these bytes. Throws Error, with the field in it, for bytes that are no such message at every depth, for
 * numbers that would lose digits, and for what is unknown in one of {@link exactTypes}.
 */
export function decodeRequest<T>(codec: MessageFns<T, string>, bytes: Uint8Array): T {
  check(codec.$type.slice("nex.".length), bytes);
  return codec.decode(bytes);
}

/** @param exact true inside of {@link exactTypes} */
function check(type: string, bytes: Uint8Array, exact = exactTypes.has(type)): void {
  const known = fieldsOf(type);
  for (const reader = new BinaryReader(bytes); reader.pos < reader.len;) {
    const [number, wireType] = reader.tag();
    const field = known.find(([known]) => known === number);
    if (field && wireTypeOf(field) === wireType) {
      checkField(type, field, reader, exact);
      continue;
    }
    if (exact) throw field ? notExactly(type, field) : notKnown(type, number);
    if (wireType === WireType.StartGroup) {
      throw new Error(`${type}: field ${number} is a group, which proto3 has none of`);
    }
    reader.skip(wireType, number);
  }
}

function checkField(type: string, field: FieldDescriptor, reader: BinaryReader, exact: boolean): void {
  const [number, name, kind] = field;
  if (kind === "string") reader.bytes();
  else if (isMessage(kind)) {
    const inner = reader.bytes();
    try {
      check(kind, inner, exact || undefined);
    } catch (error) {
      throw exact ? notExactly(type, field) : error;
    }
  } else {
    const value = kind === "uint64" ? reader.uint64() : reader.int64();
    if (/64$/.test(kind) && !Number.isSafeInteger(Number(value))) {
      throw new Error(
        `${type}: field ${number} (${name}) is ${value}: at most ${Number.MAX_SAFE_INTEGER} is taken`,
      );
    }
  }
}

function notKnown(type: string, number: number): Error {
  return new Error(`${type}: field ${number} is not known here; ${otherVersion}`);
}

function notExactly(type: string, [number, name, kind]: FieldDescriptor): Error {
  const wanted = isMessage(kind) ? `${kind} (${fieldsOf(kind).map(([, name]) => name).join(", ")})` : kind;
  const article = /^[aio]/i.test(wanted) ? "an" : "a";
  return new Error(`${type}: field ${number} (${name}) is not exactly ${article} ${wanted}; ${otherVersion}`);
}

function isMessage(kind: string): boolean {
  return kind in fields;
}

function wireTypeOf([, , kind]: FieldDescriptor): WireType {
  return kind === "string" || isMessage(kind) ? WireType.LengthDelimited : WireType.Varint;
}

function fieldsOf(type: string): readonly FieldDescriptor[] {
  const known = fields[type];
  if (!known) throw new Error(`nex.proto has no message ${type}`);
  return known;
}
