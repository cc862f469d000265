/** Reading Deno's test summaries. */
import assert from "node:assert/strict";
import { add, countsOf, failedFile, none, totals } from "./counts.ts";

Deno.test("countsOf() reads deno's summary, with and without colours, steps and ignored ones", () => {
  assert.deepEqual(countsOf("ok | 38 passed | 0 failed (1s)"), { passed: 38, failed: 0, skipped: 0 });
  assert.deepEqual(countsOf("FAILED | 3 passed (2 steps) | 1 failed (1 step) | 4 ignored (2 steps) (1s)"), {
    passed: 3,
    failed: 1,
    skipped: 4,
  });
  assert.deepEqual(countsOf("\u001b[0m\u001b[32mok\u001b[0m | 5 passed | 0 failed \u001b[0m(1s)"), {
    passed: 5,
    failed: 0,
    skipped: 0,
  });
});

Deno.test("countsOf() takes no other line for the summary", () => {
  assert.deepEqual(countsOf("running 3 tests from ./a_test.ts"), none);
  assert.deepEqual(countsOf("totals() 3 passed | 0 failed ... ok (1ms)"), none);
});

Deno.test("totals() is the closing line", () => {
  assert.equal(
    totals(add({ passed: 2, failed: 0, skipped: 1 }, { passed: 1, failed: 1, skipped: 0 })),
    "3 passed, 1 failed, 1 skipped",
  );
});

Deno.test("failedFile() finds the file of a failed test or step, and nothing in other lines", () => {
  const named = "a name => b ... a step => ./tests/docker/trouble_test.ts:246:11";
  assert.equal(failedFile(named), "tests/docker/trouble_test.ts");
  assert.equal(failedFile("\u001b[1mx\u001b[0m => ./cli/a_test.ts:1:6\u001b[0m"), "cli/a_test.ts");
  assert.equal(failedFile("running 3 tests from ./cli/a_test.ts"), undefined);
});
