import assert from "node:assert/strict";
import { Refusal } from "../../common/refusal.ts";
import { Retries } from "./retries.ts";

const IN_SYNC = { state: { inSync: true }, inSync: () => Promise.resolve() };

Deno.test("a request waits while the kernel is not as it was read, for two seconds from the first failure on", () => {
  const closing = new AbortController(), error = new Error("there is no br0");
  let now = 0;
  const retries = new Retries(IN_SYNC, () => {}, closing.signal, () => now);
  assert.ok(retries.mayPass(error));
  assert.equal(retries.isPassing, false, "nothing has failed yet");
  assert.equal(retries.failed(error), true);
  assert.ok(retries.isPassing);
  now = 1999;
  assert.equal(retries.failed(error), false);
  assert.ok(retries.isPassing);
  now = 2000;
  retries.failed(error);
  assert.equal(retries.isPassing, false);
  assert.equal(retries.mayPass(error), false);
  retries.succeeded();
  assert.equal(retries.isFailing, false);
  assert.ok(retries.mayPass(error), "the next failure is the first one again");
  closing.abort();
});

Deno.test("no request waits for what is wrong with it, or with etcd", () => {
  const closing = new AbortController();
  const retries = new Retries(IN_SYNC, () => {}, closing.signal);
  retries.failed(new Refusal("unavailable", "etcd does not answer"));
  assert.ok(retries.isFailing);
  assert.equal(retries.isPassing, false);
  closing.abort();
});

Deno.test("the next try comes soon, and at once when etcd is back", async () => {
  const closing = new AbortController(), back = Promise.withResolvers<void>();
  let tried = Promise.withResolvers<void>();
  const retries = new Retries(
    { state: { inSync: false }, inSync: () => back.promise },
    () => tried.resolve(),
    closing.signal,
  );
  retries.failed(new Error("first"));
  await tried.promise;
  tried = Promise.withResolvers();
  for (let i = 0; i < 10; i++) retries.failed(new Error("again"));
  back.resolve();
  await tried.promise;
  closing.abort();
});

Deno.test("a failure after the end leaves no timer", { sanitizeOps: true, sanitizeResources: true }, () => {
  const closing = new AbortController();
  closing.abort();
  const retries = new Retries(IN_SYNC, () => {}, closing.signal);
  assert.equal(retries.failed(new Error("late")), true);
});
