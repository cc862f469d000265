import assert from "node:assert/strict";
import { onPool } from "./pool.ts";

Deno.test("onPool() runs four calls at once, in their order, also after one that fails", async () => {
  let running = 0, most = 0;
  const begun: number[] = [];
  const results = await Promise.allSettled(Array.from({ length: 20 }, (_, i) =>
    onPool(async () => {
      begun.push(i);
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
      if (i === 3) throw new Error("no");
      return i;
    })));
  assert.equal(most, 4);
  assert.deepEqual(begun, [...begun.keys()]);
  assert.deepEqual(results.filter(({ status }) => status === "rejected").length, 1);
  assert.equal(await onPool(() => Promise.resolve(7)), 7);
});
