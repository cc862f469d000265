/** Keys with etcd leases that are kept, lost and replaced. */
import assert from "node:assert/strict";
import { KeptLease } from "../../services/store/lease.ts";
import { labEtcd } from "../lab/etcd.ts";
import { Relay } from "../lab/relay.ts";
import { type LabStore, labStore } from "../lab/store.ts";
import { until } from "../lab/until.ts";

/** A lease that holds `/a/held`, put again with each new lease. */
function holding(store: LabStore, ttlSeconds: number) {
  const granted: bigint[] = [], troubles: (string | undefined)[] = [];
  const lease = new KeptLease(store.connection, {
    ttlSeconds,
    async onGranted(id) {
      await store.committer.commit({ guards: [], ops: [{ put: "/a/held", value: '{"n":1}', lease: id }] });
      granted.push(id);
    },
    onTrouble: (reason) => troubles.push(reason),
  });
  return { lease, granted, troubles };
}

Deno.test("a key put with a lease outlives the lease's time to live while the lease is kept, and ends with it", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  await store.mirror.ready();
  // Long enough for a busy machine to renew it in time.
  const { lease, granted } = holding(store, 6);
  await until("held", (see) => see(store.mirror.get("/a/held")) !== undefined);
  assert(lease.live);
  const first = lease.liveUntil;
  await until("kept past its first time to live", (see) => see(performance.now()) > first + 1_000);
  assert(lease.live);
  assert.equal(granted.length, 1);
  // A renewal is a message each way on one stream, and no call of its own.
  const counts = await (await fetch(`${etcd.endpoint}/metrics`)).text();
  const started = /^grpc_server_started_total\{grpc_method="LeaseKeepAlive".*\} (\d+)$/m.exec(counts)?.[1];
  assert.equal(started, "1");
  assert.notEqual(await store.connection.get("/a/held"), undefined);
  await lease.close();
  assert.equal(await store.connection.get("/a/held"), undefined);
  assert(!lease.live);
});

Deno.test("a lease that is not kept alive ends by itself, and takes its keys along", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  // Long enough for a busy machine to put the keys meanwhile.
  const { id, ttlSeconds } = await store.connection.grantLease(4);
  assert(ttlSeconds >= 4);
  const put = await store.committer.commit({
    guards: [{ key: "/a/held", modRevision: 0 }],
    ops: [{ put: "/a/held", value: '{"n":1}', lease: id }, { put: "/a/stays", value: '{"n":2}' }],
  });
  assert(put.committed);
  await until("gone", async (see) => see(await store.connection.get("/a/held")) === undefined);
  assert.notEqual(await store.connection.get("/a/stays"), undefined);
  assert.equal(await store.connection.keepLease(id), 0);
  assert.equal(await store.connection.revokeLease(id), false);
});

Deno.test("an etcd that was away longer than the time to live: the lease is known to be uncertain, and goes on, or a new one does", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint], { timeoutMs: 1_000 });
  const { lease, granted, troubles } = holding(store, 2);
  await until("held", (see) => see(granted.length) === 1);
  await etcd.kill();
  await until("not known to live", () => !lease.live);
  assert.notEqual(lease.id, undefined);
  await etcd.start();
  await until("lives again", () => lease.live);
  await until("held again", async (see) => see(await store.connection.get("/a/held")) !== undefined);
  await until("told so", (see) => see(troubles).length > 1 && troubles.at(-1) === undefined);
  const isTrouble = troubles.map((reason) => reason !== undefined);
  assert(isTrouble.every((is, i) => is === (i % 2 === 0)), `told once each: ${troubles.join("; ")}`);
  assert.match(troubles.at(-2) ?? "", /etcd at/);
  await lease.close();
});

Deno.test("a lease that ended behind its keeper's back is replaced, and its keys are put again", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  const { lease, granted } = holding(store, 6);
  await until("held", (see) => see(granted.length) === 1);
  await store.connection.revokeLease(granted[0] ?? 0n);
  await until("held again", (see) => see(granted.length) === 2);
  assert(lease.live);
  assert.notEqual(granted[0], granted[1]);
  assert.notEqual(await store.connection.get("/a/held"), undefined);
  await lease.close();
});

Deno.test("answers that are lost do not make a lease look alive, and it is kept as soon as they come again", async () => {
  await using etcd = await labEtcd();
  using relay = new Relay(() => etcd.endpoint);
  using store = labStore([relay.endpoint], { timeoutMs: 500 });
  const { lease, granted } = holding(store, 2);
  await until("held", (see) => see(granted.length) === 1);
  await relay.swallowReplies();
  await until("not known to live", () => !lease.live);
  relay.cut();
  await until("lives again", () => lease.live);
  await lease.close();
});

Deno.test("a put with a lease that has ended writes nothing, and says so", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  const { id } = await store.connection.grantLease(60);
  assert.equal(await store.connection.revokeLease(id), true);
  const plan = { guards: [], ops: [{ put: "/a/held", value: '{"n":1}', lease: id }] };
  await assert.rejects(store.committer.commit(plan), /requested lease not found/);
  assert.equal(await store.connection.get("/a/held"), undefined);
});
