import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { loadSync, type MessageTypeDefinition } from "@grpc/proto-loader";
import { fields } from "./descriptor.ts";
import { decode, decodeRequest, encode } from "./wire.ts";

const definition = loadSync(`${import.meta.dirname}/nex.proto`, { defaults: true, longs: Number });
const reference = (type: string) => definition[`nex.${type}`] as MessageTypeDefinition<object, object>;
const plain = (message: object): unknown => JSON.parse(JSON.stringify(message));

/** A small generator with a seed, so that a failure can be repeated. */
function random(seed: number): (below: number) => number {
  return (below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed % below;
  };
}

const texts = ["", "a", "10.0.0.1", "ü€😀", "x".repeat(127), "x".repeat(128), "é".repeat(9000), "\ufeffa"];
const numbers: Record<string, number[]> = {
  int32: [0, 1, -1, 2 ** 31 - 1, -(2 ** 31), 300],
  int64: [0, 1, -1, 2 ** 31, 2 ** 53 - 1, -(2 ** 53) + 1],
  uint64: [0, 1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 53 - 1],
};

function sample(type: string, below: (n: number) => number): unknown {
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

const messages = Object.keys(fields).filter((type) => `nex.${type}` in definition);

Deno.test("encode() and decode() agree with proto-loader on every message", () => {
  const below = random(1);
  for (const type of messages) {
    for (let i = 0; i < 50; i++) {
      const message = sample(type, below) as object;
      const bytes = encode(type, message);
      const theirs = reference(type).serialize(message);
      assert.deepEqual(decode(type, theirs), plain(reference(type).deserialize(theirs)), type);
      assert.deepEqual(decode(type, bytes), decode(type, theirs), type);
      assert.deepEqual(plain(reference(type).deserialize(bytes)), decode(type, bytes), type);
    }
  }
});

Deno.test("decode() skips fields that it does not know, and known numbers of another wire type", () => {
  // Field 99 as each wire type, then field 1 (a string) as a varint, then name = "a".
  const unknown = "98060a" + "9906" + "00".repeat(8) + "9a0602ffff" + "9d06" + "00".repeat(4) + "0805" +
    "0a0161";
  assert.deepEqual(decode("GetNetworkRequest", Buffer.from(unknown, "hex")), { name: "a" });
});

Deno.test("decode() refuses bytes that end too soon, endless numbers and groups", () => {
  for (const bytes of ["0a", "0a05", "0a0561", "0aff", "ff".repeat(20), "0b", "0affffffffffffffffff01"]) {
    assert.throws(() => decode("GetNetworkRequest", Buffer.from(bytes, "hex")), Error, bytes);
  }
});

Deno.test("decode() of mutated bytes gives a message or an Error", () => {
  const below = random(2);
  const bytes = encode("ApplyRequest", sample("ApplyRequest", random(5)) as object);
  for (let i = 0; i < 2000; i++) {
    const mutated = Buffer.from(bytes.subarray(0, below(8) ? bytes.length : below(bytes.length)));
    for (let n = below(5); n >= 0; n--) mutated[below(mutated.length || 1)] = below(256);
    for (const read of [decode, decodeRequest]) {
      try {
        read("ApplyRequest", mutated);
      } catch (error) {
        assert.ok(error instanceof Error && !(error instanceof TypeError), String(error));
      }
    }
  }
});

Deno.test("encode() refuses a number that is not whole", () => {
  assert.throws(() => encode("Option", { number: 1.5 }), /1\.5 is not a whole number/);
});
