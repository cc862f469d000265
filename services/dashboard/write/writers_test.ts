import assert from "node:assert/strict";
import { Writers } from "./writers.ts";

Deno.test("a machine's change has the client that asked for it, for some seconds", () => {
  let now = 0;
  const writers = new Writers(() => now);
  writers.ask("52:54:00:00:00:0A", "alice");
  assert.equal(writers.of(["web", "52:54:00:00:00:0a"]), "alice");
  assert.equal(writers.of(["52:54:00:00:00:0b"]), undefined);
  now = 5001;
  assert.equal(writers.of(["52:54:00:00:00:0a"]), undefined);
});
