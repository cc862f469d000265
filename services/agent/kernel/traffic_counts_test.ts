import assert from "node:assert/strict";
import { addTo, CounterGains, textOfCounts } from "./traffic_counts.ts";

Deno.test("CounterGains: what was counted since the last reading, from 0 where the table was made again", () => {
  const gains = new CounterGains<"a" | "b">();
  assert.ok(gains.isFresh);
  assert.deepEqual(gains.take(new Map([["a", 3], ["b", 0]])), new Map([["a", 3]]));
  assert.ok(!gains.isFresh);
  assert.deepEqual(gains.take(new Map([["a", 5], ["b", 1]])), new Map([["a", 2], ["b", 1]]));
  assert.deepEqual(gains.take(new Map([["a", 5], ["b", 1]])), new Map());
  assert.deepEqual(gains.take(new Map([["a", 4]])), new Map([["a", 4]]));
  assert.deepEqual(gains.take(new Map([["a", 4], ["b", 1]])), new Map([["b", 1]]));
});

Deno.test("textOfCounts() is what was added, by reason and verdict", () => {
  const sums = new Map<"dropped arp" | "counted mac", number>();
  addTo(sums, new Map([["dropped arp", 2]]));
  addTo(sums, new Map([["dropped arp", 1], ["counted mac", 1]]));
  assert.equal(textOfCounts(sums), "3 arp dropped, 1 mac counted");
});
