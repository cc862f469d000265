import assert from "node:assert/strict";
import { Unused } from "./unused.ts";

/** One client's search through free addresses from 0 to `end`, as lowestFree() does it. */
function search(
  unused: Unused,
  end: number,
  isUnused: (address: number) => boolean,
  held: ReadonlySet<number> = new Set(),
): { found: number | undefined; looked: number } {
  let looked = 0;
  const offered = unused.excluding(
    { has: (address) => held.has(address), begin: (lowest) => lowest },
    "mini",
    (address) => {
      looked++;
      return isUnused(address);
    },
  );
  for (const begin of [offered.begin(0, end), 0]) {
    for (let address = begin; address <= end; address++) {
      if (!offered.has(address)) return { found: address, looked };
    }
  }
  return { found: undefined, looked };
}

Deno.test("Unused: a client's search is bounded and goes on where the last one ended, until it finds an unused address", () => {
  const unused = new Unused(), isUnused = (address: number) => address >= 5_000;
  const searches = Array.from({ length: 6 }, () => search(unused, 9_999, isUnused));
  assert.ok(searches.every(({ looked }) => looked <= 1024), searches.map(({ looked }) => looked).join());
  assert.deepEqual(searches.map(({ found = -1 }) => isUnused(found)), [
    false,
    false,
    false,
    false,
    true,
    true,
  ]);
  assert.deepEqual(searches[5], { found: 5_000, looked: 1 });
});

Deno.test("Unused: where all have been used no client's search looks at them all over again", () => {
  const unused = new Unused();
  for (let i = 0; i < 10; i++) search(unused, 9_999, () => false);
  assert.equal(search(unused, 9_999, () => false).looked, 0);
  unused.forget();
  assert.ok(search(unused, 9_999, () => false).looked > 0);
});

Deno.test("Unused: what is offered to others at present is passed over, and is looked at again later", () => {
  const unused = new Unused(), isUnused = (address: number) => address >= 10 && address !== 12;
  assert.equal(search(unused, 99, isUnused, new Set([10, 11])).found, 13);
  assert.equal(search(unused, 99, isUnused).found, 10);
});
