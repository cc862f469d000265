import { strict as assert } from "node:assert";
import {
  abortable,
  aborted,
  deadline,
  delay,
  everyFromNow,
  Limit,
  Mutex,
  repeat,
  TimeLimit,
} from "./async.ts";

Deno.test("delay: an aborted signal ends it at once, before and during", async () => {
  const controller = new AbortController();
  const waiting = delay(60_000, controller.signal);
  controller.abort();
  await waiting;
  await delay(60_000, controller.signal);
  await aborted(controller.signal);
});

Deno.test("deadline: a result in time, its error, and what comes in place of a late one", async () => {
  assert.equal(await deadline(Promise.resolve(1), 60_000), 1);
  await assert.rejects(deadline(Promise.reject(new Error("broken")), 60_000), /broken/);
  const never = new Promise<number>(() => {});
  assert.equal(await deadline(never, 1), undefined);
  assert.equal(await deadline(never, 1, () => 2), 2);
  await assert.rejects(
    deadline(never, 1, () => {
      throw new Error("late");
    }),
    /late/,
  );
});

Deno.test("a TimeLimit's signal is aborted when the time is over, and never once it is disposed of", async () => {
  using limit = new TimeLimit(1);
  await aborted(limit.signal);
  assert.equal(limit.signal.reason.name, "TimeoutError");
  const kept = new TimeLimit(5);
  kept[Symbol.dispose]();
  await delay(20);
  assert.ok(!kept.signal.aborted);
});

Deno.test("abortable: the signal's reason as soon as it is aborted, and a late result is released", async () => {
  assert.equal(await abortable(Promise.resolve(1), undefined), 1);
  assert.equal(await abortable(Promise.resolve(1), new AbortController().signal), 1);
  const controller = new AbortController(), { promise, resolve } = Promise.withResolvers<string>();
  const released: string[] = [];
  const waiting = abortable(promise, controller.signal, (late) => released.push(late));
  controller.abort(new Error("over"));
  await assert.rejects(waiting, /over/);
  resolve("connection");
  await promise;
  assert.deepEqual(released, ["connection"]);
  // One that fails late is no unhandled rejection.
  await assert.rejects(
    abortable(delay(0).then(() => Promise.reject(new Error("late"))), controller.signal),
    /over/,
  );
  await delay(1);
});

Deno.test("Mutex: one task at a time, in order, also after one that failed", async () => {
  const mutex = new Mutex(), told: string[] = [];
  const gate = Promise.withResolvers<void>();
  const first = mutex.run(async () => {
    told.push("first begins");
    await gate.promise;
    told.push("first ends");
    throw new Error("broken");
  });
  const second = mutex.run(() => Promise.resolve(told.push("second")));
  await Promise.resolve();
  gate.resolve();
  await assert.rejects(first, /broken/);
  assert.equal(await second, 3);
  assert.deepEqual(told, ["first begins", "first ends", "second"]);
});

Deno.test("Limit: so many tasks at once, urgent ones first of those that wait, also after one that failed", async () => {
  const limit = new Limit(2), begun: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const start = (name: string, isUrgent?: boolean) => {
    const end = Promise.withResolvers<void>();
    ends.set(name, end);
    const run = async () => {
      begun.push(name);
      await end.promise;
      return name;
    };
    return limit.run(run, isUrgent);
  };
  const a = start("a"), b = start("b"), c = start("c"), d = start("d"), e = start("e", true);
  await delay(0);
  assert.deepEqual(begun, ["a", "b"]);
  ends.get("a")?.reject(new Error("broken"));
  await assert.rejects(a, /broken/);
  await delay(0);
  assert.deepEqual(begun, ["a", "b", "e"]);
  for (const { resolve } of ends.values()) resolve();
  assert.deepEqual(await Promise.all([b, c, d, e]), ["b", "c", "d", "e"]);
  assert.deepEqual(begun, ["a", "b", "e", "c", "d"]);
  assert.equal(await limit.run(() => Promise.resolve(1)), 1);
});

Deno.test("repeat: again and again, and its end waits for the run under way", async () => {
  let runs = 0, over = false;
  const third = Promise.withResolvers<void>(), gate = Promise.withResolvers<void>();
  const end = repeat(() => 0, async () => {
    if (++runs < 3) return;
    third.resolve();
    await gate.promise;
    over = true;
  });
  await third.promise;
  const ended = end();
  gate.resolve();
  await ended;
  assert.deepEqual([runs, over], [3, true]);
});

Deno.test("repeat: the pause may depend on how often the task has run", async () => {
  const seen: number[] = [], over = Promise.withResolvers<void>();
  const next = (runs: number) => {
    seen.push(runs);
    return 0;
  };
  const end = repeat(next, () => Promise.resolve(seen.length === 3 ? over.resolve() : undefined));
  await over.promise;
  await end();
  assert.deepEqual(seen.slice(0, 3), [0, 1, 2]);
});

Deno.test("everyFromNow: at once, then as often as it says, and without rounds that a long task has missed", () => {
  let now = 1000;
  const pause = everyFromNow(100, () => now);
  assert.equal(pause(), 0);
  now += 30;
  assert.equal(pause(), 70);
  now = 1100 + 250;
  assert.equal(pause(), 0);
  now += 40;
  assert.equal(pause(), 60);
});
