/** What containers get by CNI, what becomes of it, and that nothing is left. */
import assert from "node:assert/strict";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { addressOf } from "../lab/overlay_judge.ts";
import { pings } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";
import { type Attachment, environmentOf, interfaceIn, type Json, routesIn, Runtime } from "./runtime.ts";

const VERSION = "1.1.0";

/** A lab of one host with a network called blue. */
async function oneHost(options: { env?: Record<string, string> } = {}) {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(await OverlayLab.started({ hosts: 1, ...options }));
  const host = lab.host(1), runtime = await Runtime.on(host);
  const network = await host.api.createNetwork({ name: "blue" });
  const all = stack.move();
  return { lab, host, runtime, network, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

Deno.test("CNI: an address and a MAC are had by each of the ways there are, the one before the other", async () => {
  await using made = await oneHost();
  const { lab, host, runtime } = made;
  const capabilities = { ips: true, mac: true };
  const rows: [name: string, more: Json, attachment: Partial<Attachment>, address: string, mac: string][] = [
    ["lowest", {}, {}, "10.0.0.2", "02:84:0a:00:00:02"],
    ["args", {}, { args: "IgnoreUnknown=1;IP=10.0.0.20;K8S_POD_NAME=a" }, "10.0.0.20", "02:84:0a:00:00:14"],
    ["argsMac", {}, { args: "MAC=02:00:00:00:00:21" }, "10.0.0.3", "02:00:00:00:00:21"],
    ["conf", { mac: "02:00:00:00:00:22" }, {}, "10.0.0.4", "02:00:00:00:00:22"],
    [
      "convention",
      { args: { cni: { ips: ["10.0.0.23"], mac: "02-00-00-00-00-23" }, labels: [1] } },
      { args: "IP=10.0.0.99;MAC=02:00:00:00:00:99" },
      "10.0.0.23",
      "02:00:00:00:00:23",
    ],
    [
      "capability",
      { capabilities, args: { cni: { ips: ["10.0.0.98"] } } },
      { dynamic: { ips: ["10.0.0.24/24"], mac: "02:00:00:00:00:24", portMappings: [] } },
      "10.0.0.24",
      "02:00:00:00:00:24",
    ],
  ];
  for (const [name, more, attachment, address, mac] of rows) {
    const container = await host.container();
    const { ips } = await runtime.add(runtime.list("blue", VERSION, more), {
      ...attachment,
      container: name,
      netns: container.path,
    }) as { ips: { address: string }[] };
    assert.equal(ips[0]?.address, `${address}/24`, name);
    assert.deepEqual(
      await interfaceIn(container, "eth0"),
      { mtu: 1450, mac, up: true, addresses: [`${address}/24`] },
      name,
    );
  }
  await lab.agree();
});

Deno.test("CNI: routes come with the interface, come back with it, and no other routes are touched", async () => {
  await using made = await oneHost({ env: { STRAND_AGENT_CHECK_EVERY: "1" } });
  const { lab, host, runtime, network } = made;
  const container = await host.container();
  const list = runtime.list(network.id, VERSION, {
    isDefaultGateway: true,
    ipam: {
      routes: [{ dst: "10.8.0.0/16" }, { dst: "10.9.0.0/16", gw: "10.0.0.7", mtu: 1400, priority: 5 }],
    },
  });
  const attachment = { container: "c", netns: container.path, ifname: "net1" };
  const { routes } = await runtime.add(list, attachment);
  assert.deepEqual(routes, [
    { dst: "0.0.0.0/0", gw: "10.0.0.1" },
    { dst: "10.8.0.0/16", gw: "10.0.0.1" },
    { dst: "10.9.0.0/16", gw: "10.0.0.7", mtu: 1400, priority: 5 },
  ]);
  const wanted = [
    "default via 10.0.0.1 dev net1 proto static",
    "10.0.0.0/24 dev net1 proto kernel scope link src 10.0.0.2",
    "10.8.0.0/16 via 10.0.0.1 dev net1 proto static",
    "10.9.0.0/16 via 10.0.0.7 dev net1 proto static metric 5 mtu 1400",
  ];
  assert.deepEqual(await routesIn(container), wanted);
  await runtime.check(list, attachment);

  // The container loses its interface with the network's bridge, and gets all of it back.
  const veth = (await host.api.endpoints())[0]?.overlay_veth_name ?? "";
  await run(["nsenter", `--net=${host.namespaceOf(network.id)}`, "ip", "link", "delete", veth]);
  await until("it has its routes again", async (see) => see(`${await routesIn(container)}`) === `${wanted}`);
  await runtime.check(list, attachment);
  // What its owner does with them afterwards is his affair, but CHECK says it.
  await container.run(["ip", "route", "delete", "10.8.0.0/16"]);
  await assert.rejects(runtime.check(list, attachment), /103.*no route to 10\.8\.0\.0\/16 over net1/);
  await container.run(["ip", "route", "add", "10.8.0.0/16", "via", "10.0.0.1", "proto", "static"]);
  // CHECK has the agent mend what is the agent's.
  await container.run(["ip", "address", "add", "10.0.0.77/24", "dev", "net1"]);
  await container.run(["ip", "link", "set", "net1", "address", "02:00:00:00:00:01"]);
  await runtime.check(list, attachment);

  // A second default route is refused.
  const second = { ...attachment, ifname: "net2" };
  await assert.rejects(runtime.add(list, second), /100.*another route to 0\.0\.0\.0\/0/);
  assert.deepEqual(await routesIn(container), wanted);
  assert.equal(await interfaceIn(container, "net2"), undefined);
  await runtime.add(runtime.list(network.id, VERSION), second);
  await runtime.del(list, second);
  await container.run(["ip", "address", "delete", "10.0.0.77/24", "dev", "net1"]);
  await lab.agree();
  await runtime.del(list, attachment);
  assert.deepEqual(await routesIn(container), []);
  await lab.agree();
});

Deno.test("CNI: DEL works after the agent was away, after the container is gone and without its namespace", async () => {
  await using made = await oneHost();
  const { lab, host, runtime } = made;
  const list = runtime.list("blue", VERSION);
  const attach = async (name: string) => {
    const container = await host.container();
    const attachment = { container: name, netns: container.path };
    await runtime.add(list, attachment);
    return { container, attachment };
  };
  const [a, b, c, d] = [await attach("a"), await attach("b"), await attach("c"), await attach("d")];
  await host.kill();
  await assert.rejects(runtime.del(list, a.attachment), /"code":11/);
  await host.removeContainer(b.container);
  await host.start();
  await runtime.check(list, a.attachment);
  await runtime.del(list, a.attachment);
  await runtime.del(list, b.attachment);
  await host.removeContainer(c.container);
  await runtime.del(list, { container: "c" });
  await lab.agree();
  // A container of the same name in a new namespace, whose end was not reported: it gets what it asks for.
  const again = await host.container();
  await runtime.add(list, { container: "d", netns: again.path });
  assert.equal(await interfaceIn(d.container, "eth0"), undefined);
  assert.ok(await interfaceIn(again, "eth0"));
  // What is named alike in another runtime's network stays.
  await runtime.del({ ...list, name: "other" }, { container: "d" });
  assert.ok(await interfaceIn(again, "eth0"));
  await runtime.del(list, { container: "d" });
  assert.deepEqual(await host.api.endpoints(), []);
  await lab.agree();
});

Deno.test("CNI: GC leaves what is valid, what is others' and what other networks have", async () => {
  await using made = await oneHost();
  const { lab, host, runtime, network } = made;
  const list = runtime.list("blue", VERSION), other = { ...list, name: "other" };
  const container = await host.container();
  const attach = (ifname: string) => ({ container: "c", netns: container.path, ifname });
  for (const ifname of ["net0", "net1", "net2"]) await runtime.add(list, attach(ifname));
  await runtime.add(other, attach("net3"));
  await host.attach(network.id, { container });
  await runtime.gc(list, [attach("net1"), { container: "unknown", ifname: "net0" }]);
  const left = (await host.api.endpoints()).map((endpoint) => endpoint.target_veth_name).sort();
  assert.deepEqual(left.slice(0, 2), ["net1", "net3"]);
  assert.match(left[2] ?? "", /^sand/);
  assert.equal(left.length, 3);
  await lab.agree();
});

Deno.test("CNI: many containers at once, and 100 rounds in which the plugin is killed, leave nothing", async () => {
  await using made = await oneHost();
  const { lab, host, runtime, network } = made;
  const list = runtime.list("blue", VERSION);
  const containers = await Promise.all(Array.from({ length: 10 }, () => host.container()));
  const attachments = containers.map(({ path }, i) => ({ container: `c${i}`, netns: path }));
  const results = await Promise.all(attachments.map((attachment) => runtime.add(list, attachment)));
  const addresses = results.map((result) => (result["ips"] as { address: string }[])[0]?.address);
  assert.equal(new Set(addresses).size, 10);
  assert.ok(await pings(containers[0]!, addressOf((await host.api.endpoints())[9]!)));
  await Promise.all(attachments.map((attachment) => runtime.del(list, attachment)));
  await lab.agree();
  const before = [...await lab.kv.under("/sc-net/")].map(([key]) => key);

  const config = JSON.stringify({ ...list.plugins[0], cniVersion: VERSION, name: list.name });
  // Some are killed before they have begun, some when they are done.
  const began = performance.now();
  await runtime.add(list, attachments[0]!);
  const longest = 3 * (performance.now() - began);
  const calling = await Runtime.on(host, { inProcess: true });
  const ended = { killed: 0, done: 0, refused: 0 };
  const round = async (i: number, attachment: Attachment) => {
    for (const command of ["ADD", ...i % 2 ? ["DEL"] : []]) {
      const environment = { CNI_COMMAND: command, ...environmentOf(attachment) };
      const { code } = await runtime.execute("strand", environment, config, longest * i / 100);
      ended[code === 0 ? "done" : code === 1 ? "refused" : "killed"]++;
    }
    // As a runtime does it that was told nothing.
    await calling.call("DEL", JSON.parse(config), environmentOf(attachment));
  };
  const rounds = Array.from({ length: 100 }, (_, i) => i);
  await Promise.all(
    attachments.slice(0, 4).map(async (attachment) => {
      for (let i = rounds.shift(); i !== undefined; i = rounds.shift()) await round(i, attachment);
    }),
  );
  assert.ok(ended.killed >= 20 && ended.done >= 20, JSON.stringify(ended));
  assert.equal(ended.refused, 0);
  await lab.agree();
  assert.deepEqual(await host.api.endpoints(), []);
  assert.deepEqual([...await lab.kv.under("/sc-net/")].map(([key]) => key), before);
  for (const container of containers) assert.equal(await interfaceIn(container, "eth0"), undefined);
  assert.ok(network.id);
});
