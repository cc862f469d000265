import assert from "node:assert/strict";
import { LockWaits } from "./rtnl.ts";

Deno.test("after the lock of all links was waited for long, other threads wait for it, for a while", () => {
  let time = 0;
  const waits = new LockWaits(() => time);
  assert.equal(waits.note(() => time += 19), 19);
  assert.equal(waits.areLong, false);
  waits.note(() => time += 21);
  assert.equal(waits.areLong, true);
  time += 9_999;
  assert.equal(waits.areLong, true);
  time += 1;
  assert.equal(waits.areLong, false);
});
