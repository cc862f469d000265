import assert from "node:assert/strict";
import { openStore } from "../../services/store/store.ts";
import { nexSchema } from "../../services/store/records.ts";
import { labEtcd } from "../lab/etcd.ts";
import { LabServices } from "../lab/services.ts";
import { until } from "../lab/until.ts";

const fixture = JSON.parse(
  await Deno.readTextFile(new URL("../fixtures/nex_store.json", import.meta.url)),
) as Record<string, string>;

Deno.test("A store that the old daemons filled is served without entering anything again", async () => {
  await using etcd = await labEtcd();
  const store = openStore({ endpoints: [etcd.endpoint], schema: nexSchema });
  try {
    const ops = Object.entries(fixture).map(([put, value]) => ({ put, value }));
    assert.ok((await store.committer.commit({ guards: [], ops })).committed);
    await using services = await LabServices.create(etcd.endpoint);
    // A DNS server on its own must cope with the store as it was left.
    await services.start("dnsd");
    assert.equal(await services.dig("whiskey.mini.net"), "10.0.0.10");
    assert.equal(await services.dig("gw.lab.mini.net"), "10.9.0.1");
    await services.start("nexd");
    assert.equal(await services.nex("get", "networks"), "mini\nstatic\n");
    await until(
      "the lease that had run out is swept",
      async () => !(await services.nex("get", "members", "mini")).includes("02:aa:00:00:00:02"),
    );
    const members = (await services.nex("get", "members", "mini")).replace(/ +/g, " ").trim().split("\n");
    assert.equal(members[0], "00:00:11:11:00:01 whiskey.mini.net 10.0.0.10");
    assert.match(members[1] ?? "", /^00:00:22:22:00:01 tango\.mini\.net 10\.0\.0\.11 \(\d+:\d\d:\d\d\)$/);
    assert.equal(members[2], "00:00:33:33:00:01 foxtrot.mini.net 10.0.0.12");
    assert.match(members[3] ?? "", /^02:aa:00:00:00:01 .*10\.0\.0\.13 \(/);
    assert.equal(members.length, 4);
    await until(
      "the name of a member that got its address now",
      async () => await services.dig("foxtrot.mini.net") === "10.0.0.12",
    );
    assert.equal(await services.dig("-x", "10.0.0.13"), "", "a client without a name has no PTR");

    await store.mirror.ready();
    await until(
      "the old leftovers are gone",
      () => !store.mirror.get("/pool/mini") && !store.mirror.get("/member/ip4/10.0.0.5"),
    );
    const whiskey = await store.connection.get("/member/00:00:11:11:00:01");
    const record = JSON.parse(new TextDecoder().decode(whiskey?.value)) as Record<string, unknown>;
    assert.equal(record["owner"], "ops", "fields that are not ours stay");
    assert.equal(record["name"], "whiskey.mini.net");
  } finally {
    store.close();
  }
});
