/** Refusals, and that nothing is to be done, where etcd's watch has lost events or is late: etcd itself decides. */
import assert from "node:assert/strict";
import { Network } from "../../proto/gen/nex.ts";
import { createLog } from "../../services/common/log.ts";
import { Refusal } from "../../services/common/refusal.ts";
import { timestamp } from "../../services/common/timestamp.ts";
import { addNetwork } from "../../services/nex/networks.ts";
import { Nex } from "../../services/nex/nex.ts";
import { mini } from "../../services/nex/testing.ts";
import { maxi } from "../../services/nex/testing_networks.ts";
import { nexApi } from "../../services/nexd/api.ts";
import { NamedNetworks } from "../../services/nexd/named_networks.ts";
import { OverlayView } from "../../services/overlay/view.ts";
import { guardFlatName } from "../../services/overlay_names/networks.ts";
import { beside } from "../../services/store/beside.ts";
import { change } from "../../services/store/change.ts";
import { keyOf } from "../../services/store/keys.ts";
import { nexSchema } from "../../services/store/records.ts";
import { openSandStore } from "../../services/store/sand_store.ts";
import { openStore, type Store } from "../../services/store/store.ts";
import type { Plan } from "../../services/store/types.ts";
import { MeddledWatch } from "../lab/connections.ts";
import { labEtcd } from "../lab/etcd.ts";
import { create, labStore, patient, put, type Thing } from "../lab/store.ts";
import { until } from "../lab/until.ts";

const LOST = "/a/lost";
const log = createLog("test", { level: "fatal", format: "json" });

/** Adds the key; refuses where it is there with another value. */
function add(store: Store<Thing>, n: number): Promise<number | undefined> {
  return change(store, () => {
    const entry = store.mirror.get(LOST);
    if (!entry) return create(LOST, n);
    if (entry.record.n === n) return undefined;
    throw new Refusal("exists", `${LOST} is there already`);
  });
}

/** Sets the value of the key, which has to be there. */
function set(store: Store<Thing>, n: number): Promise<number | undefined> {
  return change(store, () => {
    const entry = store.mirror.get(LOST);
    if (!entry) throw new Refusal("not-found", `there is no ${LOST}`);
    const guards = [{ key: LOST, modRevision: entry.modRevision }];
    return entry.record.n === n ? undefined : { ...put(LOST, n), guards };
  });
}

/** Removes the key, which has to be there. */
function remove(store: Store<Thing>): Promise<number | undefined> {
  return change(store, () => {
    const entry = store.mirror.get(LOST);
    if (!entry) throw new Refusal("not-found", `there is no ${LOST}`);
    return { guards: [{ key: LOST, modRevision: entry.modRevision }], ops: [{ remove: LOST }] };
  });
}

for (const passed of [true, false]) {
  const where = passed ? "although the watch went on" : "after which nothing happened";

  Deno.test(`an event that the watch has lost, ${where}, makes no refusal and no change that is not needed`, async () => {
    await using etcd = await labEtcd();
    using others = labStore([etcd.endpoint]);
    using store = labStore([etcd.endpoint], { settleMs: 100 });
    const watch = new MeddledWatch(store.connection);
    await until("in sync", () => store.mirror.state.inSync);
    let kept = 0;
    const lose = async (plan: Plan) => {
      watch.forget = LOST;
      const before = watch.lost;
      await others.committer.commit(plan);
      await until("it is lost", (see) => see(watch.lost) > before);
      delete watch.forget;
      if (!passed) return;
      await others.committer.commit(put("/a/kept", ++kept));
      await until("the watch goes on", (see) => see(store.mirror.get("/a/kept")?.record.n) === kept);
    };
    const held = async () => new TextDecoder().decode((await others.connection.get(LOST))?.value);

    await lose(create(LOST, 1));
    assert.equal(store.mirror.get(LOST), undefined, "it is not known");
    assert.equal(typeof await remove(store), "number", "what is there can be removed");
    assert.equal(await held(), "");

    assert.equal(typeof await add(store, 2), "number");
    await lose({ guards: [], ops: [{ remove: LOST }] });
    assert.equal(store.mirror.get(LOST)?.record.n, 2);
    assert.equal(typeof await add(store, 3), "number", "what is gone can be added");

    await lose(put(LOST, 4));
    assert.equal(store.mirror.get(LOST)?.record.n, 3);
    assert.equal(typeof await set(store, 3), "number", "what others have changed is not unchanged");
    assert.equal(await held(), '{"n":3}');

    await lose(put(LOST, 5));
    await assert.rejects(add(store, 6), { code: "exists" }, "what is there is refused");
    await assert.rejects(
      change(store, () => {
        const now = store.mirror.get(LOST)?.record.n;
        throw new Refusal("exists", `it is ${now}`);
      }),
      { message: "it is 5" },
    );
    assert.equal(await set(store, 5), undefined, "what is as it should be is left");
    assert.equal(store.mirror.state.missed, 4);
  });

  Deno.test(`a conflict with a change whose event the watch has lost, ${where}, is planned again from what etcd holds`, async () => {
    await using etcd = await labEtcd();
    using others = labStore([etcd.endpoint]);
    using store = labStore([etcd.endpoint], { settleMs: 100 });
    const watch = new MeddledWatch(store.connection);
    await until("in sync", () => store.mirror.state.inSync);
    let plans = 0;
    const raise = () =>
      change(store, () => {
        plans++;
        const entry = store.mirror.get(LOST);
        return {
          guards: [{ key: LOST, modRevision: entry?.modRevision ?? 0 }],
          ops: put(LOST, (entry?.record.n ?? 0) + 1).ops,
        };
      }, { unconfirmed: true });
    for (const plan of [create(LOST, 7), put(LOST, 20), { guards: [], ops: [{ remove: LOST }] }]) {
      plans = 0;
      watch.forget = LOST;
      const before = watch.lost;
      await others.committer.commit(plan);
      await until("it is lost", (see) => see(watch.lost) > before);
      delete watch.forget;
      if (passed) {
        const outcome = await others.committer.commit(put("/a/kept", 1));
        assert(outcome.committed);
        await store.mirror.reached(outcome.revision, ["/a/kept"]);
      }
      await raise();
      assert.equal(plans, 2, "from the second plan on it is known");
      const [op] = plan.ops;
      const theirs = op && "put" in op ? JSON.parse(op.value).n : 0;
      assert.equal(store.mirror.get(LOST)?.record.n, theirs + 1);
    }
  });
}

Deno.test("a watcher that etcd serves late makes no refusal: etcd before 3.4.25 says too early that it has sent everything", async () => {
  await using etcd = await labEtcd();
  using others = labStore([etcd.endpoint]);
  using store = labStore([etcd.endpoint]);
  const watch = new MeddledWatch(store.connection);
  await until("in sync", () => store.mirror.state.inSync);
  // A self-check would take what is left unread for lost.
  store.connection.list = () => {
    throw new Refusal("unavailable", "nothing is listed");
  };
  await others.committer.commit(put("/a/kept", 0));
  await until("the watch runs", () => store.mirror.get("/a/kept") !== undefined);
  /** What others do while nothing is read; etcd serves the watcher late afterwards, for it has put it aside. */
  const unread = async (plan: Plan) => {
    watch.pause();
    // More than the connection's window and etcd's channel hold.
    const value = JSON.stringify({ n: 1, filler: "x".repeat(4_096) });
    const filler: Plan = { guards: [], ops: [{ put: "/a/filler", value }] };
    for (let i = 0; i < 10; i++) {
      // On a busy machine an answer may be late: that it was written is all that counts, and of one of them not even that.
      await Promise.allSettled(Array.from({ length: 20 }, () => others.committer.commit(filler)));
    }
    await others.committer.commit(plan);
    watch.resume();
  };
  for (let n = 0; n < 5; n++) {
    await unread(create(LOST, n));
    assert.equal(typeof await remove(store), "number", "what is there can be removed");
    await add(store, n);
    await unread(put(LOST, n + 1));
    assert.equal(typeof await set(store, n), "number", "what others have changed is not unchanged");
    await unread({ guards: [], ops: [{ remove: LOST }] });
    await assert.rejects(set(store, n), { code: "not-found" });
  }
  assert.equal(store.mirror.state.missed, 0);
});

/** nexd's API over etcd, with the watches of its two stores. */
function nexdOn(endpoint: string) {
  const options = { endpoints: [endpoint], settleMs: 100, ...patient };
  const store = openStore({ ...options, schema: nexSchema });
  const sand = openSandStore({ ...options, prefix: "/sc-net", log, besideAnother: true });
  const overlays = new OverlayView(sand.mirror, sand.keys);
  const nex = new Nex(beside(store, sand.mirror), () => -Infinity, (name) => guardFlatName(overlays, name));
  const named = new NamedNetworks(beside(sand, store.mirror), (ids) => sand.holdAll(ids), overlays, {
    ...{ namespacePath: (id: string) => `/run/netns/sc-ns-${id}`, minVni: 1, maxVni: 100, vxlanPort: 4789 },
    timestamp,
    isFlat: (name) => nex.view.network(name) !== undefined,
  });
  return {
    ...{
      nex,
      store,
      sand,
      watch: new MeddledWatch(store.connection),
      overlayWatch: new MeddledWatch(sand.connection),
    },
    api: nexApi(nex, () => {}, named),
    inSync: () => store.mirror.state.inSync && sand.mirror.state.inSync,
    [Symbol.dispose]() {
      store.close();
      sand.close();
    },
  };
}

/** Another's change, of which the watch loses what is written to the key. */
async function lose(watch: MeddledWatch, key: string, act: () => unknown): Promise<void> {
  watch.forget = key;
  const before = watch.lost;
  await act();
  await until("it is lost", (see) => see(watch.lost) > before);
  delete watch.forget;
}

Deno.test("nexd refuses nothing, and finds nothing unchanged, by a record whose event the watch has lost", async () => {
  await using etcd = await labEtcd();
  using them = nexdOn(etcd.endpoint);
  using us = nexdOn(etcd.endpoint);
  const theirs = them.api, ours = us.api, { watch, store } = us;
  await until("in sync", () => them.inSync() && us.inSync());
  const mac = "02:00:00:00:00:01", record = keyOf.member(mac);
  const member = (name: string) => ({
    ...{ mac, name, ip4: null, ip6: null, net: "", clientName: "", shared: false },
  });
  const spec = (name: string) => ({
    networks: [],
    members: [{ net: "mini", list: [member(name)], force: true }],
    dryRun: false,
    everyRefusal: false,
  });
  const apply = async (name: string, dryRun = false) =>
    (await ours.Apply({ ...spec(name), dryRun })).objects?.map(({ action }) => action);
  await them.nex.change((draft) => addNetwork(draft, mini));
  await until("the network is there", () => store.mirror.get(keyOf.network("mini")) !== undefined);

  await lose(watch, record, () => theirs.AddMembers({ net: "mini", list: [member("one")], force: false }));
  await ours.DeleteMembers({ network: "mini", list: [mac], force: false });
  assert.equal(await store.connection.get(record), undefined, "it is deleted");

  await ours.AddMembers({ net: "mini", list: [member("one")], force: false });
  await until("they know it", () => them.store.mirror.get(record) !== undefined);
  await lose(watch, record, () => theirs.DeleteMembers({ network: "mini", list: [mac], force: false }));
  await ours.AddMembers({ net: "mini", list: [member("two")], force: false });
  await until("they know it", () => them.store.mirror.get(record) !== undefined);

  await lose(watch, record, () => theirs.Apply(spec("three")));
  assert.deepEqual(await apply("two", true), ["updated"]);
  await lose(watch, record, () => theirs.Apply(spec("four")));
  assert.deepEqual(await apply("three"), ["updated"]);

  await lose(watch, keyOf.network("maxi"), () => them.nex.change((draft) => addNetwork(draft, maxi)));
  assert.deepEqual((await ours.GetMembers({ network: "maxi" })).members, []);
  await assert.rejects(async () => await ours.GetMembers({ network: "none" }), { code: "not-found" });
});

Deno.test("nexd knows a network with an overlay, and takes its name for no other, although the watch has lost it", async () => {
  await using etcd = await labEtcd();
  using them = nexdOn(etcd.endpoint);
  using us = nexdOn(etcd.endpoint);
  await until("in sync", () => them.inSync() && us.inSync());
  const network = (name: string, overlay: object | null = {}) =>
    Network.create({ name, subnet4: "10.0.0.0/24", overlay });
  const make = (name: string) =>
    lose(
      us.overlayWatch,
      `${us.sand.keys.networkNames}${name}`,
      () => them.api.Apply({ networks: [network(name)], members: [], dryRun: false, everyRefusal: false }),
    );
  await make("blue");
  assert.equal((await us.api.GetNetwork({ name: "blue" })).net?.name, "blue");
  await make("green");
  await assert.rejects(async () => await us.api.AddNetwork({ network: network("green", null) }), {
    code: "exists",
  });
  await make("red");
  const again = await us.api.Apply({
    networks: [network("red")],
    members: [],
    dryRun: true,
    everyRefusal: false,
  });
  assert.deepEqual(again.objects?.map(({ action }) => action), ["unchanged"]);
});
