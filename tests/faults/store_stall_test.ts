/** A process that is stopped, or busy, for longer than etcd may take to answer: that is not etcd's silence. */
import assert from "node:assert/strict";
import { labEtcd } from "../lab/etcd.ts";
import { create, labStore } from "../lab/store.ts";
import { until } from "../lab/until.ts";

/** Nothing else happens in this process meanwhile, as when something large is planned. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

Deno.test("an answer that came while the process was busy for longer than a call may take is read, and the fence stays", async () => {
  await using etcd = await labEtcd();
  // As long as a service waits.
  using store = labStore([etcd.endpoint], { maxInFlight: 8, writeMs: 2_000, timeoutMs: 5_000 });
  await store.mirror.ready();
  await store.committer.commit(create("/a/first", 1));
  await until("in sync", () => store.mirror.state.inSync);
  etcd.freeze();
  const outcomes = Array.from({ length: 4 }, (_, i) => store.committer.commit(create(`/a/${i}`, 1)));
  // Long enough for them to be sent; etcd answers while this process does nothing.
  await new Promise((resolve) => setTimeout(resolve, 100));
  etcd.thaw();
  block(3_000);
  assert.deepEqual((await Promise.all(outcomes)).map(({ committed }) => committed), [true, true, true, true]);
  const { kvs } = await store.connection.range({
    key: "/strand/fence/",
    end: "/strand/fence0",
    keysOnly: true,
  });
  const first = await store.connection.get("/a/first");
  assert(kvs[0] && first && kvs[0].modRevision < first.modRevision, "the fence stands where it stood");
});
