import assert from "node:assert/strict";
import { tryParseDuration } from "./duration.ts";

Deno.test("tryParseDuration() reads what Go's time.ParseDuration() does, but nothing negative", () => {
  const read = {
    "0": 0,
    "500ms": 500,
    "5s": 5000,
    "1m": 60_000,
    "1m30s": 90_000,
    "1.5h": 5_400_000,
    ".5s": 500,
    "2.s": 2000,
    "3µs": 0.003,
  };
  for (const [text, ms] of Object.entries(read)) assert.equal(tryParseDuration(text), ms, text);
  for (const text of ["", "5", "s", "5 s", "-5s", "+5s", "5d", "1e3s", ".s", "5s,", "Infinitys"]) {
    assert.equal(tryParseDuration(text), undefined, text);
  }
});
