/** What the dashboard shows of machines through time, also of what is compacted, and of repairs. Steps of dashboard_test.ts. */
import assert from "node:assert/strict";
import { until } from "../lab/until.ts";
import { type DashboardLab, HOSTILE, type Json } from "./lab.ts";

const MAC = "02:84:0a:00:00:4d", AT = `/machines/${MAC}`;

const texts = (rows: readonly Json[]) => rows.map(({ what }) => String(what));

async function restart(lab: DashboardLab): Promise<void> {
  await lab.dashboard.stop();
  lab.dashboard = await lab.services.start("dashboard");
}

const repairs = (network: string) => ({
  since: "2026-01-02T03:04:05Z",
  networks: [
    {
      id: network,
      times: 2,
      differences: 5,
      last: "2026-01-03T04:05:06.789Z",
      ops: { "arp-set": 1, "fdb-set": 4, "<b>": 0 },
    },
    { id: "", times: 1, differences: 1, last: "soon", ops: { "vxlan-rules": 1 } },
  ],
});

type Step = readonly [name: string, holds: (lab: DashboardLab) => Promise<void>];

/** In order: each begins with what the one before has left. */
export const throughTime: readonly Step[] = [
  ["what hosts have repaired is shown by host and network, as their agents publish it", async (lab) => {
    const blue = await lab.idOf("blue"), key = "/sc-net/strand/repairs/host1";
    await lab.write({ [key]: repairs(blue), "/sc-net/strand/repairs/host2": "unreadable" });
    let rows: Json[] = [];
    await until("it is shown", async (see) => {
      rows = see(await lab.rows("/repairs", "repairs"));
      return rows.length === 2;
    });
    const common = { host: "host1", since: "2026-01-02T03:04:05.000Z" };
    assert.deepEqual(rows, [
      {
        ...{ ...common, network: "blue", times: 2, differences: 5, last: "2026-01-03T04:05:06.789Z" },
        operations: { "arp-set": 1, "fdb-set": 4, "<b>": 0 },
      },
      { ...common, network: "", times: 1, differences: 1, operations: { "vxlan-rules": 1 } },
    ]);
    assert.deepEqual(await lab.rows("/networks/blue", "repairs"), rows.slice(0, 1));
    assert.equal((await lab.rows("/repairs?filter=vxlan&sort=-times", "repairs")).length, 1);
    for (const page of [await lab.page("/repairs"), await lab.page("/networks/blue")]) {
      assert.match(page, /fdb-set \(4\), arp-set/);
      assert.ok(page.includes("&lt;b&gt;") && !page.includes("<b>"), page);
    }
    await lab.page("/repairs?sort=colour", 400);
    // The agent has ended.
    await lab.remove(key, "/sc-net/strand/repairs/host2");
    await until("it is gone", async (see) => see(await lab.rows("/repairs", "repairs")).length === 0);
    assert.match(
      await lab.page("/networks/blue"),
      /No host has found anything that other programs had changed\./,
    );
  }],
  [
    "a machine is followed through time, also once it is gone, and found by an address that it had",
    async (lab) => {
      const blue = await lab.idOf("blue"), created_at = "2026-01-02T03:04:05.678901Z";
      await lab.endpoint(blue, "t1", "host1", 77, { created_at, strand_name: "roamer" });
      await lab.endpoint(blue, "t1", HOSTILE, 77, {
        created_at,
        strand_name: "roamer",
        target_veth_ip: "10.0.0.78/24",
      });
      await lab.remove(`/sc-net/network-endpoints/${blue}/t1`, `/sc-net/node-endpoints/host1/t1`);
      let rows: Json[] = [];
      await until("it is seen to be gone", async (see) => {
        rows = see(await lab.rows(AT, "events"));
        return rows.length === 3;
      });
      assert.deepEqual(texts(rows), [
        `left ${HOSTILE}: name roamer, address 10.0.0.78, MAC ${MAC}`,
        `moved from host1 to ${HOSTILE}, address 10.0.0.77 → 10.0.0.78`,
        `came to host1: name roamer, address 10.0.0.77, MAC ${MAC}`,
      ]);
      assert.deepEqual(rows.map(({ source, network, by }) => [source, network, by]), [
        ["seen", "blue", ""],
        ["seen", "blue", `agent of ${HOSTILE}`],
        ["seen", "blue", "agent of host1"],
      ]);
      const page = await lab.page(AT);
      assert.match(page, /It is in no network now\./);
      assert.ok(page.includes("moved from host1 to &lt;img src=x") && !page.includes("<img"), page);
      assert.deepEqual(await lab.rows("/history?q=10.0.0.77", "events"), rows.slice(1));
      assert.deepEqual(await lab.rows("/history?q=T1&events.sort=revision", "events"), rows.toReversed());
      assert.equal((await lab.rows("/history?events.filter=roamer&events.size=1", "events")).length, 1);
      assert.deepEqual(await lab.rows("/history?q=nothing", "events"), []);
      await lab.json("/machines/02:84:0a:00:00:4e", 404);
      // Of a network that it was not in.
      await lab.json(`${AT}?network=mini`, 404);
      assert.equal((await lab.rows(`${AT}?network=blue`, "events")).length, 3);
    },
  ],
  [
    "a dashboard that is started again has it from etcd's past, and says how far back that reaches",
    async (lab) => {
      const before = await lab.json("/history?events.size=500");
      const shown = ({ events }: Json) =>
        (events as { rows: Json[] }).rows.map(({ revision, machine, what }) =>
          `${revision} ${machine} ${what}`
        );
      assert.ok(shown(before).length > 10, shown(before).join("\n"));
      await restart(lab);
      let after: Json = {};
      await until("the past is read", async (see) => {
        after = see(await lab.json("/history?events.size=500"));
        return (after["reach"] as Json)["revision"] === 1;
      });
      // Who looked first has seen the end of what was there at the start, and now all of it is of the past.
      assert.deepEqual(shown(after), shown(before));
      assert.equal((after["reach"] as Json)["why"], "that is when this etcd began");
      const rows = await lab.rows(AT, "events");
      assert.deepEqual(rows.map(({ source }) => source), [undefined, undefined, "record"]);
      assert.equal(rows[2]?.["at"], "2026-01-02T03:04:05.678Z");
      assert.match(
        await lab.page(AT),
        /Known since revision 1 of etcd, about 20\d\d-\S+: that is when this etcd began/,
      );
    },
  ],
  ["what etcd has compacted is not there, and the page says so", async (lab) => {
    const blue = await lab.idOf("blue");
    await lab.endpoint(blue, "t2", "host1", 78, { created_at: "2026-01-02T03:04:05Z" });
    const revision = await lab.write({ "/sc-net/strand/names/host4": "{}" });
    const compaction = await fetch(`${lab.etcd.endpoint}/v3/kv/compaction`, {
      method: "POST",
      body: JSON.stringify({ revision: `${revision}`, physical: true }),
    });
    assert.equal(compaction.status, 200, await compaction.text());
    await lab.remove("/sc-net/strand/names/host4");
    await lab.endpoint(blue, "t2", "host1", 78, {
      created_at: "2026-01-02T03:04:05Z",
      strand_name: "later",
    });
    await restart(lab);
    let model: Json = {};
    await until("the past is read", async (see) => {
      model = see(await lab.json("/machines/t2"));
      return String((model["reach"] as Json)["why"]).includes("compacted");
    });
    assert.equal((model["reach"] as Json)["revision"], revision + 1);
    assert.deepEqual(texts((model["events"] as { rows: Json[] }).rows), [
      "name none → later",
      // As it was when etcd was compacted: its one version, with when it came.
      `came to host1: address 10.0.0.78, MAC 02:84:0a:00:00:4e`,
    ]);
    await lab.json(AT, 404);
    await lab.remove(`/sc-net/network-endpoints/${blue}/t2`, "/sc-net/node-endpoints/host1/t2");
  }],
];
