import assert from "node:assert/strict";
import { until } from "../../../tests/lab/until.ts";
import { SandKeys } from "../../store/sand_keys.ts";
import { type RepairsRecord, sandSchema } from "../../store/sand_records.ts";
import type { CommitOutcome, Plan } from "../../store/types.ts";
import { MOST_NETWORKS, Repairs } from "./repairs.ts";

const KEY = "/sc-net/strand/repairs/host1", NOW = Date.parse("2026-01-02T03:04:05Z");

function lab() {
  const written: { readonly value: RepairsRecord; readonly lease: bigint | undefined }[] = [];
  // `looks`: how often it was looked whether something has to be published.
  const state = { lease: 7n as bigint | undefined, fails: false, now: NOW, looks: 0 };
  const commit = (plan: Plan): Promise<CommitOutcome> => {
    const [op] = plan.ops;
    if (state.fails) return Promise.reject(new Error("etcd is away"));
    assert.ok(op && "put" in op && op.put === KEY);
    const record = sandSchema().parse(op.put, op.value);
    assert.equal(record?.kind, "repairs");
    if (record?.kind === "repairs") written.push({ value: record.value, lease: op.lease });
    return Promise.resolve({ committed: true, revision: 1 });
  };
  const pauses = { soon: 5, pause: 20 }, store = { keys: new SandKeys(), committer: { commit } };
  const lease = () => {
    state.looks++;
    return state.lease;
  };
  const repairs = new Repairs(store, "host1", lease, pauses, () => state.now);
  const looked = async () => {
    const before = state.looks;
    await until("it has looked", () => state.looks > before + 2);
  };
  return { repairs, written, state, looked, [Symbol.asyncDispose]: () => repairs.close() };
}

Deno.test("repairs are published together, by network, and nothing is written while nothing is repaired", async () => {
  await using it = lab();
  for (let i = 0; i < 100; i++) it.repairs.add("n1", new Map([["fdb-set", 2], ["arp-set", 1]]));
  it.state.now += 60_000;
  it.repairs.add("n2", new Map([["veth-set", 1]]));
  await until("they are published", () => it.written.length === 1);
  assert.deepEqual(it.written[0], {
    lease: 7n,
    value: {
      since: "2026-01-02T03:04:05.000Z",
      networks: [
        { id: "n2", times: 1, differences: 1, last: "2026-01-02T03:05:05.000Z", ops: { "veth-set": 1 } },
        {
          ...{ id: "n1", times: 100, differences: 300, last: "2026-01-02T03:04:05.000Z" },
          ops: { "fdb-set": 200, "arp-set": 100 },
        },
      ],
    },
  });
  await it.looked();
  assert.equal(it.written.length, 1);
});

Deno.test("repairs are published again when etcd is back, and when the agent has another lease", async () => {
  await using it = lab();
  it.state.fails = true;
  it.repairs.add("n1", new Map([["fdb-set", 2]]));
  await it.looked();
  it.state.fails = false;
  await until("they are published", () => it.written.length === 1);
  it.state.lease = undefined;
  await it.looked();
  it.state.lease = 8n;
  await until("they are published", () => it.written.length === 2);
  assert.deepEqual(it.written.map(({ lease }) => lease), [7n, 8n]);
});

Deno.test("of many networks those that were repaired last are published", async () => {
  await using it = lab();
  for (let i = 0; i < 1000; i++) it.repairs.add(`n${i}`, new Map([["fdb-set", 1]]));
  it.repairs.add("n970", new Map([["fdb-set", 1]]));
  await until("they are published", () => it.written.length === 1);
  const networks = it.written[0]?.value.networks ?? [];
  assert.equal(networks.length, MOST_NETWORKS);
  assert.deepEqual(networks.slice(0, 2).map(({ id, times }) => [id, times]), [["n970", 2], ["n999", 1]]);
});
