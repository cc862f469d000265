import assert from "node:assert/strict";
import { Offers } from "./offers.ts";

Deno.test("Offers keeps an address for its client for half a minute", () => {
  const offers = new Offers();
  offers.hold("a", 1, 100);
  assert.equal(offers.busyFor("b", 100)(1), true);
  assert.equal(offers.busyFor("a", 100)(1), false);
  assert.equal(offers.busyFor("b", 100)(2), false);
  assert.equal(offers.busyFor("b", 130)(1), false);
  assert.equal(offers.size, 0);
});

Deno.test("Offers holds one address a client and one client an address", () => {
  const offers = new Offers();
  offers.hold("a", 1, 100);
  offers.hold("a", 2, 100);
  assert.equal(offers.busyFor("b", 100)(1), false);
  offers.hold("b", 2, 100);
  assert.equal(offers.size, 1);
  assert.equal(offers.busyFor("a", 100)(2), true);
  offers.drop("b");
  assert.equal(offers.busyFor("a", 100)(2), false);
});

Deno.test("Offers forgets the oldest in a flood", () => {
  const offers = new Offers();
  for (let i = 0; i < 3000; i++) {
    offers.busyFor(`client ${i}`, 100);
    offers.hold(`client ${i}`, i, 100);
  }
  assert(offers.size <= 2049);
  assert.equal(offers.busyFor("", 100)(0), false);
  assert.equal(offers.busyFor("", 100)(2999), true);
});
