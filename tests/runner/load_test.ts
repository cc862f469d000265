/** Reading the machine's and processes' load from /proc. */
import assert from "node:assert/strict";
import { available, Load, processorTime, ticks } from "./load.ts";

Deno.test("ticks() reads what all processors had together", () => {
  assert.deepEqual(ticks("cpu  10 2 3 100 5 0 1 4 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n"), { all: 125, idle: 105 });
});

Deno.test("available() reads memory in bytes", () => {
  assert.equal(available("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), 2_097_152);
});

Deno.test("processorTime() reads that of a process with an odd name, and of its ended children", () => {
  assert.equal(processorTime(`7 (a) b (c) S ${"0 ".repeat(10)}100 50 25 25 20 0 1\n`), 2);
});

Deno.test("Load looks at this machine", () => {
  assert.equal(typeof new Load().hasRoom(), "boolean");
});
