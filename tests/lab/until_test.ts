/** until(), by which tests wait for conditions. */
import assert from "node:assert/strict";
import { until } from "./until.ts";

Deno.test("until() waits for a condition, and says what it saw last when that does not come", async () => {
  let looks = 0;
  await until("three looks", () => ++looks === 3);
  assert.equal(looks, 3);
  await assert.rejects(
    until("all run", (see) => see(["c1", "c2"]).length === 3, 20),
    /^Error: all run: not so after 20 ms; seen last: \[ "c1", "c2" \]$/,
  );
  await assert.rejects(until("it holds", () => false, 20), /^Error: it holds: not so after 20 ms$/);
});

Deno.test("until() does not wait for ever for one look", async () => {
  const look = until("it answers", (see) => new Promise<boolean>(() => see("asked")), 20, 30);
  await assert.rejects(
    look,
    /^Error: it answers: a look for it has not ended after \d+ ms; seen last: asked$/,
  );
});

Deno.test("until() looks more rarely the longer it has waited, since each look takes processor time from what it waits for", async () => {
  let looks = 0;
  await assert.rejects(until("it holds", () => ++looks < 0, 1000));
  assert.ok(looks < 50, `${looks} looks in a second`);
});
