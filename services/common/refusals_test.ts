import assert from "node:assert/strict";
import { invalid, Refusal } from "./refusal.ts";
import { fieldIn, Refusals, refusalsIn } from "./refusals.ts";

Deno.test("fieldIn() finds the field that a sentence begins with, after the object that it belongs to", () => {
  const sentences = {
    'subnet4: "a" is not a CIDR': "subnet4",
    "list[2].ip4.address: missing": "list[2].ip4.address",
    "network a.b: range4.begin: 10.0.0.1 is outside": "range4.begin",
    "member 02:00:00:00:00:01: ip4: 10.0.0.1 belongs to another": "ip4",
    "member 02:00:00:00:00:01 exists with another name (db): replace it": undefined,
    'there is no network "a"': undefined,
    "mac 02:00:00:00:00:01 is there already": undefined,
  };
  for (const [sentence, field] of Object.entries(sentences)) assert.equal(fieldIn(sentence), field, sentence);
});

Deno.test("Refusals are the first of them to a reader of one, and all of them to others", () => {
  const [first, second] = [new Refusal("exists", "one"), invalid("two")];
  const both = new Refusals([first, second]);
  assert.deepEqual([both.code, both.message, both instanceof Refusal], ["exists", "one", true]);
  assert.deepEqual(refusalsIn(both), [first, second]);
  assert.deepEqual(refusalsIn(first), [first]);
  assert.deepEqual(refusalsIn(new Error("three")), []);
});
