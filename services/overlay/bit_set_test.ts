import assert from "node:assert/strict";
import { BitSet } from "./bit_set.ts";
import { forAll } from "../../tests/lab/property.ts";
import { quickly } from "../../tests/lab/quickly.ts";

function of(length: number, bits: Iterable<number>): BitSet {
  const set = BitSet.empty(length);
  for (const bit of bits) set.add(bit);
  return set;
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

// By hand: 8 bytes of length, then words of 8 bytes, the lowest bit of a word in its last byte.
const vectors: [number, number[], string][] = [
  // /30: 00 00 00 00 00 00 00 04 | 00 00 00 00 00 00 00 09
  [4, [0, 3], "AAAAAAAAAAQAAAAAAAAACQ=="],
  // /29 with the gateway: …08 | …83
  [8, [0, 1, 7], "AAAAAAAAAAgAAAAAAAAAgw=="],
  // /26: …40 | 80 00 00 00 00 00 00 03
  [64, [0, 1, 63], "AAAAAAAAAECAAAAAAAAAAw=="],
  // /25: …80 | 00 00 00 00 00 00 00 01 | 80 00 00 00 00 00 00 00
  [128, [0, 127], "AAAAAAAAAIAAAAAAAAAAAYAAAAAAAAAA"],
  // The characters that base64url has of its own: …40 | 00 FB FF BF 00 00 00 00, where FB FF BF is "-_-_".
  [64, range(32, 55).filter((b) => b !== 50 && b !== 38), "AAAAAAAAAEAA-_-_AAAAAA=="],
];

Deno.test("BitSet reads and writes what the stored form promises", () => {
  for (const [length, bits, text] of vectors) {
    assert.equal(of(length, bits).encode(), text);
    const read = BitSet.decode(text);
    assert.equal(read.length, length);
    assert.deepEqual([...read.ones()], [...bits].sort((a, b) => a - b));
  }
});

Deno.test("BitSet refuses what is no bit set", () => {
  for (
    const [text, reason] of [
      ["", /0 bytes/],
      ["AAAA", /3 bytes/],
      ["AAAAAAAAAAQAAAAAAAAACQ", /base64url/], // no padding
      ["AAAAAAAAAAQ=", /8 bytes are not those of 4 bits/],
      ["AAAAAAAAAEH7AAAAAAAAAA==", /not those of 65 bits/],
      ["__________8AAAAAAAAAAA==", /not those of 18446744073709551615 bits/],
      ["AAAAAAAAAEAA+/+/AAAAAA==", /base64url/],
    ] as const
  ) {
    assert.throws(() => BitSet.decode(text), reason, text);
  }
});

Deno.test("BitSet agrees with a Set over random operations, and survives being stored", () => {
  forAll({ runs: 300, choices: 500, seed: 1 }, (random) => {
    const length = 4 << random(12), model = new Set<number>(), set = BitSet.empty(length);
    for (let n = random(200); n > 0; n--) {
      const bit = random(length);
      if (random(3)) model.add(bit), set.add(bit);
      else model.delete(bit), set.delete(bit);
    }
    const read = BitSet.decode(set.encode());
    assert.ok(read.equals(set));
    assert.deepEqual([...read.ones()], [...model].sort((a, b) => a - b));
    const from = random(length);
    let lowest: number | undefined = from;
    while (model.has(lowest)) lowest++;
    if (lowest >= length) lowest = undefined;
    assert.equal(read.firstClear(from), lowest);
  });
});

Deno.test("BitSet of a /10 is searched, written and read in a moment", async () => {
  const length = 1 << 22, set = BitSet.empty(length);
  set.bytes.fill(255);
  set.delete(length - 2);
  await quickly(1000, () => {
    const read = BitSet.decode(set.encode());
    assert.equal(read.firstClear(), length - 2);
    assert.equal(read.copy().encode().length, 699_064);
  });
});

Deno.test("BitSet.copy() is independent", () => {
  const set = of(8, [0]), copy = set.copy();
  copy.add(1);
  assert.deepEqual([[...set.ones()], [...copy.ones()]], [[0], [0, 1]]);
});
