import assert from "node:assert/strict";
import { SteadyClock } from "./clock.ts";

Deno.test("SteadyClock goes on when the system's clock is set, and says by how much, until it takes that over", () => {
  let system = 1_000_000, monotonic = 50;
  const clock = new SteadyClock(() => system, () => monotonic);
  const pass = (ms: number) => [system, monotonic] = [system + ms, monotonic + ms];
  assert.equal(clock.now(), 1_000_000);
  pass(500);
  assert.equal(clock.now(), 1_000_500);
  assert.equal(clock.stepped, 0);
  system += 5 * 3_600_000;
  pass(500);
  assert.equal(clock.now(), 1_001_000);
  assert.equal(clock.stepped, 5 * 3_600_000);
  clock.adopt();
  assert.equal(clock.now(), 19_001_000);
  assert.equal(clock.stepped, 0);
});
