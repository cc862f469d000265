import assert from "node:assert/strict";
import { Pulse } from "./pulse.ts";

Deno.test("a Pulse is there as long as each question is answered before the next one", () => {
  const asking = new Pulse(), answering = new Pulse(asking.memory);
  assert.equal(asking.ask(), true);
  answering.answer();
  assert.equal(asking.ask(), true);
  assert.equal(asking.ask(), false);
  assert.equal(asking.ask(), false);
  answering.answer();
  assert.equal(asking.ask(), true);
});
