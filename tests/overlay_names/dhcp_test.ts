import assert from "node:assert/strict";
import { reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";
import { dig, GatewayLab } from "./gateway_lab.ts";
import { ipIn, Machine } from "./ports.ts";

const mac = (number: number) => `52:54:00:00:00:${number.toString(16).padStart(2, "0")}`;

/** Each begins without a network. */
const cases: readonly (readonly [name: string, holds: (it: GatewayLab) => Promise<void>])[] = [
  [
    "a machine behind a port has its address by DHCP, and its name and way on every host of its network",
    given,
  ],
  [
    "a lease is renewed, given back, and over by itself; its machine gets its address again, and a declined one is not given",
    renewed,
  ],
];

Deno.test("leases of machines behind ports", async (t) => {
  await using it = await GatewayLab.started({ hosts: 2 });
  for (const [name, holds] of cases) {
    await t.step(name, async () => {
      await it.lab.clear();
      await holds(it);
    });
  }
});

async function given(it: GatewayLab) {
  const [one, two] = [it.host(1), it.host(2)];
  const blue = await it.network("blue", { domain: "blue.example" });
  const web = await one.attach(blue, { name: "web" }), far = await two.attach(blue, { name: "far" });
  await it.reserve(blue, mac(5), { name: "db", ip4: "10.0.0.77" });

  // What the network's settings say.
  const vm = await Machine.on(one, blue, mac(1));
  const got = await vm.lease("-x", "hostname:vm", "-O", "mtu");
  assert.match(got.address, /^10\.0\.0\.\d+$/);
  assert.notEqual(got.address, web.address);
  for (
    const [key, value] of Object.entries({
      router: "10.0.0.1",
      dns: "10.0.0.1",
      domain: "blue.example",
      subnet: "255.255.255.0",
      mtu: "1450",
      serverid: "10.0.0.1",
    })
  ) assert.equal(got.variables.get(key), value, key);
  // The seconds that the write to etcd has taken are taken off.
  assert.match(got.variables.get("lease") ?? "", /^(14400|1439\d)$/);

  // It is an endpoint of this host, by its address on every host.
  const [record, ...others] = await it.leases(blue);
  assert.deepEqual(others, []);
  assert.deepEqual(
    [record?.["hostname"], record?.["target_veth_mac"], record?.["target_veth_ip"], record?.["strand_name"]],
    ["h1", mac(1), `${got.address}/24`, "vm"],
  );
  await reaches(far.container, got.address);
  await reaches(vm.host, far.address);

  // By its name too, in both directions.
  await until(
    "vm resolves on the other host",
    async (see) => see(await dig(far.container, "vm.blue.example")).lines.join() === got.address,
  );
  assert.deepEqual((await dig(far.container, "-x", got.address)).lines, ["vm.blue.example."]);
  assert.deepEqual((await dig(vm.host, "web.blue.example")).lines, [web.address]);

  // A reservation's machine has its address and name.
  const db = await Machine.on(two, blue, mac(5));
  const reserved = await db.lease("-x", "hostname:other");
  assert.equal(reserved.address, "10.0.0.77");
  assert.equal(reserved.variables.get("hostname"), "db");
  await until(
    "db resolves on the other host",
    async (see) => see(await dig(vm.host, "db.blue.example")).lines.join() === "10.0.0.77",
  );
  assert.equal((await dig(vm.host, "other.blue.example")).status, "NXDOMAIN");
  await reaches(vm.host, "10.0.0.77");
}

async function renewed(it: GatewayLab) {
  const [one, two] = [it.host(1), it.host(2)];
  const blue = await it.network("blue", { network: { lease_duration: 20 } });
  await one.attach(blue), await two.attach(blue);
  const vm = await Machine.on(one, blue, mac(1)), first = await vm.lease("-x", "hostname:vm");
  // A second that the write to etcd has taken is taken off.
  assert.match(first.variables.get("lease") ?? "", /^(20|1\d)$/);
  const [before] = await it.leases(blue);
  assert.equal(before?.["hostname"], "h1");

  // Renewed by unicast to the gateway, and given back at the end.
  const client = vm.client("-x", "hostname:vm");
  await client.line(/lease of .* obtained/);
  const at = (record?: Record<string, unknown>) => Date.parse(String(record?.["expires_at"]));
  const [held] = await it.leases(blue);
  assert.equal(held?.["target_veth_ip"], before?.["target_veth_ip"]);
  await until("a second passes", () => Date.now() > at(held) - 19_000);
  client.signal("SIGUSR1");
  await until("it is renewed", async () => at((await it.leases(blue))[0]) > at(held));
  assert.equal((await it.leases(blue))[0]?.["id"], before?.["id"]);
  await client.stop();
  await until("it is given back", async () => (await it.leases(blue)).length === 0);
  await until("its name is gone", async (see) => see(await dig(vm.host, "vm")).status === "REFUSED");

  // Another one that comes back gets its own again, although a lower one is free.
  assert.equal((await vm.lease()).address, first.address);
  const other = await Machine.on(one, blue, mac(2)), second = await other.lease();
  assert.notEqual(second.address, first.address);

  // They are not renewed, so that they go, with what other hosts have programmed for them.
  const neighbours = async () => await ipIn(two.namespaceOf(blue), "neigh show dev vxlan0");
  await until("the other host knows both", async () => {
    const known = await neighbours();
    return [first, second].every(({ address }) => known.includes(`${address} `));
  });
  await until("both are over", async () => (await it.leases(blue)).length === 0);
  await until(
    "the other host knows neither",
    async () => !(await neighbours()).includes(`${first.address} `),
  );
  assert.equal((await other.lease()).address, second.address);

  // The first machine has kept its address all the same: the next one to get it finds that, and declines it.
  const third = await Machine.on(one, blue, mac(3)), careful = await third.lease("-a", "-A", "1");
  assert.ok(![first.address, second.address, ""].includes(careful.address), careful.address);
  const withheld = await it.lab.kv.under(`/sc-net/strand/net/${blue}/withheld/`);
  assert.deepEqual([...withheld.keys()].map((key) => key.split("/").at(-1)), [first.address]);
}
