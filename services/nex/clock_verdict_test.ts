import assert from "node:assert/strict";
import { compareClock } from "./clock_verdict.ts";

const HOURS = 3_600_000;

Deno.test("compareClock(): a process that is alone, or agrees with most others, is right", () => {
  assert.deepEqual(compareClock([]), { verdict: "right", offset: 0 });
  assert.deepEqual(compareClock([20]), { verdict: "right", offset: 20 });
  assert.deepEqual(compareClock([0, 5 * HOURS]), { verdict: "right", offset: 0 });
  assert.deepEqual(compareClock([-5 * HOURS, 10]), { verdict: "right", offset: 10 });
  assert.deepEqual(compareClock([12_000, 12_000]), { verdict: "right", offset: 12_000 });
});

Deno.test("compareClock(): the outlier alone is wrong", () => {
  assert.deepEqual(compareClock([5 * HOURS, 5 * HOURS + 3]), { verdict: "wrong", offset: 5 * HOURS });
  assert.equal(compareClock([-31_000, -31_001]).verdict, "wrong");
  assert.equal(compareClock([-29_000, -29_001]).verdict, "right");
  assert.equal(compareClock([-5 * HOURS, -5 * HOURS, -5 * HOURS, 0]).verdict, "wrong");
});

Deno.test("compareClock(): of two that disagree, and of two halves, none is right", () => {
  assert.deepEqual(compareClock([5 * HOURS]), { verdict: "apart", offset: 5 * HOURS });
  assert.deepEqual(compareClock([-5 * HOURS]), { verdict: "apart", offset: -5 * HOURS });
  assert.equal(compareClock([10, 5 * HOURS, 5 * HOURS]).verdict, "apart");
  assert.equal(compareClock([29_000]).verdict, "right");
});
