/** A host of SAND's agent in a network with leases, fixed members and moves: what it sees of them, and reaches. */
import assert from "node:assert/strict";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { SandHost } from "../lab/overlay_sand_host.ts";
import { printedKernel } from "../lab/overlay_takeover.ts";
import { pings, reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import { Machine } from "../overlay_names/ports.ts";
import { at } from "./attached.ts";

const VM = "52:54:00:00:00:05", FIXED = "52:54:00:00:00:07", FIXED_ADDRESS = "10.0.0.77";
/** What SAND's agent of a later version may write. */
const LABELS = { tier: "gold" };

Deno.test("a host of SAND's agent reaches what comes by a device, moves and goes, by what etcd told it", async (t) => {
  await using it = await GatewayLab.started({ hosts: 3, running: 2 });
  const { lab } = it, [one, two] = [it.host(1), it.host(2)];
  const sand = await SandHost.create(lab, it.host(3), { labels: LABELS }), { network } = sand;
  await it.settings(network, {
    network: { name: "blue", domain: "blue.example" },
    overlay: { contain: true },
  });
  let before = "";
  await until("the carrier of what was made is there", async (see) => {
    before = see(await printedKernel(lab, 3));
    return !/NO-CARRIER|LOWERLAYERDOWN/.test(before);
  });

  const behind = async (host: OverlayHost, device: string, mac: string, ...options: string[]) => {
    const machine = await Machine.behind(host, device, mac);
    assert.equal((await at(host, "attach", "blue", "--device", device, ...options))[2], "");
    return machine;
  };
  /** What a machine has on another host after it was migrated, or with a fixed address. */
  const has = async (machine: Machine, address: string) => {
    await machine.host.run(["ip", "address", "replace", `${address}/24`, "dev", "eth0"]);
    await machine.host.run(["ping", "-c", "1", "-W", "1", "10.0.0.1"], { mayFail: true });
  };
  const reached = (address: string) =>
    until(`the SAND host's container reaches ${address}`, async () => {
      await sand.follow();
      return await pings(sand.container, address);
    });
  /** The events of a machine's endpoints. */
  const eventsOf = (mac: string) => {
    const its = new Set(
      sand.events.flatMap(({ id, endpoint }) => endpoint?.target_veth_mac === mac ? [id] : []),
    );
    return sand.events.filter(({ id }) => its.has(id));
  };

  let vm: Machine, address = "";
  await t.step("a lease behind a device is an endpoint like any other", async () => {
    vm = await behind(one, "vm0", VM);
    ({ address } = await vm.lease("-x", "hostname:vm"));
    await reached(address);
    await reaches(vm.host, sand.address);
    const [{ endpoint } = {}] = eventsOf(VM);
    assert.deepEqual(
      [
        endpoint?.hostname,
        endpoint?.host_ip,
        endpoint?.active,
        endpoint?.target_veth_ip,
        endpoint?.network_id,
      ],
      ["h1", one.ip, true, `${address}/24`, network],
    );
    // A lease that is renewed is written again, and stays where it is.
    assert.equal((await vm.lease()).address, address);
    await reached(address);
  });

  await t.step("so is a member with a fixed address", async () => {
    // As it was made before that host had the network: nexd refuses it now.
    await it.reserve(network, FIXED, { name: "db", ip4: FIXED_ADDRESS });
    const db = await behind(two, "vm1", FIXED, "--members", "db");
    await has(db, FIXED_ADDRESS);
    await reached(FIXED_ADDRESS);
    await reaches(db.host, sand.address);
  });

  await t.step("an address that several may use is refused, since a SAND agent gives it no way", async () => {
    const container = await two.container(), ours = ["--ns", container.path, "--name", "web"];
    const endpoints = () => lab.kv.under(`/sc-net/network-endpoints/${network}/`), before = await endpoints();
    const [code, , stderr] = await at(two, "attach", "blue", ...ours, "--allow", "10.0.0.99");
    assert.notEqual(code, 0);
    assert.match(stderr, /allow: the agent on h3 does not know such addresses/);
    assert.deepEqual(await endpoints(), before);
    assert.match(
      (await at(two, "attach", "blue", ...ours, "--wait"))[2],
      /^strand: web is there, and h3 did not say within 5s .* an agent of SAND's never says so$/m,
    );
    await sand.follow();
    const web = sand.events.findLast(({ endpoint }) => endpoint?.target_netns_path === container.path)
      ?.endpoint;
    await reached(web?.target_veth_ip.split("/")[0] ?? "");
    await reaches(container, sand.address);
  });

  await t.step("a move is a new id: the old record is deleted first, in the same transaction", async () => {
    const count = eventsOf(VM).length, old = eventsOf(VM).at(-1)?.id ?? "";
    await vm.remove();
    vm = await behind(two, "vm2", VM);
    await until("it is at its new port", async () => {
      await has(vm, address);
      return (await it.leases(network)).some(({ hostname, strand_port }) =>
        `${hostname} ${strand_port}` === "h2 vm2"
      );
    });
    await reached(address);
    await reaches(vm.host, sand.address);
    const [gone, come] = eventsOf(VM).slice(count);
    assert.deepEqual([gone?.id, gone?.endpoint], [old, undefined]);
    assert.equal(come?.revision, gone?.revision);
    assert.deepEqual([come?.endpoint?.hostname, come?.endpoint?.host_ip], ["h2", two.ip]);
    assert.notEqual(come?.id, old);
    const keys = [...(await lab.kv.under("/sc-net/")).keys()];
    assert.deepEqual(keys.filter((key) => key.includes(old)), []);
  });

  await t.step("a machine that sends with the MAC of the SAND host's container is not taken in", async () => {
    const posing = await behind(one, "vm3", "02:84:0a:00:00:09");
    await until("status names it", async (see) => {
      await has(posing, sand.address);
      const { body } = await one.api.status("/readyz");
      see(body);
      return body.includes("which is no machine behind a device");
    });
    await reaches(vm.host, sand.address);
    await posing.remove();
    assert.equal((await at(one, "detach", "blue", "--device", "vm3"))[2], "");
  });

  await t.step("no frame of the SAND host was refused, and its records are as it wrote them", async () => {
    for (const host of [one, two]) {
      const { body } = await host.api.status("/metrics");
      assert.doesNotMatch(body, /^agent_refused_vxlan_total.* [1-9]/m);
      assert.doesNotMatch(
        body,
        /^agent_foreign_frames_total\{.*kind="(mac|arp|ipv4)",verdict="dropped".* [1-9]/m,
      );
    }
    for (const [key, value] of Object.entries(sand.records)) assert.equal(await lab.kv.get(key), value, key);
    const claims = JSON.parse(await lab.kv.get(`/sc-net/ipalloc/${network}`) ?? "{}");
    assert.deepEqual(claims.labels, LABELS);
    assert.notEqual(claims.bit_set, sand.bits);
  });

  await t.step("what is gone leaves the SAND host as it was", async () => {
    const client = vm.client();
    await client.line(/lease of .* obtained/);
    // It gives its lease back.
    await client.stop();
    await until("it has no lease", async () => (await it.leases(network)).length === 0);
    for (const [host, device] of [[one, "vm0"], [two, "vm1"], [two, "vm2"]] as const) {
      assert.equal((await at(host, "detach", "blue", "--device", device))[2], "");
    }
    for (const { id, target_netns_path } of await two.api.endpoints({ hostname: "h2" })) {
      if (target_netns_path) await two.api.deleteEndpoint(id);
    }
    await until("no endpoint is left but its own", async (see) => {
      const left = await lab.kv.under(`/sc-net/network-endpoints/${network}/`);
      see([...left.values()]);
      return left.size === 1;
    });
    await sand.follow();
    assert.equal(await printedKernel(lab, 3), before);
    for (const [key, value] of Object.entries(sand.records)) assert.equal(await lab.kv.get(key), value, key);
  });
});
