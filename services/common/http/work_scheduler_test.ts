import assert from "node:assert/strict";
import { nextTurn, WorkScheduler } from "./work_scheduler.ts";

/** Takes the processor for so many ms. */
function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

Deno.test("WorkScheduler lets everything else have its turn, however many wait for one", async () => {
  const turns = new WorkScheduler(), order: number[] = [];
  let done = 0, most = 0;
  const all = Promise.all(Array.from({ length: 100 }, async (_, i) => {
    await turns.next();
    work(1);
    order.push(i);
    done++;
  }));
  for (let before = 0; done < 100; before = done) {
    await nextTurn();
    most = Math.max(most, done - before);
  }
  await all;
  assert(most <= 6, `${most} of them ran without a break`);
  assert.deepEqual(order, order.toSorted((a, b) => a - b), "the first that asks is the first that is served");
});

Deno.test("WorkScheduler serves one whose work takes long, and those that ask again", async () => {
  const turns = new WorkScheduler();
  let count = 0;
  await Promise.all(Array.from({ length: 3 }, async () => {
    for (let i = 0; i < 3; i++) {
      await turns.next();
      work(5);
      count++;
    }
  }));
  assert.equal(count, 9);
});
