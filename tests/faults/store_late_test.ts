/** Transactions that were given up and reach etcd later, out of a hung member's socket: none may be applied. */
import assert from "node:assert/strict";
import { Refusal } from "../../services/common/refusal.ts";
import { change } from "../../services/store/change.ts";
import type { CommitOutcome, Plan } from "../../services/store/types.ts";
import { labCluster, labEtcd } from "../lab/etcd.ts";
import { historyOf } from "../lab/history.ts";
import { Relay } from "../lab/relay.ts";
import { create, type LabStore, labStore, put } from "../lab/store.ts";

function add(store: LabStore, key: string, grouped = false): Promise<unknown> {
  return change(store, () => store.mirror.get(key) ? undefined : create(key, 1), {
    grouped,
    patienceMs: 60_000,
  });
}

function remove(store: LabStore, key: string): Promise<unknown> {
  return change(store, (): Plan | undefined => {
    const entry = store.mirror.get(key);
    return entry && { guards: [{ key, modRevision: entry.modRevision }], ops: [{ remove: key }] };
  }, { patienceMs: 60_000 });
}

/** What became of a key: "+" for each time that it was written, "-" for each that it was removed. */
async function lifeOf(endpoint: string, last: string): Promise<Map<string, string>> {
  const lives = new Map<string, string>();
  for (const { kv: { key }, removed } of await historyOf(endpoint, "/a/", last)) {
    lives.set(key, (lives.get(key) ?? "") + (removed ? "-" : "+"));
  }
  return lives;
}

for (const grouped of [false, true]) {
  const how = grouped ? "in shared transactions" : "one by one";
  Deno.test(`records added ${how} while the member in use hangs, and deleted after their answer, do not come back when it goes on`, async () => {
    await using stack = new AsyncDisposableStack();
    const members = await labCluster(3);
    for (const member of members) stack.use(member);
    const [hung, healthy] = members;
    assert(hung && healthy);
    using store = labStore(members.map(({ endpoint }) => endpoint), { timeoutMs: 1_000 });
    await store.mirror.ready();
    await add(store, "/a/first");

    hung.freeze();
    const keys = Array.from({ length: 10 }, (_, i) => `/a/${i}`);
    await Promise.all(keys.map(async (key) => {
      await add(store, key, grouped);
      await remove(store, key);
    }));
    hung.thaw();
    await hung.healthy();
    // It answers: what has waited in its socket since before is read by now or about to be.
    using direct = labStore([hung.endpoint]);
    await add(direct, "/a/last");
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await add(store, "/a/end");

    const lives = await lifeOf(healthy.endpoint, "/a/end");
    for (const key of keys) assert.equal(lives.get(key), "+-", `${key} was made and removed once`);
  });
}

Deno.test("of many transactions under way when an answer is lost each is committed once, and the fence is no conflict", async () => {
  await using etcd = await labEtcd();
  using relay = new Relay(() => etcd.endpoint);
  using store = labStore([relay.endpoint], { timeoutMs: 2_000, maxPlans: 4, maxInFlight: 16 });
  await store.mirror.ready();
  const count = (key: string) =>
    change(store, () => {
      const before = store.mirror.get(key);
      const guards = [{ key, modRevision: before?.modRevision ?? 0 }];
      return (before?.record.n ?? 0) >= 10 ? undefined : { ...put(key, (before?.record.n ?? 0) + 1), guards };
    }, { grouped: true });
  const keys = Array.from({ length: 100 }, (_, i) => `/a/${i}`);
  // Only a connection that is not there yet may be an error for the client: then nothing was written.
  const away = (error: unknown) => {
    if (!(error instanceof Refusal && error.code === "unavailable")) throw error;
  };
  const cuts = async () => {
    for (let i = 0; i < 3; i++) {
      await relay.swallowReplies();
      relay.cut();
    }
  };
  const counts = keys.map(async (key) => {
    while ((store.mirror.get(key)?.record.n ?? 0) < 10) await count(key).catch(away);
  });
  await Promise.all([cuts(), ...counts]);
  await add(store, "/a/end");
  const written = new Map<string, unknown[]>();
  for (const { kv: { key, value } } of await historyOf(etcd.endpoint, "/a/", "/a/end")) {
    written.set(key, [...written.get(key) ?? [], JSON.parse(new TextDecoder().decode(value)).n]);
  }
  for (const key of keys) assert.deepEqual(written.get(key), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], key);
});

Deno.test("a store that is emptied takes what is written next: a fence that vanished is neither a conflict nor an error", async () => {
  await using etcd = await labEtcd();
  using one = labStore([etcd.endpoint]);
  using two = labStore([etcd.endpoint]);
  const outcomes: CommitOutcome[] = [await one.committer.commit(create("/a/1", 1))];
  outcomes.push(await two.committer.commit(create("/a/2", 1)));
  const fences = async () => {
    const { kvs } = await one.connection.range({
      key: "/strand/fence/",
      end: "/strand/fence0",
      keysOnly: true,
    });
    return kvs.map(({ key, modRevision }) => `${key} ${modRevision}`);
  };
  const before = await fences();
  assert.equal(before.length, 2, "each process has its own");
  await two.committer.commit({ guards: [], ops: before.map((line) => ({ remove: line.split(" ")[0]! })) });
  await two.committer.commit({ guards: [], ops: [{ remove: "/a/1" }, { remove: "/a/2" }] });
  outcomes.push(await one.committer.commit(create("/a/1", 2)));
  outcomes.push(
    ...await Promise.all([create("/a/2", 2), create("/a/3", 2)].map((p) => two.committer.commitGrouped(p))),
  );
  assert.deepEqual(outcomes.map(({ committed }) => committed), [true, true, true, true, true]);
  const lost = await one.committer.commit(create("/a/1", 3));
  assert(!lost.committed);
  assert.deepEqual(lost.current.map(({ key }) => key), ["/a/1"], "a conflict tells of its plan's keys alone");
  assert.equal((await fences()).length, 2);
});

Deno.test("the fence of a process that is gone goes with its lease, and one that lives goes on without it", async () => {
  await using etcd = await labEtcd();
  const post = async (path: string, body: unknown) =>
    await (await fetch(etcd.endpoint + path, { method: "POST", body: JSON.stringify(body) })).json();
  using store = labStore([etcd.endpoint]);
  await store.committer.commit(create("/a/1", 1));
  const { leases: [{ ID }] } = await post("/v3/lease/leases", {});
  const { TTL, keys: [held] } = await post("/v3/lease/timetolive", { ID, keys: true });
  assert(Number(TTL) > 0 && Number(TTL) <= 3600, TTL);
  assert.match(atob(held), /^\/strand\/fence\/[-0-9a-f]{36}$/);
  await post("/v3/lease/revoke", { ID });
  assert.equal(await store.connection.get(atob(held)), undefined);
  assert((await store.committer.commit(create("/a/2", 1))).committed);
  assert(await store.connection.get(atob(held)));
});
