import assert from "node:assert/strict";
import { quickly } from "./quickly.ts";

const lasting = async (ms: number) => {
  const end = performance.now() + ms;
  while (performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, end - performance.now()));
  }
};

Deno.test("quickly() forgives a slow try, and not five of them", async () => {
  let tries = 0;
  const result = await quickly(60_000, () => ++tries);
  assert.equal(result, 1);
  let times = [40, 40, 0];
  assert.equal(await quickly(30, () => lasting(times.shift() ?? 0).then(() => times.length)), 0);
  times = Array(9).fill(40);
  await assert.rejects(quickly(30, () => lasting(times.shift() ?? 0)), /never less than 30 ms/);
  assert.equal(times.length, 4);
  assert.equal(await quickly(30, (begin) => lasting(40).then(begin).then(() => "prepared")), "prepared");
  await assert.rejects(quickly(30, () => Promise.reject(new Error("wrong"))), /wrong/);
});
