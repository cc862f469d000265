import assert from "node:assert/strict";
import { type Kept, Ring } from "./ring.ts";
import { told } from "./told.ts";

const event = (revision: number, what: Kept["what"] = "changed", key = `k${revision}`): Kept => ({
  ...told({ what, network: "n", machine: key, about: [key], text: "" }),
  key,
  revision,
});
const revisions = (ring: Ring) => ring.of(undefined).map(({ revision }) => revision);

Deno.test("Ring keeps the newest events, and knows from which revision on it has all", () => {
  const ring = new Ring(3);
  for (let i = 1; i <= 5; i++) ring.add(event(i));
  assert.deepEqual(revisions(ring), [5, 4, 3]);
  assert.deepEqual([ring.size, ring.lost], [3, 2]);
});

Deno.test("Ring has renewals in a row as one event, at the place of the newest", () => {
  const ring = new Ring(3);
  for (let i = 1; i <= 50; i++) ring.add(event(i, "renewed", i % 2 ? "odd" : "even"));
  assert.deepEqual(ring.of(undefined).map(({ revision, times, first }) => [revision, times, first]), [
    ...[[50, 25, 2], [49, 25, 1]],
  ]);
  assert.equal(ring.oldestOf("odd"), 1);
  ring.add(event(51, "changed", "odd"));
  ring.add(event(52, "renewed", "odd"));
  assert.deepEqual(revisions(ring), [52, 51, 50]);
  assert.equal(ring.lost, 49);
});

Deno.test("Ring takes what was before all that it has, as far as there is room", () => {
  const ring = new Ring(4);
  for (const i of [8, 9]) ring.add(event(i));
  ring.addOlder([5, 6, 7].map((i) => event(i)));
  assert.deepEqual(revisions(ring), [9, 8, 7, 6]);
  assert.equal(ring.lost, 5);
  ring.add(event(10, "renewed", "k"));
  ring.add(event(11, "renewed", "k"));
  assert.deepEqual(revisions(ring), [11, 9, 8, 7]);
});

Deno.test("what another program has written makes no event that is larger than others", () => {
  const { about, text } = told({
    ...{ what: "changed", network: "n", machine: "m", text: "x".repeat(10_000) },
    about: Array.from({ length: 1000 }, (_, i) => i === 3 ? "y".repeat(10_000) : `name${i}`),
  });
  assert.equal(text.length, 401);
  assert.equal(about.length, 16);
});
