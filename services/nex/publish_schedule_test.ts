import assert from "node:assert/strict";
import { PublishSchedule } from "./publish_schedule.ts";

const latest = () => 1;

/** Publishes whenever it is due, for so long, and returns how often that was. */
function count(rhythm: PublishSchedule, ms: number, agree: boolean, others: number): number {
  let now = 0, count = 0;
  rhythm.next(now, agree, others);
  while (rhythm.due <= ms) {
    now = rhythm.due;
    count++;
    rhythm.begin(now);
    rhythm.next(now, agree, others);
  }
  return count;
}

Deno.test("Rhythm: about once a minute while all agree, every few seconds while one differs, less often where many have to hear it", () => {
  assert.equal(count(new PublishSchedule(latest), 600_000, true, 3), 10);
  assert.equal(count(new PublishSchedule(latest), 600_000, false, 3), 120);
  assert.equal(count(new PublishSchedule(latest), 600_000, false, 40), 60);
  assert.equal(count(new PublishSchedule(latest), 600_000, true, 40), 10);
  assert.equal(count(new PublishSchedule(latest), 600_000, true, 480), 5);
  const random = count(new PublishSchedule(), 3_600_000, true, 3);
  assert.ok(random >= 60 && random <= 120, `${random}`);
});

Deno.test("Rhythm: what comes up is told within 200 ms, however long nothing was due", () => {
  const rhythm = new PublishSchedule(latest);
  rhythm.begin(1_000);
  rhythm.next(1_000, true, 3);
  assert.equal(rhythm.due, 61_000);
  rhythm.soon(20_000);
  assert.equal(rhythm.due, 20_200);
  rhythm.soon(20_100);
  assert.equal(rhythm.due, 20_200, "what is due already is not put off");
});

Deno.test("Rhythm: once clocks differ, the next time is due within 5 s, also where the last said that all agree", () => {
  const rhythm = new PublishSchedule(latest);
  rhythm.begin(1_000);
  rhythm.next(1_000, true, 3);
  rhythm.next(2_000, false, 3);
  assert.equal(rhythm.due, 7_000);
});

Deno.test("Rhythm: a late time is answered at once, and many late ones not more often than every 5 s", () => {
  const rhythm = new PublishSchedule(latest);
  rhythm.begin(1_000);
  rhythm.next(1_000, true, 3);
  rhythm.answer(30_000);
  assert.equal(rhythm.due, 30_200);
  rhythm.begin(30_200);
  rhythm.next(30_200, true, 3);
  rhythm.answer(30_300);
  assert.equal(rhythm.due, 35_400);
});
