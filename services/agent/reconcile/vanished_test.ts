import assert from "node:assert/strict";
import { GRACE_MS, Vanished } from "./vanished.ts";

Deno.test("a namespace that is away for long enough is gone, and one that comes back in time is as before", () => {
  let now = 1000;
  const vanished = new Vanished(() => now);
  assert.equal(vanished.dueInMs, undefined);
  assert.deepEqual([vanished.missed("a"), vanished.dueInMs], [false, GRACE_MS]);
  now += 1000;
  assert.equal(vanished.missed("b"), false);
  now += GRACE_MS - 1500;
  assert.deepEqual([vanished.missed("a"), vanished.dueInMs], [false, 500]);
  vanished.forget("a");
  assert.equal(vanished.dueInMs, 1500);
  now += 1500;
  assert.deepEqual([vanished.missed("a"), vanished.missed("b"), vanished.dueInMs], [false, true, GRACE_MS]);
  vanished.keep(new Set(["b"]));
  assert.deepEqual([vanished.missed("b"), vanished.dueInMs], [true, undefined]);
  vanished.keep(new Set());
  assert.equal(vanished.missed("b"), false);
});
