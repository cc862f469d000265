import assert from "node:assert/strict";
import { painter } from "./colour.ts";

Deno.test("painter() colours text for a terminal alone, and not with NO_COLOR or on a dumb one", () => {
  const env = (...entries: [string, string][]) => new Map(entries);
  assert.equal(painter(true, env(["TERM", "xterm"]))("red", "no"), "\x1b[31mno\x1b[0m");
  assert.equal(painter(true, env(["NO_COLOR", ""]))("bold", "no"), "\x1b[1mno\x1b[0m");
  assert.equal(painter(true, env(["NO_COLOR", "1"]))("red", "no"), "no");
  assert.equal(painter(true, env(["TERM", "dumb"]))("red", "no"), "no");
  assert.equal(painter(false, env())("red", "no"), "no");
});
