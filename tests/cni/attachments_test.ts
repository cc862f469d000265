/**
 * What containers get by CNI, what becomes of it, and that nothing is left. STRAND_KILL_ROUNDS=400 kills the plugin more
 * often than the default of 24, by which it is killed at 21 moments of a call, and three times before it.
 */
import assert from "node:assert/strict";
import { delay } from "../../services/common/async.ts";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { ApiNetwork } from "../lab/overlay_api.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { addressOf } from "../lab/overlay_reference.ts";
import { pings } from "../lab/overlay_traffic.ts";
import { Relay } from "../lab/relay.ts";
import { until } from "../lab/until.ts";
import { type Attachment, environmentOf, interfaceIn, type Json, routesIn, Runtime } from "./runtime.ts";

const VERSION = "1.1.0";

const ROUNDS = Number(Deno.env.get("STRAND_KILL_ROUNDS") ?? 24);

/** One host. The plugin is called in this process where it is not killed: it is the agent that is tested here. */
interface Made {
  readonly lab: OverlayLab;
  readonly host: OverlayHost;
  readonly runtime: Runtime;
  /** Called blue. */
  readonly network: ApiNetwork;
}

Deno.test("CNI: what containers get, what becomes of it, and that nothing is left", async (t) => {
  await using lab = await OverlayLab.started({ hosts: 1 });
  const host = lab.host(1), runtime = await Runtime.on(host, { inProcess: true });
  const cases: [name: string, holds: (made: Made) => Promise<void>][] = [
    ["an address and a MAC are had by each of the ways there are, the one before the other", ways],
    ["GC leaves what is valid, what is others' and what other networks have", garbage],
    [`many containers at once, and ${ROUNDS} rounds in which the plugin is killed, leave nothing`, kills],
    ["what comes while a host leaves a network, with which the last one goes, is set up", leaving],
    ["DEL works after the agent was away, after the container is gone and without its namespace", deletion],
    ["routes come with the interface, come back with it, and no other routes are touched", routes],
  ];
  for (const [name, holds] of cases) {
    await t.step(name, async () => {
      if (!host.running) await host.start();
      await lab.clear();
      await holds({ lab, host, runtime, network: await host.api.createNetwork({ name: "blue" }) });
    });
  }
});

async function ways({ lab, host, runtime }: Made): Promise<void> {
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
}

async function routes({ lab, host, runtime, network }: Made): Promise<void> {
  await host.stop();
  await host.start({ STRAND_AGENT_CHECK_EVERY: "1" });
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
}

async function leaving({ lab, host, network }: Made): Promise<void> {
  const container = await host.container();
  let last = await host.attach(network.id, { container });
  for (let i = 0; i < 3; i++) {
    const namespaces = Deno.watchFs(host.namespaces);
    const going = host.api.deleteEndpoint(last.endpoint.id);
    for await (const { kind, paths } of namespaces) {
      if (kind === "remove" && paths.includes(host.namespaceOf(network.id))) break;
    }
    // Now the agent writes to etcd that it has left, and waits for the answer.
    lab.etcd.freeze();
    const coming = host.attach(network.id, { container });
    // Its answer shows that the agent has got the request before it.
    await host.api.networks();
    lab.etcd.thaw();
    await going;
    last = await coming;
  }
  await lab.agree();
}

async function deletion({ lab, host, runtime }: Made): Promise<void> {
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
}

async function garbage({ lab, host, runtime, network }: Made): Promise<void> {
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
}

async function kills({ lab, host, runtime, network }: Made): Promise<void> {
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

  // A round's plugin is killed when it has called the agent, a little later each time, or before that. The last ones are not.
  using relays = new DisposableStack();
  const lanes = attachments.slice(0, 4).map((attachment) => {
    const agent = `${host.directory}/${attachment.container}.sock`;
    const relay = relays.use(new Relay(() => host.socket, agent));
    const config: Json = { ...list.plugins[0], agent, cniVersion: VERSION, name: list.name };
    return { attachment, relay, config };
  });
  const most: number[] = [];
  for (let i = 0; i < 3; i++) {
    const took = await Promise.all(lanes.map(async ({ attachment, config }) => {
      const began = performance.now();
      await runtime.call("ADD", config, environmentOf(attachment));
      const ms = performance.now() - began;
      await runtime.call("DEL", config, environmentOf(attachment));
      return ms;
    }));
    most.push(Math.max(...took));
  }
  // What a busy machine holds up for long once would have the plugins end before they are killed.
  const longest = 2 * Math.min(...most);
  const ended = { killed: 0, done: 0, refused: [] as string[] };
  const round = async (i: number, { attachment, relay, config }: typeof lanes[number]) => {
    for (const command of ["ADD", ...i % 2 ? ["DEL"] : []]) {
      const environment = { CNI_COMMAND: command, ...environmentOf(attachment) };
      const called = i % 8 ? relay.called() : Promise.resolve();
      const moment = i < ROUNDS * 3 / 4
        ? called.then(() => delay(i % 8 ? longest * i / ROUNDS : 0))
        : undefined;
      const { code, stdout } = await runtime.execute("strand", environment, JSON.stringify(config), moment);
      // What the plugin has said before its end is with the agent, ahead of what follows.
      await until("the relay is through", () => relay.open === 0);
      if (code === 0) ended.done++;
      else if (code !== 1) ended.killed++;
      else ended.refused.push(`${command}: ${stdout}`);
    }
    // As a runtime does it that was told nothing.
    await runtime.call("DEL", config, environmentOf(attachment));
  };
  const rounds = Array.from({ length: ROUNDS }, (_, i) => i);
  await Promise.all(lanes.map(async (lane) => {
    for (let i = rounds.shift(); i !== undefined; i = rounds.shift()) await round(i, lane);
  }));
  assert.ok(ended.killed >= ROUNDS / 5 && ended.done >= ROUNDS / 5, JSON.stringify(ended));
  assert.deepEqual(ended.refused, []);
  await lab.agree();
  assert.deepEqual(await host.api.endpoints(), []);
  assert.deepEqual([...await lab.kv.under("/sc-net/")].map(([key]) => key), before);
  for (const container of containers) assert.equal(await interfaceIn(container, "eth0"), undefined);
  assert.ok(network.id);
}
