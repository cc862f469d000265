import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { loadSync, type MessageTypeDefinition } from "@grpc/proto-loader";
import { forAll } from "../tests/lab/property.ts";
import { type Codec, encode as encodeWith } from "./codec.ts";
import { fields } from "./gen/descriptor.ts";
import * as nex from "./gen/nex.ts";
import { decodeRequest as decodeRequestWith } from "./request_check.ts";

const codecs = nex as unknown as Record<string, Codec>;
const codecOf = (type: string): Codec => codecs[type] ?? assert.fail(`nex.proto has no message ${type}`);
const encode = (type: string, message: object) => encodeWith(codecOf(type), message);
const decode = (type: string, bytes: Uint8Array): object => codecOf(type).decode(bytes);
const decodeRequest = (type: string, bytes: Uint8Array): object => decodeRequestWith(codecOf(type), bytes);

const definition = loadSync(`${import.meta.dirname}/nex.proto`, { defaults: true, longs: Number });
const reference = (type: string) => definition[`nex.${type}`] as MessageTypeDefinition<object, object>;
const wrapper = /Value$/;
const plain = (message: object): unknown => JSON.parse(JSON.stringify(message));

const texts = ["", "a", "10.0.0.1", "ü€😀", "x".repeat(127), "x".repeat(128), "é".repeat(9000), "\ufeffa"];
const numbers: Record<string, number[]> = {
  int32: [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 300],
  uint32: [0, 1, 127, 128, 2 ** 31, 2 ** 32 - 1],
  int64: [0, 1, -1, 2 ** 31, 2 ** 53 - 1, -(2 ** 53) + 1],
  uint64: [0, 1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 53 - 1],
};

function sample(type: string, below: (n: number) => number): unknown {
  if (wrapper.test(type)) return sample(fields[type]?.[0]?.[2] ?? "", below);
  if (type === "string") return texts[below(texts.length)];
  if (type === "bool") return below(2) === 1;
  const values = numbers[type];
  if (values) return values[below(values.length)];
  const message: Record<string, unknown> = {};
  for (const [, name, inner, repeated] of fields[type] ?? []) {
    if (below(4) === 0) continue;
    message[name] = repeated
      ? Array.from({ length: below(4) }, () => sample(inner, below))
      : sample(inner, below);
  }
  return message;
}

/** The same message as proto-loader wants it, which does not unwrap google.protobuf's wrappers. */
function wrapped(type: string, message: unknown): unknown {
  if (wrapper.test(type)) return message === null ? null : { value: message };
  if (message === null || !(type in fields)) return message;
  const entries = Object.entries(message as object).map(([name, value]) => {
    const [, , inner = "", repeated] = fields[type]?.find(([, known]) => known === name) ?? [];
    return [name, repeated ? value.map((item: unknown) => wrapped(inner, item)) : wrapped(inner, value)];
  });
  return Object.fromEntries(entries);
}

const messages = Object.keys(fields).filter((type) => `nex.${type}` in definition);

Deno.test("encode() and decode() agree with proto-loader on every message", () => {
  for (const type of messages) {
    forAll({ runs: 15, choices: 200, seed: 1 }, (below) => {
      const message = sample(type, below) as object;
      const bytes = encode(type, message);
      const theirs = reference(type).serialize(wrapped(type, message) as object);
      const read = (bytes: Buffer) => plain(reference(type).deserialize(bytes));
      assert.deepEqual(wrapped(type, decode(type, theirs)), read(theirs), type);
      assert.deepEqual(decode(type, bytes), decode(type, theirs), type);
      assert.deepEqual(decodeRequest(type, bytes), decode(type, theirs), type);
      assert.deepEqual(read(bytes), wrapped(type, decode(type, bytes)), type);
    });
  }
});

Deno.test("decode() skips fields that it does not know, and known numbers of another wire type", () => {
  // Field 99 as each wire type, then field 1 (a string) as a varint, then name = "a".
  const unknown = "98060a" + "9906" + "00".repeat(8) + "9a0602ffff" + "9d06" + "00".repeat(4) + "0805" +
    "0a0161";
  assert.deepEqual(decode("GetNetworkRequest", Buffer.from(unknown, "hex")), { name: "a" });
});

/** Bytes that are no message of their type, as each of the two readers must say. */
const malformed: [type: string, what: string, bytes: string][] = [
  ["GetNetworkRequest", "a tag alone", "0a"],
  ["GetNetworkRequest", "a text without its bytes", "0a05"],
  ["GetNetworkRequest", "a text that ends early", "0a0561"],
  ["GetNetworkRequest", "a length that ends early", "0aff"],
  ["GetNetworkRequest", "a tag without an end", "ff".repeat(20)],
  ["GetNetworkRequest", "a group without an end", "0b"],
  ["GetNetworkRequest", "a length of 2^64 - 1", "0affffffffffffffffff01"],
  ["GetNetworkRequest", "the end of a group that has not begun", "0c"],
  ["GetNetworkRequest", "wire type 6", "0e00"],
  ["GetNetworkRequest", "field 0", "00000a0161"],
  ["GetNetworkRequest", "field 0 with another wire type", "0200"],
  ["GetNetworkRequest", "an unknown number without an end", "98" + "06" + "ff".repeat(12)],
  ["MemberList", "a member that is longer than the list", "120a0a0161"],
  ["MemberList", "a member's MAC that reaches into the list", "12020a036161180118011801"],
  ["MemberList", "a member's unknown field that reaches into the list", "12039a0602180118011801"],
  ["MemberList", "a member that ends within a tag", "1201a00101"],
];
for (const [type, what, written] of malformed) {
  Deno.test(`${what} is refused in a request and in a response`, () => {
    for (const read of [decode, decodeRequest]) {
      assert.throws(() => read(type, Buffer.from(written, "hex")), Error, `${read.name} ${written}`);
    }
  });
}

Deno.test("a number that JavaScript does not hold exactly is refused, in a request with its field", () => {
  const past = "70" + "81808080808080" + "10"; // leaseDuration: 2^53 + 1
  assert.throws(() => nex.Network.decode(Buffer.from(past, "hex")), /larger than/);
  assert.throws(
    () => decodeRequest("Network", Buffer.from(past, "hex")),
    /^Error: Network: field 14 \(leaseDuration\) is 9007199254740993: at most 9007199254740991 is taken$/,
  );
});

Deno.test("decode() of mutated bytes gives a message or an Error", () => {
  forAll({ runs: 500, choices: 300, seed: 2 }, (below) => {
    const bytes = encode("ApplyRequest", sample("ApplyRequest", below) as object);
    const mutated = Buffer.from(bytes.subarray(0, below(8) ? bytes.length : below(bytes.length)));
    for (let n = below(5); n >= 0; n--) mutated[below(mutated.length || 1)] = below(256);
    for (const read of [decode, decodeRequest]) {
      try {
        read("ApplyRequest", mutated);
      } catch (error) {
        assert.ok(error instanceof Error && !(error instanceof TypeError), String(error));
      }
    }
  });
});

Deno.test("encode() refuses a number that is not whole, or more than its field holds", () => {
  assert.throws(() => encode("Option", { number: 1.5 }), /invalid int32: 1\.5/);
  assert.throws(() => encode("Option", { number: 2 ** 31 }), /invalid int32: 2147483648/);
  assert.throws(() => encode("Network", { leaseDuration: 1.5 }), RangeError);
  assert.throws(() => encode("Network", { leaseDuration: -1 }), /invalid uint64: -1/);
});
