/** Members that a device names are reached without DHCP, and no longer once it does not. */
import assert from "node:assert/strict";
import { pings, reaches } from "../lab/overlay_traffic.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { until } from "../lab/until.ts";
import { dig, GatewayLab } from "../overlay_names/gateway_lab.ts";
import { Machine } from "../overlay_names/ports.ts";
import { at } from "./attached.ts";

const DB = "52:54:00:00:00:05", LOG = "52:54:00:00:00:06";

Deno.test("strand attach --device --members", async (t) => {
  await using it = await GatewayLab.started({ hosts: 2 });
  const [one, two] = [it.host(1), it.host(2)];
  const blue = await it.network("blue", { domain: "blue.example", overlay: { contain: true } });
  await it.reserve(blue, DB, { name: "db", ip4: "10.0.0.5" });
  await it.reserve(blue, LOG, { name: "log", ip4: "10.0.0.6" });
  const web = await two.attach(blue, { name: "web" });
  const fixed = async (host: OverlayHost, device: string, mac: string, address: string) => {
    const machine = await Machine.behind(host, device, mac);
    await machine.host.run(["ip", "address", "add", `${address}/24`, "dev", "eth0"]);
    return machine;
  };
  const db = await fixed(one, "vm0", DB, "10.0.0.5");
  const attach = (host: OverlayHost, device: string, ...more: string[]) =>
    at(host, "attach", "blue", "--device", device, ...more);
  const records = async () =>
    [...(await it.lab.kv.under(`/sc-net/network-endpoints/${blue}/`)).values()].map((text) =>
      JSON.parse(text)
    )
      .filter(({ kind }) => kind === "static").map((record) =>
        [record.strand_name, record.hostname, record.strand_port, record.target_veth_ip].join(" ")
      ).sort();

  await t.step("a machine that never uses DHCP is reached once it is named", async () => {
    assert.deepEqual((await attach(one, "vm0"))[1], "device vm0 attached: a port of blue\n");
    assert.equal(await pings(db.host, "10.0.0.1"), false);
    assert.deepEqual(
      (await attach(one, "vm0", "--members", "db"))[1],
      "device vm0 updated: a port of blue\n",
    );
    assert.deepEqual(await records(), ["db h1 vm0 10.0.0.5/24"]);
    await until("it is reached from the other host", () => pings(web.container, "10.0.0.5"));
    await reaches(db.host, web.address);
    await until(
      "it is known by its name",
      async (see) => see(await dig(web.container, "db.blue.example")).lines.join() === "10.0.0.5",
    );
    // Should it ask by DHCP after all, it is told what it has.
    assert.equal((await db.lease()).address, "10.0.0.5");
    assert.deepEqual(await records(), ["db h1 vm0 10.0.0.5/24"]);
    assert.deepEqual((await attach(one, "vm0"))[1], "device vm0 unchanged: a port of blue\n");
    assert.deepEqual(
      (await attach(one, "vm0", "--members", DB))[1],
      "device vm0 unchanged: a port of blue\n",
    );
  });

  await t.step("what is no member, or another machine's, is refused and changes nothing", async () => {
    const before = await records();
    const cases: [string, RegExp][] = [
      ["none", /--members: the network has no member "none" with an address/],
      ["dbb", /no member "dbb" with an address; did you mean "db"\?/],
      ["52:54:00:00:00:99", /no member "52:54:00:00:00:99" with an address/],
    ];
    for (const [members, sentence] of cases) {
      const [code, , error] = await attach(one, "vm0", "--members", `db,${members}`);
      assert.deepEqual([code, sentence.test(error)], [1, true], error);
    }
    const other = await fixed(one, "vm1", "52:54:00:00:01:01", "10.0.0.9");
    const [, , twice] = await attach(one, "vm1", "--members", "db");
    assert.match(twice, /--members: 52:54:00:00:00:05 is a member at vm0: take it out of that list first/);
    const posing = await one.attach(blue, { mac_address: LOG });
    const [code, , error] = await attach(one, "vm1", "--members", "log");
    assert.equal(code, 1);
    assert.match(
      error,
      /--members: log: .* is the MAC of endpoint .* on h1, which is no machine behind a device/,
    );
    await one.api.deleteEndpoint(posing.endpoint.id);
    assert.deepEqual(await records(), before);
    assert.match((await one.host.run(["ip", "link", "show", "vm1"])).stdout, /vm1/);
    await other.remove();
  });

  await t.step("it is there again after a restart, and a member's new name is its name", async () => {
    await one.kill();
    await one.start();
    await it.reserve(blue, DB, { name: "sql", ip4: "10.0.0.5" });
    await until("its name is known", async (see) => {
      const found = await records();
      see(found);
      return found[0] === "sql h1 vm0 10.0.0.5/24";
    });
    assert.ok(await pings(web.container, "10.0.0.5"));
  });

  await t.step("a member that another host's device names comes there, and stays", async () => {
    await db.remove();
    const moved = await fixed(two, "vm0", DB, "10.0.0.5");
    assert.deepEqual((await attach(two, "vm0", "--members", "sql"))[2], "");
    assert.deepEqual(await records(), ["sql h2 vm0 10.0.0.5/24"]);
    const far = await one.attach(blue);
    await until("it is reached there", () => pings(far.container, "10.0.0.5"));
    await reaches(moved.host, web.address);
    assert.deepEqual((await attach(one, "vm0"))[0], 1);
    assert.deepEqual((await at(one, "detach", "blue", "--device", "vm0"))[2], "");
    assert.deepEqual(await records(), ["sql h2 vm0 10.0.0.5/24"]);
  });

  await t.step("without its reservation, out of the list, and detached, it is gone", async () => {
    await it.reserve(blue, LOG, undefined);
    assert.deepEqual((await attach(two, "vm0", "--members", ""))[1], "device vm0 updated: a port of blue\n");
    assert.deepEqual(await records(), []);
    await attach(two, "vm0", "--members", "sql");
    assert.deepEqual(await records(), ["sql h2 vm0 10.0.0.5/24"]);
    assert.deepEqual((await at(two, "detach", "blue", "--device", "vm0"))[2], "");
    assert.deepEqual(await records(), []);
  });
});
