/** Mirrors while etcd is compacted, killed, restarted or replaced. */
import assert from "node:assert/strict";
import { StoreCommitter } from "../../services/store/commit.ts";
import { EtcdConnection } from "../../services/store/connection.ts";
import { StoreMirror } from "../../services/store/mirror.ts";
import { compact, MeddledWatch } from "../lab/connections.ts";
import { labEtcd } from "../lab/etcd.ts";
import { Relay } from "../lab/relay.ts";
import { create, labStore, patient, put, things, written } from "../lab/store.ts";
import { run } from "../lab/host.ts";
import { until } from "../lab/until.ts";

Deno.test("mirror shows what was there before, and follows puts and removals", async () => {
  await using etcd = await labEtcd();
  using writer = labStore([etcd.endpoint]);
  for (let i = 0; i < 2_500; i += 100) {
    const ops = Array.from({ length: 100 }, (_, j) => ({ put: `/a/${i + j}`, value: `{"n":${i + j}}` }));
    await writer.committer.commit({ guards: [], ops });
  }
  using reader = labStore([etcd.endpoint]);
  await reader.mirror.ready();
  assert.equal([...reader.mirror.entries()].length, 2_500);
  assert.equal(reader.mirror.get("/a/2499")?.record.n, 2_499);

  const outcome = await writer.committer.commit({
    guards: [],
    ops: [{ remove: "/a/7" }, { put: "/b/x", value: '{"n":1}' }],
  });
  assert(outcome.committed);
  await reader.mirror.reached(outcome.revision, ["/a/7", "/b/x"]);
  assert.equal(reader.mirror.get("/a/7"), undefined);
  assert.equal(reader.mirror.get("/b/x")?.modRevision, outcome.revision);
  assert.equal(reader.mirror.state.missed, 0);
});

Deno.test("mirror.reached() of a removal of what was not there does not wait for ever", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  await store.mirror.ready();
  const outcome = await store.committer.commit({ guards: [], ops: [{ remove: "/a/none" }] });
  assert(outcome.committed);
  await store.mirror.reached(outcome.revision + 1, ["/a/none", "/elsewhere"]);
});

Deno.test("mirror lists again when the history it needs was compacted during the watch", async () => {
  await using etcd = await labEtcd();
  using relay = new Relay(() => etcd.endpoint);
  using writer = labStore([etcd.endpoint]);
  using reader = labStore([relay.endpoint]);
  await reader.mirror.ready();
  await writer.committer.commit(put("/a/stays", 1));
  await writer.committer.commit(put("/a/goes", 1));
  await until("both seen", () => reader.changes.length === 2);

  relay.swallowReplies();
  await writer.committer.commit(put("/a/stays", 2));
  await writer.committer.commit({ guards: [], ops: [{ remove: "/a/goes" }] });
  const last = await writer.committer.commit(put("/b/new", 3));
  assert(last.committed);
  await compact(etcd.endpoint, last.revision);
  relay.cut();

  await reader.mirror.reached(last.revision, ["/b/new"]);
  await until("in sync", () => reader.mirror.state.inSync);
  assert.deepEqual([...reader.mirror.entries()].map(({ key, record }) => [key, record.n]).sort(), [[
    "/a/stays",
    2,
  ], ["/b/new", 3]]);
  const difference = reader.changes.slice(2).map((
    { key, before, after },
  ) => [key, before?.record.n, after?.record.n]);
  assert.deepEqual(difference.sort(), [["/a/goes", 1, undefined], ["/a/stays", 1, 2], [
    "/b/new",
    undefined,
    3,
  ]]);
  assert.equal(reader.mirror.state.relists, 1);
});

Deno.test("mirror shows every acknowledged write exactly once while etcd is killed and restarted", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint], { timeoutMs: 20_000 });
  await store.mirror.ready();
  const acknowledged = new Map<string, number>();
  let stop = false;
  const write = async (worker: number) => {
    for (let i = 0; !stop; i++) {
      const key = `/a/${worker}-${i}`;
      try {
        const outcome = await store.committer.commitGrouped(create(key, i));
        assert(outcome.committed);
        acknowledged.set(key, outcome.revision);
      } catch {
        // Refused, or unknown: then it may be there or not.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  const writers = Array.from({ length: 20 }, (_, worker) => write(worker));
  for (let round = 0; round < 3; round++) {
    const before = acknowledged.size;
    await until("writes go on", (see) => see(acknowledged.size) > before + 200);
    await etcd.kill("SIGKILL");
    await until("the mirror notices", () => !store.mirror.state.inSync);
    await etcd.start();
    await until("the mirror recovers", () => store.mirror.state.inSync);
  }
  stop = true;
  await Promise.all(writers);
  await until("all seen", () => [...acknowledged.keys()].every((key) => store.mirror.get(key)));

  const seen = new Map<string, number>();
  for (const { key, after } of store.changes) {
    assert(after, `${key} was never removed`);
    assert(!seen.has(key), `${key} seen twice`);
    seen.set(key, after.modRevision);
  }
  for (const [key, revision] of acknowledged) assert.equal(seen.get(key), revision, key);
  const told = store.events.map(({ kind }) => kind).filter((kind) => /^(in|out-of)-sync$/.test(kind));
  assert(told.every((kind, i) => kind !== told[i - 1]), `reported once each time: ${told}`);
  // A busy machine's etcd may be away in between, too.
  assert(told.filter((kind) => kind === "out-of-sync").length >= 3, `reported each time: ${told}`);
});

Deno.test("mirror keeps the good record of a key that turns to garbage, reports it once, takes the next good one", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  await store.mirror.ready();
  const good = await store.committer.commit(create("/a/x", 1));
  assert(good.committed);
  await store.mirror.reached(good.revision, ["/a/x"]);
  const bad = await store.committer.commit({
    guards: [],
    ops: [{ put: "/a/x", value: "\u0000garbage" }, { put: "/a/y", value: "{}" }, {
      put: "/a/foreign",
      value: "?",
    }],
  });
  assert(bad.committed);
  await store.mirror.reached(bad.revision, ["/a/x", "/a/y", "/a/foreign"]);
  assert.equal(store.mirror.get("/a/x")?.record.n, 1);
  assert.equal(store.mirror.get("/a/x")?.modRevision, good.revision);
  assert.equal(store.mirror.get("/a/y"), undefined);
  assert.deepEqual([...store.mirror.state.quarantined.keys()].sort(), ["/a/x", "/a/y"]);
  assert.equal(store.events.filter(({ kind }) => kind === "bad-record").length, 2);

  const lost = await store.committer.commit({
    ...put("/a/x", 5),
    guards: [{ key: "/a/x", modRevision: good.revision }],
  });
  assert.deepEqual(lost, { committed: false, current: [{ key: "/a/x", modRevision: bad.revision }] });
  await store.mirror.caughtUp([{ key: "/a/x", modRevision: bad.revision }]);

  const mended = await store.committer.commit({
    guards: [],
    ops: [{ put: "/a/x", value: '{"n":2}' }, { remove: "/a/y" }],
  });
  assert(mended.committed);
  await store.mirror.reached(mended.revision, ["/a/x", "/a/y"]);
  assert.equal(store.mirror.get("/a/x")?.record.n, 2);
  assert.equal(store.mirror.state.quarantined.size, 0);
});

Deno.test("mirror notices an etcd that hangs with its connections open, and goes on when it wakes", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint], { timeoutMs: 1_000 });
  await store.mirror.ready();
  await until("in sync", () => store.mirror.state.inSync);
  etcd.freeze();
  await until("noticed", () => !store.mirror.state.inSync);
  etcd.thaw();
  await until("in sync again", () => store.mirror.state.inSync);
  await written(store, put("/a/x", 1));
  await until("it is shown", (see) => see(store.mirror.get("/a/x"))?.record.n === 1);
});

Deno.test("mirror.ready() waits for an etcd that is not there yet, saying so once, unless aborted", async () => {
  await using etcd = await labEtcd();
  await etcd.kill();
  using store = labStore([etcd.endpoint]);
  await until("it is told", (see) => see(store.events).length > 0);
  await assert.rejects(store.mirror.ready({ signal: AbortSignal.timeout(1_500) }), { name: "TimeoutError" });
  assert.equal(store.events.length, 1);
  await etcd.start();
  await store.mirror.ready();
});

Deno.test("mirror finds what the watch has lost by comparing itself with a listing, and counts it", async () => {
  await using etcd = await labEtcd();
  using writer = labStore([etcd.endpoint]);
  const connection = new EtcdConnection({ endpoints: [etcd.endpoint], ...patient }),
    watch = new MeddledWatch(connection, "/a/lost");
  const mirror = new StoreMirror(connection, things, { checkEveryMs: 200, settleMs: 500 });
  await mirror.ready();
  await until("in sync", () => mirror.state.inSync);
  await writer.committer.commit(put("/a/lost", 1));
  await writer.committer.commit(put("/a/kept", 1));
  await until("lost one", (see) => see(watch.lost) === 1);
  await until("found it", (see) => see(mirror.get("/a/lost")) !== undefined);
  assert.equal(mirror.state.missed, 1);
  await writer.committer.commit({ guards: [], ops: [{ remove: "/a/lost" }] });
  await until("found the removal", (see) => see(mirror.get("/a/lost")) === undefined);
  assert.equal(mirror.state.missed, 2);
  assert.equal(mirror.get("/a/kept")?.record.n, 1);
  mirror.close();
  connection.close();
});

Deno.test("mirror.reached() does not hang on an event that the watch has lost", async () => {
  await using etcd = await labEtcd();
  const connection = new EtcdConnection({ endpoints: [etcd.endpoint], ...patient });
  new MeddledWatch(connection, "/a/lost");
  const mirror = new StoreMirror(connection, things);
  await mirror.ready();
  const outcome = await new StoreCommitter(connection).commit(put("/a/lost", 1));
  assert(outcome.committed);
  await mirror.reached(outcome.revision, ["/a/lost"], { signal: AbortSignal.timeout(60_000) });
  assert.equal(mirror.get("/a/lost")?.record.n, 1);
  assert.equal(mirror.state.missed, 1);
  mirror.close();
  connection.close();
});

Deno.test("mirror finds nothing missed in a busy store", async () => {
  await using etcd = await labEtcd();
  using writer = labStore([etcd.endpoint]);
  using store = labStore([etcd.endpoint], { checkEveryMs: 20, settleMs: 200 });
  await store.mirror.ready();
  const deadline = Date.now() + 2_000;
  for (let i = 0; Date.now() < deadline; i++) {
    await writer.committer.commit(put(`/a/${i % 5}`, i));
    await writer.committer.commit({ guards: [], ops: [{ remove: `/a/${(i + 2) % 5}` }] });
  }
  assert.equal(store.mirror.state.missed, 0);
  assert.equal(store.mirror.state.relists, 0);
});

Deno.test("mirror lists again from a store that was set back, and emits the difference", async () => {
  await using before = await labEtcd();
  await using after = await labEtcd();
  using writer = labStore([before.endpoint]);
  for (let i = 0; i < 10; i++) await writer.committer.commit(put(`/a/${i}`, i));
  using other = labStore([after.endpoint]);
  await other.committer.commit(put("/a/3", 33));
  let target = before.endpoint;
  using relay = new Relay(() => target);
  using store = labStore([relay.endpoint]);
  await store.mirror.ready();
  const cluster = store.mirror.clusterId;
  assert.equal([...store.mirror.entries()].length, 10);
  target = after.endpoint;
  relay.cut();
  await until("relisted", (see) => see(store.mirror.state.relists) === 1);
  assert.deepEqual([...store.mirror.entries()].map(({ key, record }) => [key, record.n]), [["/a/3", 33]]);
  assert.notEqual(store.mirror.clusterId, cluster);
});

Deno.test("a mirror that comes back to the same member does not list everything at once, though it does soon", async () => {
  await using etcd = await labEtcd();
  using relay = new Relay(() => etcd.endpoint);
  using store = labStore([relay.endpoint]);
  await until("in sync", () => store.mirror.state.inSync);
  const { connection } = store, list = connection.list.bind(connection);
  const listed: number[] = [];
  connection.list = (...what) => {
    listed.push(performance.now());
    return list(...what);
  };
  const cut = performance.now();
  relay.cut();
  await until("compared", (see) => see(listed.length) > 0);
  // A thousand processes come back within some 400 ms.
  assert(listed[0]! - cut >= 800, `after ${listed[0]! - cut} ms`);
});

Deno.test("a store restored past the revision that was known is read again soon after the reconnection", async () => {
  await using etcd = await labEtcd();
  const writer = labStore([etcd.endpoint]);
  await writer.committer.commit(put("/a/stays", 1));
  await writer.committer.commit(put("/a/changed", 1));
  writer.close();
  const data = `${etcd.dir}/${etcd.urls.name}`, backup = `${etcd.dir}/backup`;
  await etcd.kill("SIGTERM");
  await run(["cp", "-r", data, backup]);
  await etcd.start();

  let target = etcd.endpoint;
  using relay = new Relay(() => target);
  using store = labStore([relay.endpoint]);
  await store.committer.commit(put("/a/changed", 2));
  await until("seen", () => store.mirror.get("/a/changed")?.record.n === 2 && store.mirror.state.inSync);
  const known = store.mirror.state.revision;

  target = "http://127.0.0.1:1";
  relay.cut();
  await etcd.kill("SIGTERM");
  await Deno.remove(data, { recursive: true });
  await run(["mv", backup, data]);
  await etcd.start();
  using restored = labStore([etcd.endpoint]);
  for (let n = 0; n < 10; n++) await restored.committer.commit(put("/b/n", n));
  assert((await restored.connection.head()).revision > known, "nothing tells it from the former store");
  store.changes.length = 0;
  target = etcd.endpoint;
  const all = [["/a/changed", 1], ["/a/stays", 1], ["/b/n", 9]];
  const shown = () => [...store.mirror.entries()].map(({ key, record }) => [key, record.n]).sort();
  await until("shows what is there", (see) => see(JSON.stringify(shown())) === JSON.stringify(all));
  assert(
    store.changes.some(({ key, after }) => key === "/a/changed" && after?.record.n === 1),
    "and tells so",
  );
  assert(store.events.some((event) => event.kind === "missed" && event.restored), "it is told as what it is");
});
