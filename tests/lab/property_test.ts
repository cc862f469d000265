/** forAll(), by which property tests choose and shrink their inputs. */
import assert from "node:assert/strict";
import { forAll } from "./property.ts";

Deno.test("forAll() makes the same choices for the same seed, as many as it may, and then zeros", () => {
  const made = (seed: number) => {
    const all: number[][] = [];
    forAll(
      { runs: 50, choices: 8, seed },
      (random) => all.push(Array.from({ length: 9 }, () => random(1000))),
    );
    return all;
  };
  const first = made(1);
  assert.deepEqual(made(1), first);
  assert.notDeepEqual(made(2), first);
  assert.equal(first.length, 50);
  assert.ok(first.every((choices) => choices.at(-1) === 0 && choices.every((n) => n >= 0 && n < 1000)));
  assert.ok(first.some((choices) => choices.every((n, i) => n > 0 || i === 8)), "some have them all");
});

Deno.test("forAll() tells of the fewest and smallest choices that fail, with the seed", () => {
  let last: number[] = [];
  const fails = () =>
    forAll({ runs: 1000, choices: 30, seed: 5 }, (random) => {
      const list = Array.from({ length: random(20) }, () => random(100));
      const sum = list.reduce((sum, n) => sum + n, 0);
      if (sum > 150) throw new Error(`too much: ${last = list}`);
    });
  assert.throws(fails, /seed: 5[^]*Counterexample[^]*/);
  assert.equal(last.reduce((sum, n) => sum + n, 0), 151, "no smaller sum fails");
  assert.ok(last.length <= 3, `${last}`);
});
