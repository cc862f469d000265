import assert from "node:assert/strict";
import { until } from "../../tests/lab/until.ts";
import { checkEvery } from "./check_every.ts";

/** Keeps the thread busy, as a stopped process is. */
function stop(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

Deno.test("a check is left out after a stop, and not twice in a row", async () => {
  let checks = 0;
  const end = checkEvery(50, () => checks++);
  try {
    await until("it checks", () => checks > 0);
    const before = checks;
    stop(200);
    // The timer that is due runs before one that begins now.
    await new Promise((resolve) => setTimeout(resolve, 0));
    assert.equal(checks, before);
    stop(200);
    await until("it checks although it is busy", () => checks > before);
  } finally {
    end();
  }
});
