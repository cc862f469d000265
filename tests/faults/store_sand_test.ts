/** The agent's store: which parts of the overlay networks a host's mirror holds. */
import assert from "node:assert/strict";
import { createLog, type Log } from "../../services/common/log.ts";
import { endpointRecord, network } from "../../services/overlay/testing.ts";
import { openSandStore, type SandStore } from "../../services/store/sand_store.ts";
import { labEtcd } from "../lab/etcd.ts";
import { patient } from "../lab/store.ts";
import { until } from "../lab/until.ts";

const log: Log = createLog("test", { level: "fatal", format: "json" });

function open(
  endpoint: string,
  options: { prefix?: string; hostname?: string } = {},
): SandStore & Disposable {
  const { prefix = "/sc-net", hostname = "h1" } = options;
  const store = openSandStore({ endpoints: [endpoint], prefix, hostname, log, ...patient });
  return { ...store, [Symbol.dispose]: () => store.close() };
}

const blue = network.id, red = "620a669f-e465-4806-ab46-f2e6620c4322";

/** Two networks, each with an endpoint on two hosts, as they are stored. */
async function fill({ keys, committer }: SandStore): Promise<void> {
  const values = new Map<string, unknown>();
  for (const id of [blue, red]) {
    values.set(keys.network(id), { ...network, id });
    values.set(keys.allocation(id), { id, address_range: "10.0.0.0/24", address_count: 256, bit_set: "" });
    for (const host of ["h1", "h2"]) {
      const record = endpointRecord(`${id}-${host}`, { network_id: id, hostname: host });
      values.set(keys.hostEndpoint(host, record.id), record);
      values.set(keys.networkEndpoint(id, record.id), record);
      values.set(keys.hostNetwork(host, id), { id, created_at: "" });
      values.set(keys.networkHost(id, host), { id, created_at: "" });
      values.set(keys.applied(id, host), { revision: 1 });
    }
  }
  const ops = [...values].map(([put, value]) => ({ put, value: JSON.stringify(value) }));
  const broken = { put: keys.hostEndpoint("h2", "broken"), value: "?" };
  assert((await committer.commit({ guards: [], ops: [...ops, broken] })).committed);
}

function kinds({ mirror }: SandStore): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { record } of mirror.entries()) counts[record.kind] = (counts[record.kind] ?? 0) + 1;
  return counts;
}

const base = { "network": 2, "host-endpoint": 2, "host-network": 2 };
const held = { "network-endpoint": 2, "network-host": 2, "allocation": 1, "applied": 2 };

Deno.test("a host's store shows all networks, what is the host's, and of a network that is held everything", async () => {
  await using etcd = await labEtcd();
  using writer = open(etcd.endpoint, { hostname: "h9" });
  await fill(writer);
  using store = open(etcd.endpoint);
  await store.mirror.ready();
  assert.deepEqual(kinds(store), base);
  const release = await store.hold(blue), again = await store.hold(blue);
  assert.deepEqual(kinds(store), { ...base, ...held });
  release();
  release();
  assert.deepEqual(kinds(store), { ...base, ...held });
  const { keys } = store;
  const put = keys.applied(blue, "h2");
  const outcome = await writer.committer.commit({ guards: [], ops: [{ put, value: '{"revision":7}' }] });
  assert(outcome.committed);
  await store.mirror.reached(outcome.revision, [put]);
  assert.deepEqual(store.mirror.get(put)?.record.value, { revision: 7 });
  again();
  assert.deepEqual(kinds(store), base);

  const all = await store.holdAll([blue, red, blue]);
  assert.deepEqual(kinds(store), {
    ...base,
    ...Object.fromEntries(Object.entries(held).map(([kind, count]) => [kind, count * 2])),
  });
  all();
  assert.deepEqual(kinds(store), base);
  for (const id of ["", "a/b"]) await assert.rejects(store.hold(id), { code: "not-found" });
});

Deno.test("a network that cannot be listed is not held, and can be when etcd is back", async () => {
  await using etcd = await labEtcd();
  using writer = open(etcd.endpoint, { hostname: "h9" });
  await fill(writer);
  using store = open(etcd.endpoint);
  await store.mirror.ready();
  await etcd.kill();
  await assert.rejects(store.holdAll([blue, red]), { code: "unavailable" });
  await assert.rejects(store.allEndpoints(), { code: "unavailable" });
  await etcd.start();
  await until("in sync", () => store.mirror.state.inSync);
  assert.deepEqual(kinds(store), base);
  await store.hold(blue);
  assert.deepEqual(kinds(store), { ...base, ...held });
});

Deno.test("endpoints of other hosts are read from etcd, without those that cannot be read", async () => {
  await using etcd = await labEtcd();
  using store = open(etcd.endpoint);
  await fill(store);
  const ids = (records: readonly { id: string }[]) => records.map(({ id }) => id).sort();
  assert.deepEqual(ids(await store.allEndpoints()), [`${blue}-h1`, `${blue}-h2`, `${red}-h1`, `${red}-h2`]);
  assert.deepEqual(ids(await store.endpointsOfHost("h2")), [`${blue}-h2`, `${red}-h2`]);
  assert.deepEqual(ids(await store.endpointsOfHost("h")), []);
  assert.deepEqual(ids(await store.endpointsOfNetwork(red)), [`${red}-h1`, `${red}-h2`]);
});

Deno.test("a commit waits for the lock of an old agent", async () => {
  await using etcd = await labEtcd();
  using store = open(etcd.endpoint);
  const lock = `${store.keys.allocationLocks(blue)}1234`;
  await store.committer.commit({ guards: [], ops: [{ put: lock, value: "" }] });
  const plan = {
    guards: [],
    prefixGuards: [{ prefix: store.keys.allocationLocks(blue), unchangedSince: 0 }],
    ops: [{ put: store.keys.allocation(blue), value: "{}" }],
  };
  let settled = false;
  const committing = store.committer.commit(plan).finally(() => settled = true);
  await store.connection.head();
  await store.connection.head();
  assert.equal(settled, false);
  await store.committer.commit({ guards: [], ops: [{ remove: lock }] });
  assert.equal((await committing).committed, false);
  assert.equal((await store.committer.commit(plan)).committed, true);
  assert.equal(store.committer.refused, undefined);
});

Deno.test("networks under /sc-net are told of where the prefix holds nothing", async () => {
  await using etcd = await labEtcd();
  using usual = open(etcd.endpoint);
  using other = open(etcd.endpoint, { prefix: "/other/" });
  assert.deepEqual([await usual.networksElsewhere(), await other.networksElsewhere()], [0, 0]);
  await fill(usual);
  assert.deepEqual([await usual.networksElsewhere(), await other.networksElsewhere()], [0, 2]);
  await fill(other);
  assert.equal(await other.networksElsewhere(), 0);
});
