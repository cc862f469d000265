import assert from "node:assert/strict";
import { LONGEST, rank } from "./order.ts";

Deno.test("what begins first is there", () => {
  const root = new URL("../../", import.meta.url);
  for (const path of LONGEST) assert.ok(Deno.statSync(new URL(path, root)), path);
  assert.deepEqual(LONGEST.filter((path, n) => rank(path) !== n + 1), []);
  assert.equal(rank("tests/lab/until_test.ts"), LONGEST.length + 1);
});
