/** nexd whose mirror is behind, because etcd does not answer it: what it cannot know it does not say. */
import assert from "node:assert/strict";
import { change } from "../../services/store/change.ts";
import { Refusal } from "../../services/common/refusal.ts";
import { labCluster, labEtcd } from "../lab/etcd.ts";
import { LabServices } from "../lab/services.ts";
import { create, labStore, put, written } from "../lab/store.ts";
import { until } from "../lab/until.ts";

const mini = `${import.meta.dirname}/../../examples/mini.yml`;

Deno.test("nexd that is cut off from etcd says neither that nothing is to be done, nor that something is not there or is there already", async () => {
  await using etcd = await labEtcd();
  await using services = await LabServices.create(etcd.endpoint);
  await services.start("nexd");
  await services.nex("apply", mini);
  const commands = [
    ["apply", mini],
    ["delete", "member", "mini", "02:00:00:00:00:99"],
    ["add", "member", "mini", "00:00:11:11:00:01"],
    ["get", "members", "none"],
    ["apply", "--dry-run", mini],
  ];
  const tryAll = () => Promise.all(commands.map((args) => services.tryNex(...args)));
  const usual = await tryAll();
  assert.deepEqual(usual.map(({ code }) => code), [0, 1, 1, 1, 0]);
  for (const { stderr } of usual) assert.doesNotMatch(stderr, /etcd/);

  etcd.freeze();
  try {
    for (const [i, { code, stderr }] of (await tryAll()).entries()) {
      const what = `nex ${commands[i]?.join(" ")}: ${stderr}`;
      assert.equal(code, 1, what);
      assert.match(stderr, /etcd/, what);
    }
    assert.match(await services.nex("get", "members", "mini"), /whiskey\.mini\.net/, "it reads on");
  } finally {
    etcd.thaw();
  }
  await until("it knows again", async (see) => see(await services.tryNex("apply", mini)).code === 0);
});

Deno.test("change() on a mirror that is behind refuses nothing, and finds nothing to do, before the mirror has caught up", async () => {
  await using stack = new AsyncDisposableStack();
  const members = await labCluster(3);
  for (const member of members) stack.use(member);
  const [watched, other] = members;
  assert(watched && other);
  using store = labStore(members.map(({ endpoint }) => endpoint), { timeoutMs: 2_000 });
  using others = labStore([other.endpoint]);
  await store.mirror.ready();
  await written(store, put("/a/old", 1));
  await until("the mirror shows it", (see) => see(store.mirror.get("/a/old")) !== undefined);

  // The watch hangs with its member; what others write does not reach the mirror until it watches another.
  watched.freeze();
  try {
    // The one that hangs may have been the leader.
    await written(others, create("/a/new", 1));
    await written(others, { guards: [], ops: [{ remove: "/a/old" }] });
    const find = (key: string) =>
      change(store, () => {
        if (!store.mirror.get(key)) throw new Refusal("not-found", `there is no ${key}`);
        return undefined;
      }, { patienceMs: 30_000 });
    const tried = async (key: string): Promise<string> => {
      try {
        await find(key);
        return "found";
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        // No member has been asked in time, which says nothing of the key.
        return error.code === "unavailable" ? await tried(key) : error.code;
      }
    };
    assert.deepEqual(await Promise.all([tried("/a/new"), tried("/a/old")]), ["found", "not-found"]);
  } finally {
    watched.thaw();
  }
});

Deno.test("a mirror is confirmed without a write, also where its watch has nothing to report", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  await store.mirror.ready();
  await store.committer.commit(create("/elsewhere", 1));
  const { revision } = await store.connection.head();
  assert.equal(await change(store, () => undefined), undefined);
  assert.equal((await store.connection.head()).revision, revision);
});

Deno.test("many that ask at once are confirmed by few questions, also while others write all the time", async () => {
  await using etcd = await labEtcd();
  using store = labStore([etcd.endpoint]);
  using others = labStore([etcd.endpoint]);
  await store.mirror.ready();
  await others.committer.commit(create("/a/x", 1));
  let stop = false;
  const writing = (async () => {
    for (let n = 0; !stop; n++) await others.committer.commit(put("/elsewhere", n));
  })();
  let requests = 0;
  const { written } = store.connection;
  store.connection.written = (names) => {
    requests++;
    return written.call(store.connection, names);
  };
  await until("the mirror is in sync", () => store.mirror.state.inSync);
  await Promise.all(Array.from({ length: 500 }, () => change(store, () => undefined)));
  stop = true;
  await writing;
  assert(requests <= 3, `${requests} questions`);
});
