import assert from "node:assert/strict";
import { TxnResponse } from "../../proto/gen/etcd.ts";
import { Refusal } from "../common/refusal.ts";
import type { EtcdConnection } from "./connection.ts";
import { Fence } from "./fence.ts";

/** An etcd that grants leases and writes the fence's key, unless `fails` says otherwise. */
function setUp() {
  const calls: string[] = [], ids = new Set<bigint | undefined>();
  const state: { fails?: (call: string) => Error | undefined; revision: number } = { revision: 1 };
  const called = (call: string) => {
    calls.push(call);
    const error = state.fails?.(call);
    if (error) throw error;
  };
  const connection: Pick<EtcdConnection, "grantLease" | "txn"> = {
    async grantLease(ttlSeconds, id) {
      ids.add(id);
      await Promise.resolve(called("grant"));
      return { id: id ?? 7n, ttlSeconds };
    },
    async txn() {
      await Promise.resolve(called("put"));
      const header = { clusterId: 0n, memberId: 0n, revision: BigInt(++state.revision) };
      return TxnResponse.encode({ header, succeeded: true, responses: [] }).finish();
    },
  };
  return { calls, ids, state, fence: new Fence(connection as EtcdConnection, "/fence") };
}

const away = () => new Refusal("unavailable", "no answer in time");

Deno.test("a fence that moves again and again is put with the one lease that its process was granted", async () => {
  const { calls, fence } = setUp();
  for (let i = 0; i < 3; i++) fence.left((await fence.held()).modRevision);
  assert.deepEqual(calls, ["grant", "put", "put", "put"]);
});

Deno.test("a lease whose grant was not answered is asked for by the same id, so that none is left over in etcd", async () => {
  const { calls, ids, state, fence } = setUp();
  state.fails = (call) => call === "grant" ? away() : undefined;
  for (let i = 0; i < 3; i++) await assert.rejects(fence.held(), /no answer in time/);
  delete state.fails;
  await fence.held();
  assert.deepEqual(calls, ["grant", "grant", "grant", "grant", "put"]);
  assert.equal(ids.size, 1);
  assert(([...ids][0] ?? 0n) > 0n);
});

Deno.test("a lease that has ended is requested again when the key is next put", async () => {
  const { calls, state, fence } = setUp();
  fence.left((await fence.held()).modRevision);
  const details = "etcdserver: requested lease not found";
  state.fails = () => {
    delete state.fails;
    return Object.assign(new Error(details), { code: 5, details });
  };
  assert.equal((await fence.held()).modRevision, 3);
  assert.deepEqual(calls, ["grant", "put", "put", "grant", "put"]);
});

Deno.test("many answers that were lost at once cost an etcd that is away no more tries than one, more and more seldom", async () => {
  const { calls, state, fence } = setUp();
  const { modRevision } = await fence.held();
  calls.length = 0;
  state.fails = away;
  const settled = Array.from(
    { length: 100 },
    () => fence.passed(modRevision, AbortSignal.timeout(20_000)),
  );
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  assert(calls.length <= 6, `${calls.length} tries in a second`);
  delete state.fails;
  // The next write ends the wait of all the others.
  await fence.held();
  const before = calls.length;
  await Promise.all([...settled, fence.settled(AbortSignal.timeout(20_000))]);
  assert.equal(calls.length, before);
  fence.close();
});

Deno.test("what waits for an unknown outcome is refused when the store is closed, and is not told that it is settled", async () => {
  const { state, fence } = setUp();
  const { modRevision } = await fence.held();
  state.fails = away;
  const signal = new AbortController().signal;
  const passed = fence.passed(modRevision, signal), settled = fence.settled(signal);
  fence.close();
  await assert.rejects(passed, /^Refusal: the store is being closed$/);
  await assert.rejects(settled, /^Refusal: the store is being closed$/);
  await assert.rejects(fence.passed(modRevision, signal), /^Refusal: the store is being closed$/);
});
