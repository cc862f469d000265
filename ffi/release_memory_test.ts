import assert from "node:assert/strict";
import { collectGarbage, releaseMemory } from "./release_memory.ts";

Deno.test("garbage is collected where V8's heap is large, and a small one is left as it is", () => {
  const flavors: string[] = [];
  // This process has no --expose-gc.
  const global = globalThis as { gc?: (options: { flavor: string }) => void };
  global.gc = ({ flavor }) => void flavors.push(flavor);
  try {
    for (const mebibytes of [25, 39, 40, 400]) {
      collectGarbage(mebibytes << 20);
      releaseMemory(mebibytes << 20);
    }
    assert.deepEqual(flavors, ["regular", "last-resort", "regular", "last-resort"]);
  } finally {
    delete global.gc;
  }
});
