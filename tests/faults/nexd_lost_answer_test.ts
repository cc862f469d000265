/** Changes by nexd whose answers from etcd are lost, or that conflict with renewals. */
import assert from "node:assert/strict";
import { addMembers } from "../../services/nex/members.ts";
import { addNetwork } from "../../services/nex/networks.ts";
import { nexApi } from "../../services/nexd/api.ts";
import { Nex } from "../../services/nex/nex.ts";
import { UnknownOutcome } from "../../services/store/errors.ts";
import { nexSchema } from "../../services/store/records.ts";
import { openStore } from "../../services/store/store.ts";
import { labEtcd } from "../lab/etcd.ts";
import { Relay } from "../lab/relay.ts";
import { until } from "../lab/until.ts";

const mac = (i: number) => `0a:00:00:00:00:${i.toString(16).padStart(2, "0")}`;

async function filled() {
  const etcd = await labEtcd();
  const store = openStore({ endpoints: [etcd.endpoint], schema: nexSchema });
  await store.mirror.ready();
  const nex = new Nex(store);
  await nex.change((d) =>
    addNetwork(d, {
      name: "n",
      subnet4: "10.0.0.0/16",
      domain: "n.net",
      Range4: { begin: "10.0.0.1", end: "10.0.9.9" },
    })
  );
  await nex.change((d) =>
    void addMembers(d, "n", Array.from({ length: 200 }, (_, i) => ({ mac: mac(i), name: `m${i}` })))
  );
  return {
    etcd,
    store,
    nex,
    [Symbol.asyncDispose]: async () => {
      store.close();
      await etcd[Symbol.asyncDispose]();
    },
  };
}

Deno.test("a long delete that a renewal gets in the way of deletes all the same", async () => {
  await using lab = await filled();
  const { store, nex } = lab;
  // A renewal of the last member between planning and committing.
  const commit = store.committer.commit.bind(store.committer);
  let renewed = false;
  store.committer.commit = async (plan) => {
    if (!renewed) {
      renewed = true;
      const key = `/member/${mac(199)}`, entry = nex.view.entry(key)!;
      await commit({
        guards: [],
        ops: [{ put: key, value: JSON.stringify((entry.record as { value: unknown }).value) }],
      });
    }
    return await commit(plan);
  };
  const list = Array.from({ length: 200 }, (_, i) => mac(i));
  await nexApi(nex).DeleteMembers({ network: "n", list, force: false });
  assert.equal(nex.view.membersOf("n").length, 0);
});

for (
  const [what, call] of [
    ["DeleteNetwork", (nex: Nex) => nexApi(nex).DeleteNetwork({ name: "n" })],
    [
      "DeleteMembers",
      (nex: Nex) => nexApi(nex).DeleteMembers({ network: "n", list: [mac(1)], force: false }),
    ],
    [
      "ChangeMemberID",
      (nex: Nex) =>
        nexApi(nex).ChangeMemberID({ net: "n", list: [{ old: mac(1), new: "0b:00:00:00:00:01" }] }),
    ],
  ] as const
) {
  Deno.test(`${what} whose answer from etcd was lost is not told "not found"`, async () => {
    await using lab = await filled();
    const { store, nex } = lab;
    const commit = store.committer.commit.bind(store.committer);
    let lost = false;
    store.committer.commit = async (plan) => {
      const outcome = await commit(plan);
      if (lost) return outcome;
      lost = true;
      throw new UnknownOutcome("lost");
    };
    await call(nex);
  });
}

Deno.test("a change that was made, its answer lost, and that another client has moved since is told as one that may have been made", async () => {
  await using etcd = await labEtcd();
  using relay = new Relay(() => etcd.endpoint);
  const open = (endpoint: string) =>
    openStore({ endpoints: [endpoint], schema: nexSchema, timeoutMs: 5_000 });
  await using stack = new AsyncDisposableStack();
  const [cut, other] = [relay.endpoint, etcd.endpoint].map((at) => stack.adopt(open(at), (s) => s.close()));
  assert(cut && other);
  await Promise.all([cut.mirror.ready(), other.mirror.ready()]);
  const [ours, theirs] = [new Nex(cut), new Nex(other)];
  await ours.change((draft) => addNetwork(draft, { name: "n", subnet4: "10.0.0.0/16", domain: "n.net" }));
  await until("all know the network", (see) => see(theirs.view.network("n")) !== undefined);
  const add = (mac: string, name: string) =>
    ours.change((draft) => void addMembers(draft, "n", [{ mac, name }]));

  const swallowed = relay.swallowReplies();
  const [added, deleted] = [add(mac(1), "one"), add(mac(2), "two")];
  const told = Promise.allSettled([added, deleted]);
  await swallowed;
  const has = (mac: string) => other.mirror.get(`/member/${mac}`) !== undefined;
  await until("both are made", () => has(mac(1)) && has(mac(2)));
  await nexApi(theirs).ChangeMemberID({ net: "n", list: [{ old: mac(1), new: mac(11) }] });
  await nexApi(theirs).DeleteMembers({ network: "n", list: [mac(2)], force: false });
  relay.cut();

  for (const outcome of await told) {
    assert(outcome.status === "rejected");
    assert.equal(outcome.reason.code, "unavailable", outcome.reason.message);
    assert.match(outcome.reason.message, /may or may not have been made/);
  }
  assert.deepEqual(
    [has(mac(11)), has(mac(1)), has(mac(2))],
    [true, false, false],
    "and nothing is made twice",
  );
});
