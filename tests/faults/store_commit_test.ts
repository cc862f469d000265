/** Commits of the store: guards, limits, and lost answers. */
import assert from "node:assert/strict";
import { change } from "../../services/store/change.ts";
import { UnknownOutcome } from "../../services/store/errors.ts";
import type { Plan } from "../../services/store/types.ts";
import { labEtcd } from "../lab/etcd.ts";
import { Relay } from "../lab/relay.ts";
import { create, labStore, put } from "../lab/store.ts";
import { quickly } from "../lab/quickly.ts";
import { until } from "../lab/until.ts";

Deno.test("commit() writes all of a plan or nothing, and says what stands in the way", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  const first = await store.committer.commit(create("/a/x", 1));
  assert(first.committed);
  const plan = {
    guards: [{ key: "/a/y", modRevision: 0 }, { key: "/a/x", modRevision: 0 }],
    ops: [{ put: "/a/y", value: '{"n":2}' }],
  };
  assert.deepEqual(await store.committer.commit(plan), {
    committed: false,
    current: [{ key: "/a/y", modRevision: 0 }, { key: "/a/x", modRevision: first.revision }],
  });
  assert.equal(await store.connection.get("/a/y"), undefined);
});

Deno.test("commit() with a prefix guard loses to anything written under the prefix since, naming it", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  const first = await store.committer.commit(put("/a/net/x", 1));
  assert(first.committed);
  const second = await store.committer.commit(put("/a/net/y", 1));
  assert(second.committed);
  const since = (unchangedSince: number): Plan => ({
    ...put("/a/z", 1),
    prefixGuards: [{ prefix: "/a/net/", unchangedSince }],
  });
  const outcome = await store.committer.commit(since(first.revision));
  assert.deepEqual(outcome, {
    committed: false,
    current: [{ key: "/a/net/y", modRevision: second.revision }],
  });
  assert((await store.committer.commit(since(second.revision))).committed);
});

Deno.test("commit() refuses a plan that etcd could not take before sending it", async () => {
  using store = labStore(["http://127.0.0.1:1"]);
  const ops = Array.from({ length: 129 }, (_, i) => ({ put: `/a/${i}`, value: "{}" }));
  await assert.rejects(
    store.committer.commit({ guards: [], ops }),
    /0 guards and 129 operations: at most 127/,
  );
  await assert.rejects(store.committer.commitGrouped({ guards: [], ops }), /at most 127/);
  const twice = { guards: [], ops: [{ put: "/a/x", value: "{}" }, { remove: "/a/x" }] };
  await assert.rejects(store.committer.commit(twice), /one key twice/);
});

Deno.test("commit() takes 127 guards and 127 operations", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  const keys = Array.from({ length: 127 }, (_, i) => `/a/${i}`);
  const plan = {
    guards: keys.map((key) => ({ key, modRevision: 0 })),
    ops: keys.map((put) => ({ put, value: '{"n":0}' })),
  };
  assert((await store.committer.commitGrouped(plan)).committed);
  const again = await store.committer.commit(plan);
  assert(!again.committed);
  assert.equal(again.current.length, 127);
});

Deno.test("commitGrouped() lets a plan that conflicts fail alone", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  await store.committer.commit(put("/a/5", 0));
  await store.committer.commit(put("/a/55", 0));
  const outcomes = await Promise.all(
    Array.from({ length: 100 }, (_, i) => store.committer.commitGrouped(create(`/a/${i}`, i))),
  );
  const lost = outcomes.flatMap(({ committed }, i) => committed ? [] : [i]);
  assert.deepEqual(lost, [5, 55]);
});

Deno.test("commitGrouped() gives a contested key to one of many, and every plan sees its neighbours' writes", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  const contested = await Promise.all(
    Array.from({ length: 50 }, (_, i) => store.committer.commitGrouped(create("/a/one", i))),
  );
  assert.equal(contested.filter(({ committed }) => committed).length, 1);

  // Each writes what the other has guarded: were both checked by the state before, both would win.
  const [x, y] = await Promise.all([
    store.committer.commitGrouped({
      guards: [{ key: "/a/p", modRevision: 0 }],
      ops: [{ put: "/a/q", value: '{"n":1}' }],
    }),
    store.committer.commitGrouped({
      guards: [{ key: "/a/q", modRevision: 0 }],
      ops: [{ put: "/a/p", value: '{"n":1}' }],
    }),
  ]);
  assert.deepEqual([x?.committed, y?.committed].sort(), [false, true]);

  const prefixGuards = [{ prefix: "/b/", unchangedSince: (await store.connection.head()).revision }];
  const [writer, guard] = await Promise.all([
    store.committer.commitGrouped(put("/b/1", 1)),
    store.committer.commitGrouped({ ...put("/a/r", 1), prefixGuards }),
  ]);
  assert(writer?.committed);
  assert(guard);
  // The two may be under way at once: whichever etcd takes first, the guard held when it was checked.
  assert(!guard.committed || guard.revision < writer.revision);
});

Deno.test("a plan that etcd finds malformed or too large fails alone, its neighbours are written", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  const outcomes = await Promise.allSettled([
    store.committer.commitGrouped(put("/a/1", 1)),
    store.committer.commitGrouped({ ...put("/a/2", 1), guards: [{ key: "", modRevision: 0 }] }),
    store.committer.commitGrouped({ guards: [], ops: [{ put: "/a/3", value: "x".repeat(2_000_000) }] }),
    store.committer.commitGrouped(put("/a/4", 1)),
  ]);
  const told = outcomes.map((outcome) => outcome.status === "rejected" ? String(outcome.reason) : "");
  assert.equal(told[0], "");
  assert.match(told[1] ?? "", /key is not provided/);
  assert.match(told[2] ?? "", /too large/);
  assert.equal(told[3], "");
});

Deno.test("without etcd a commit and a read are refused at once, naming the endpoint and the reason", async () => {
  using store = labStore(["http://127.0.0.1:1"]);
  const refusal = {
    name: "Refusal",
    code: "unavailable",
    message: /^etcd at http:\/\/127\.0\.0\.1:1 cannot be used: .*ECONNREFUSED/,
  };
  await quickly(2_000, async () => {
    await assert.rejects(store.committer.commit(put("/a/x", 1)), refusal);
    await assert.rejects(store.committer.commitGrouped(put("/a/x", 1)), refusal);
    await assert.rejects(store.connection.get("/a/x"), refusal);
  });
  assert.deepEqual(
    (await store.connection.status()).map(({ endpoint, problem }) => [endpoint, typeof problem]),
    [
      ["http://127.0.0.1:1", "string"],
    ],
  );
});

Deno.test("an answer that is lost is an unknown outcome, and is not sent again", async () => {
  await using etcd = await labEtcd();
  using relay = new Relay(() => etcd.endpoint);
  using store = labStore([relay.endpoint], { timeoutMs: 20_000 });
  using direct = labStore([etcd.endpoint]);
  await store.mirror.ready();
  await store.committer.commit(put("/a/first", 1));
  void relay.swallowReplies();
  const outcome = store.committer.commit(put("/a/x", 1));
  await until("etcd has it", async () => await direct.connection.get("/a/x") !== undefined);
  relay.cut();
  await assert.rejects(outcome, UnknownOutcome);
  await direct.mirror.ready();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const kv = await direct.connection.get("/a/x");
  assert(kv, "it did happen");
  assert.equal(kv.createRevision, kv.modRevision, "and only once");
});

Deno.test("change() finds after a lost answer that it had been written, and does not write again", async () => {
  await using etcd = await labEtcd();
  using relay = new Relay(() => etcd.endpoint);
  using store = labStore([relay.endpoint], { timeoutMs: 20_000 });
  using direct = labStore([etcd.endpoint]);
  await store.mirror.ready();
  await store.committer.commit(put("/a/first", 1));
  let planned = 0;
  void relay.swallowReplies();
  const done = change(store, () => {
    planned++;
    return store.mirror.get("/a/x") ? undefined : create("/a/x", 1);
  });
  // What is swallowed first may be an answer to something else.
  await until("etcd has it", async () => await direct.connection.get("/a/x") !== undefined);
  relay.cut();
  await done;
  assert.equal(planned, 3, "that nothing is left to be done is planned once more, when etcd has been asked");
  assert.equal(store.mirror.get("/a/x")?.record.n, 1);
  const kv = await store.connection.get("/a/x");
  assert.equal(kv?.createRevision, kv?.modRevision);
});

Deno.test("change() plans again from the newer mirror until no other writer was quicker", async () => {
  await using etcd = await labEtcd();
  using one = labStore([etcd.endpoint]);
  using two = labStore([etcd.endpoint]);
  await Promise.all([one.mirror.ready(), two.mirror.ready()]);
  const increment = (store: typeof one) =>
    change(store, () => {
      const before = store.mirror.get("/a/count");
      const guards = [{ key: "/a/count", modRevision: before?.modRevision ?? 0 }];
      return { ...put("/a/count", (before?.record.n ?? 0) + 1), guards };
    }, { tries: 100 });
  const count = async (store: typeof one) => {
    for (let i = 0; i < 50; i++) await increment(store);
  };
  await Promise.all([count(one), count(two)]);
  await until("both see the sum", () => one.mirror.get("/a/count")?.record.n === 100);
  await until("both see the sum", () => two.mirror.get("/a/count")?.record.n === 100);
});

Deno.test("change() commits several plans in order, and goes on after a conflict in the middle", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  await store.mirror.ready();
  let planned = 0;
  await change(store, () => {
    const missing = Array.from({ length: 10 }, (_, i) => `/a/${i}`).filter((key) => !store.mirror.get(key));
    // The mirror of the first round is behind on one key, as if another writer had been quicker.
    if (++planned === 1) {
      return missing.map((key) => ({
        ...create(key, 1),
        guards: [{ key, modRevision: key === "/a/5" ? 77 : 0 }],
      }));
    }
    assert.equal(missing.length, 5);
    return missing.map((key) => create(key, 2));
  });
  assert.deepEqual([...store.mirror.entries()].map(({ record }) => record.n), [1, 1, 1, 1, 1, 2, 2, 2, 2, 2]);
  assert.equal(await change(store, () => []), undefined);
});

Deno.test("change() over an unreadable record is refused, naming key and reason", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  await store.mirror.ready();
  await store.committer.commit({ guards: [], ops: [{ put: "/a/x", value: "{}" }] });
  await assert.rejects(change(store, () => create("/a/x", 1)), {
    code: "forbidden",
    message: /record \/a\/x in etcd cannot be read \(n: missing\)/,
  });
});

Deno.test("change() gives up on a record that others keep changing", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  await store.mirror.ready();
  const never = () => ({ ...put("/a/x", 1), guards: [{ key: "/a/x", modRevision: 12345 }] });
  await assert.rejects(change(store, never, { tries: 3 }), { code: "conflict" });
});
