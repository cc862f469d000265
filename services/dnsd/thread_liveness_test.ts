import assert from "node:assert/strict";
import { ThreadLiveness } from "./thread_liveness.ts";

Deno.test("a Pulse is there as long as each question is answered before the next one", () => {
  const probing = new ThreadLiveness(), answering = new ThreadLiveness(probing.memory);
  assert.equal(probing.probe(), true);
  answering.answer();
  assert.equal(probing.probe(), true);
  assert.equal(probing.probe(), false);
  assert.equal(probing.probe(), false);
  answering.answer();
  assert.equal(probing.probe(), true);
});
