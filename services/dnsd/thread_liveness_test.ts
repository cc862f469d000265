import assert from "node:assert/strict";
import { ThreadLiveness } from "./thread_liveness.ts";

Deno.test("a Pulse is there as long as each question is answered before the next one", () => {
  const asking = new ThreadLiveness(), answering = new ThreadLiveness(asking.memory);
  assert.equal(asking.ask(), true);
  answering.answer();
  assert.equal(asking.ask(), true);
  assert.equal(asking.ask(), false);
  assert.equal(asking.ask(), false);
  answering.answer();
  assert.equal(asking.ask(), true);
});
