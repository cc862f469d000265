import assert from "node:assert/strict";
import { Offers } from "./offers.ts";

Deno.test("Offers keeps an address for its client for half a minute", () => {
  const offers = new Offers();
  offers.hold("a", 1, 100);
  assert.equal(offers.excluding("b", "net", 100).has(1), true);
  assert.equal(offers.excluding("a", "net", 100).has(1), false);
  assert.equal(offers.excluding("b", "net", 100).has(2), false);
  assert.equal(offers.excluding("b", "net", 130).has(1), false);
  assert.equal(offers.size, 0);
});

Deno.test("Offers holds one address a client and one client an address", () => {
  const offers = new Offers();
  offers.hold("a", 1, 100);
  offers.hold("a", 2, 100);
  assert.equal(offers.excluding("b", "net", 100).has(1), false);
  offers.hold("b", 2, 100);
  assert.equal(offers.size, 1);
  assert.equal(offers.excluding("a", "net", 100).has(2), true);
  offers.drop("b");
  assert.equal(offers.excluding("a", "net", 100).has(2), false);
});

Deno.test("Offers sends each network's search on behind what the last one found, until all offers are gone", () => {
  const offers = new Offers();
  const begin = (mac: string, network = "net") => offers.excluding(mac, network, 100).begin(1, 99);
  assert.equal(begin("a"), 1);
  offers.hold("a", 7, 100);
  offers.excluding("wishful", "net", 100);
  offers.hold("wishful", 20, 100);
  assert.equal(begin("b"), 8);
  assert.equal(begin("b", "other"), 1);
  assert.equal(offers.heldBy("a"), 7);
  offers.drop("a");
  offers.drop("wishful");
  assert.equal(begin("b"), 1);
});

Deno.test("Offers spreads a network's offers, wider each time, while other replicas are quicker", () => {
  const offers = new Offers();
  const begins = (now: number, network = "net") =>
    new Set(
      Array.from({ length: 400 }, (_, i) => offers.excluding(`client ${i}`, network, now).begin(1000, 1999)),
    );
  offers.lost("a", "net", 100);
  assert.equal(begins(100).size, 64);
  assert(Math.max(...begins(100)) < 1064);
  assert.deepEqual([...begins(100, "other")], [1000]);
  offers.lost("b", "net", 110);
  assert(begins(169).size > 150);
  offers.lost("b", "net", 120);
  assert(Math.max(...begins(121)) <= 1999, "within the range");
  assert.deepEqual([...begins(180)], [1000]);
});

Deno.test("Offers bounds what it remembers and what a search has to pass over", () => {
  const offers = new Offers();
  for (let i = 0; i < 33_000; i++) {
    offers.excluding(`client ${i}`, "net", 100);
    offers.hold(`client ${i}`, i, 100);
  }
  assert(offers.size <= 32_769);
  const { has } = offers.excluding("", "net", 100);
  assert.equal(has(0), false);
  assert.equal(has(32_999), true);
  let passed = 1;
  while (has(32_999)) passed++;
  assert.equal(passed, 256);
});
