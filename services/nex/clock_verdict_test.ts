import assert from "node:assert/strict";
import { judgeClock } from "./clock_verdict.ts";

const HOURS = 3_600_000;

Deno.test("judgeClock(): a process that is alone, or agrees with most others, is right", () => {
  assert.deepEqual(judgeClock([]), { verdict: "right", offset: 0 });
  assert.deepEqual(judgeClock([20]), { verdict: "right", offset: 20 });
  assert.deepEqual(judgeClock([0, 5 * HOURS]), { verdict: "right", offset: 0 });
  assert.deepEqual(judgeClock([-5 * HOURS, 10]), { verdict: "right", offset: 10 });
  assert.deepEqual(judgeClock([12_000, 12_000]), { verdict: "right", offset: 12_000 });
});

Deno.test("judgeClock(): the outlier alone is wrong", () => {
  assert.deepEqual(judgeClock([5 * HOURS, 5 * HOURS + 3]), { verdict: "wrong", offset: 5 * HOURS });
  assert.equal(judgeClock([-31_000, -31_001]).verdict, "wrong");
  assert.equal(judgeClock([-29_000, -29_001]).verdict, "right");
  assert.equal(judgeClock([-5 * HOURS, -5 * HOURS, -5 * HOURS, 0]).verdict, "wrong");
});

Deno.test("judgeClock(): of two that disagree, and of two halves, none is right", () => {
  assert.deepEqual(judgeClock([5 * HOURS]), { verdict: "apart", offset: 5 * HOURS });
  assert.deepEqual(judgeClock([-5 * HOURS]), { verdict: "apart", offset: -5 * HOURS });
  assert.equal(judgeClock([10, 5 * HOURS, 5 * HOURS]).verdict, "apart");
  assert.equal(judgeClock([29_000]).verdict, "right");
});
