/** What the dashboard shows of machines through time, also of what is compacted. Steps of dashboard_test.ts. */
import assert from "node:assert/strict";
import { until } from "../lab/until.ts";
import { type DashboardLab, HOSTILE, type Json } from "./lab.ts";

const MAC = "02:84:0a:00:00:4d", AT = `/machines/${MAC}`;

const texts = (rows: readonly Json[]) => rows.map(({ what }) => String(what));

async function restart(lab: DashboardLab): Promise<void> {
  await lab.dashboard.stop();
  lab.dashboard = await lab.services.start("dashboard");
}

type Step = readonly [name: string, holds: (lab: DashboardLab) => Promise<void>];

/** In order: each begins with what the one before has left. */
export const throughTime: readonly Step[] = [
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
