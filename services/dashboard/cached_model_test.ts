import assert from "node:assert/strict";
import { CachedModel } from "./cached_model.ts";

Deno.test("CachedModel makes its value again after a change or a second, and never more often than it can afford", () => {
  let now = 0, cost = 10, made = 0;
  const late: number[] = [];
  const kept = new CachedModel(() => {
    now += cost;
    return ++made;
  }, { clock: () => now, late: (ms) => late.push(ms) });
  const at = (ms: number) => {
    now = ms;
    return kept.value;
  };
  assert.equal(at(0), 1);
  assert.equal(at(900), 1);
  assert.equal(at(1010), 2);
  kept.changed();
  assert.deepEqual(late, []);
  assert.equal(at(1060), 2, "it is made again only after five times as long as it took");
  assert.deepEqual(late, [10], "who has it is told when it can be made again");
  assert.equal(at(1071), 3);
  cost = 400;
  kept.changed();
  assert.equal(at(1200), 4);
  kept.changed();
  assert.equal(at(1900), 4, "what takes long to make is kept no longer than 350 ms after a change");
  assert.equal(at(1960), 5);
});
