/** What the host and its containers have to do with one another: ports, probes, limits of bandwidth. */
import assert from "node:assert/strict";
import { listenIn } from "../../ffi/sockets_in.ts";
import { libc } from "../../ffi/libc.ts";
import { openNamespace } from "../../ffi/netns.ts";
import { type Failpoint, hostFailpoints } from "../../services/agent/failpoints.ts";
import { curl } from "../lab/curl.ts";
import { type LabHost, run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { pings, reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";
import { type Attachment, DEBIAN, type Json, type List, PluginError, Runtime } from "./runtime.ts";

const debian = await Deno.stat(`${DEBIAN}/portmap`).then(() => true, () => false);

/** Serves a text, so many times, and who asks for it over HTTP in a container until it is disposed of. */
function serve(container: LabHost, text: string, times = 1): Disposable {
  const namespace = openNamespace(container.path);
  const listener = listenIn(namespace, { hostname: "0.0.0.0", port: 80 });
  libc.close(namespace);
  const answer = async (connection: Deno.TcpConn) => {
    const decoder = new TextDecoder(), buffer = new Uint8Array(4096);
    for (let head = ""; !head.includes("\r\n\r\n");) {
      const n = await connection.read(buffer);
      if (n === null) break;
      head += decoder.decode(buffer.subarray(0, n));
    }
    const body = `${text.repeat(times)} ${connection.remoteAddr.hostname}`;
    const writer = connection.writable.getWriter();
    await writer.write(new TextEncoder().encode(`HTTP/1.0 200 OK\r\n\r\n${body}`));
    await writer.close();
  };
  const serving = async () => {
    // A client that ends early is no failure here: the test looks at what clients received.
    for await (const connection of listener) void answer(connection).catch(() => {});
  };
  void serving();
  return { [Symbol.dispose]: () => listener.close() };
}

async function fetched(from: LabHost, url: string): Promise<string> {
  return (await curl([url], from, 30)).body;
}

/** The list with ports and limits that docs/CNI.md shows, for this host's agent. */
function documentedList(host: OverlayHost): List {
  const page = Deno.readTextFileSync(new URL("../../docs/CNI.md", import.meta.url));
  const [list] = [...page.matchAll(/^```json\n(.*?)^```$/gms)].map(([, text]) =>
    JSON.parse(text ?? "") as List
  )
    .filter(({ plugins }) => plugins.length > 1);
  assert.ok(list);
  const [first = {}, ...others] = list.plugins;
  return { ...list, plugins: [{ ...first, agent: host.socket }, ...others] };
}

function sysctl(host: LabHost, name: string): Promise<string> {
  return host.run(["sysctl", "-n", name]).then(({ stdout }) => stdout.trim());
}

async function refused(call: Promise<unknown>): Promise<PluginError> {
  const error = await call.then(() => undefined, (error) => error);
  assert.ok(error instanceof PluginError, `${error}`);
  return error;
}

/** The addresses that containers of this host have, by the order in which they came. */
async function addressIn(result: Json): Promise<string> {
  const [ip] = result["ips"] as { address: string }[];
  return await Promise.resolve(ip?.address.split("/")[0] ?? "");
}

async function attach(
  runtime: Runtime,
  host: OverlayHost,
  name: string,
  list: Parameters<Runtime["add"]>[0],
  more: Partial<Attachment> = {},
) {
  const container = await host.container();
  const attachment = { container: name, netns: container.path, ...more };
  const result = await runtime.add(list, attachment);
  return { container, attachment, result, address: await addressIn(result) };
}

/** Two hosts with agents; the first one's dies where a file says. */
interface Made {
  readonly lab: OverlayLab;
  readonly h1: OverlayHost;
  readonly h2: OverlayHost;
  /** On h1. The plugin is called in this process: it is the agent that is tested here. */
  readonly runtime: Runtime;
  /** Starts h1's agent again. */
  start(): Promise<void>;
  /** From now on h1's agent dies at that place. */
  dieAt(name: Failpoint): Promise<void>;
}

async function hosts(stack: AsyncDisposableStack): Promise<Made> {
  const lab = stack.use(await OverlayLab.create()), [h1, h2] = [lab.host(1), lab.host(2)];
  const place = `${h1.directory}/failpoint`;
  const start = async () => {
    await Deno.writeTextFile(place, "");
    await h1.start({ STRAND_FAILPOINT: place });
  };
  await Promise.all([start(), h2.start()]);
  const runtime = await Runtime.on(h1, { inProcess: true });
  return { lab, h1, h2, runtime, start, dieAt: (name) => Deno.writeTextFile(place, name) };
}

/** Removes what the case before has left, which may have failed. */
async function clear({ lab, h1, start }: Made): Promise<void> {
  if (!h1.running) await start();
  await lab.clear();
  assert.deepEqual([...(await lab.kv.under("/sc-net/")).keys()], []);
}

Deno.test("CNI: what a host and its containers have to do with one another", async (t) => {
  await using stack = new AsyncDisposableStack();
  const made = await hosts(stack);
  const cases: [name: string, holds: (made: Made) => Promise<void>, ignore?: boolean][] = [
    ["isGateway never takes an address from the host, nor from another network's container", othersAddresses],
    ["with hostInterface Debian's bandwidth limits a container in both directions", bandwidth, !debian],
    ["a container with hostInterface cannot have the host listen to it", silence],
    [
      "an end in the host's namespace goes with its endpoint, also when its port was taken away by hand",
      portGone,
    ],
    ["what others change of a host's way to containers is mended, also by an agent that was killed", drifts],
    ...hostFailpoints.map((name): [string, (made: Made) => Promise<void>] => [
      `an agent that dies at ${name}, a step of a host's way to containers, goes on as if it had not`,
      (made) => failpoint(made, name),
    ]),
    // The last one: it leaves rules of iptables.
    [
      "with isGateway a host reaches its containers and they it, and portmap's ports lead to them",
      gateway,
      !debian,
    ],
  ];
  for (const [name, holds, ignore = false] of cases) {
    await t.step({
      name,
      ignore,
      fn: async () => {
        await clear(made);
        await holds(made);
      },
    });
  }
  await clear(made);
});

async function gateway({ lab, h1, h2, runtime }: Made) {
  const network = await h1.api.createNetwork({ name: "blue" });
  const there = await h2.attach(network.id);
  const portmap = { type: "portmap", capabilities: { portMappings: true }, snat: true };
  // Docker sets this policy; docs/CNI.md has the two rules.
  await h1.host.run(["iptables", "-P", "FORWARD", "DROP"]);
  for (const way of ["-i", "-o"]) {
    await h1.host.run(["iptables", "-I", "FORWARD", way, "sandh+", "-j", "ACCEPT"]);
  }
  const list = runtime.list("blue", "1.0.0", { isDefaultGateway: true }, [portmap]);
  const web = await attach(runtime, h1, "web", list, {
    dynamic: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] },
  });
  using _server = serve(web.container, "web greets");
  await lab.agree();
  assert.ok(await pings(h1.host, web.address));
  assert.ok(await pings(web.container, h1.ip));
  assert.equal(await fetched(h1.host, `http://${web.address}/`), `web greets ${h1.ip}`);
  // From elsewhere, whose address the container sees; from the host itself; from the container by its host's port.
  assert.equal(await fetched(h2.host, `http://${h1.ip}:8080/`), `web greets ${h2.ip}`);
  assert.match(await fetched(h1.host, "http://127.0.0.1:8080/"), /^web greets /);
  assert.match(await fetched(web.container, `http://${h1.ip}:8080/`), /^web greets /);
  // Beyond the host, where there is no route back.
  assert.ok(!await pings(web.container, h2.ip));
  const masquerade = "-t nat -A POSTROUTING -s 10.0.0.0/24 ! -o sandh+ -j MASQUERADE";
  await h1.host.run(["iptables", ...masquerade.split(" ")]);
  assert.ok(await pings(web.container, h2.ip));
  await h1.host.run(["iptables", ...masquerade.replace("-A", "-D").split(" ")]);
  await withEgress({ lab, h1, h2, network: network.id, web });
  // The network itself is as ever, and what is on other hosts is theirs to reach.
  assert.ok(await pings(web.container, there.address));
  assert.ok(!await pings(h1.host, there.address));

  // Without isGateway nothing of this: the host has no way to it, nor it to the host.
  const apart = await attach(runtime, h1, "apart", runtime.list("blue", "1.0.0"));
  assert.ok(!await pings(h1.host, apart.address));
  await reaches(apart.container, web.address);
  const second = await attach(runtime, h1, "second", runtime.list("blue", "1.0.0", { isGateway: true }));
  await lab.agree();
  await runtime.del(list, web.attachment);
  await lab.agree();
  assert.equal(await fetched(h2.host, `http://${h1.ip}:8080/`), "");
  await h1.removeContainer(second.container);
  await runtime.del(list, second.attachment);
  // The last of those that the host reaches takes the way along.
  await lab.agree();
  assert.ok(await pings(apart.container, there.address));
}

/** What a network with egress adds to isGateway: its containers reach the world as the host, and portmap's ports go on. */
async function withEgress(
  { lab, h1, h2, network, web }: Pick<Made, "lab" | "h1" | "h2"> & {
    readonly network: string;
    readonly web: { readonly container: LabHost; readonly address: string };
  },
) {
  const settings = `/sc-net/strand/net/${network}/settings`;
  using _world = serve(h2.host, "the world greets");
  assert.ok(!await pings(web.container, h2.ip));
  await lab.kv.write({
    [settings]: JSON.stringify({ network: { name: "blue" }, overlay: { egress: true, contain: true } }),
  });
  await until(
    "it reaches the world as its host",
    async (see) => see(await fetched(web.container, `http://${h2.ip}/`)) === `the world greets ${h1.ip}`,
  );
  await lab.agree();
  // From elsewhere, whose address the container sees still; from the host, and by its address.
  assert.equal(await fetched(h2.host, `http://${h1.ip}:8080/`), `web greets ${h2.ip}`);
  assert.match(await fetched(h1.host, "http://127.0.0.1:8080/"), /^web greets /);
  assert.equal(await fetched(h1.host, `http://${web.address}/`), `web greets ${h1.ip}`);
  assert.match(await fetched(web.container, `http://${h1.ip}:8080/`), /^web greets /);
  await lab.kv.write({ [settings]: undefined });
  await until("the way out is closed", async () => !await pings(web.container, h2.ip, ["-W", "1"]));
  assert.equal(await fetched(h2.host, `http://${h1.ip}:8080/`), `web greets ${h2.ip}`);
}

async function othersAddresses({ lab, h1, runtime }: Made) {
  for (const name of ["blue", "red"]) await h1.api.createNetwork({ name });
  const gateway = { isGateway: true };
  const blue = await attach(runtime, h1, "a", runtime.list("blue", "1.1.0", { isDefaultGateway: true }));
  const red = runtime.list("red", "1.1.0", gateway), container = await h1.container();
  const attachment = { container: "b", netns: container.path };
  const before = await lab.kv.under("/sc-net/");
  const error = await refused(runtime.add(red, attachment));
  assert.equal(error.code, 100);
  assert.match(
    error.text,
    /isGateway: this host has 10\.0\.0\.2 behind sandh\w+ already: give .*isGateway to false/,
  );
  const endpoints = async () => [...await lab.kv.under("/sc-net/node-endpoints/")].length;
  assert.equal(await endpoints(), 1);
  await lab.agree();
  await runtime.add(runtime.list("red", "1.1.0", { isDefaultGateway: true, isGateway: false }), attachment);
  assert.ok(await pings(h1.host, blue.address));
  await runtime.del(red, attachment);
  // The underlay's neighbours, and the host's own address.
  const range = h1.ip.replace(/\.\d+$/, ".0/24");
  await h1.api.createNetwork({ name: "lan", ip_range: range, gateway: range.replace(".0/", ".250/") });
  for (const address of [h1.ip.replace(/\.\d+$/, ".77"), h1.ip]) {
    const lan = runtime.list("lan", "1.1.0", { ...gateway, args: { cni: { ips: [address] } } });
    const error = await refused(runtime.add(lan, attachment));
    assert.deepEqual([error.code, /isGateway: this host has/.test(error.text)], [100, true], error.message);
  }
  const left = await lab.kv.under("/sc-net/");
  assert.deepEqual(
    [...left.keys()].filter((key) => /endpoints/.test(key)),
    [...before.keys()].filter((key) => /endpoints/.test(key)),
  );
  await lab.agree();
}

async function bandwidth({ lab, h1, h2, runtime }: Made) {
  const network = await h1.api.createNetwork({ name: "blue" });
  const there = await h2.attach(network.id);
  const documented = documentedList(h1);
  assert.deepEqual(documented.plugins.map(({ type }) => type), ["strand", "portmap", "bandwidth"]);
  const dynamic = { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] };
  const limits = { ingressRate: 80e6, ingressBurst: 8e6, egressRate: 40e6, egressBurst: 4e6 };
  const without = runtime.list("blue", "1.0.0", {}, documented.plugins.slice(2));
  const error = await refused(attach(runtime, h1, "slow", without, { dynamic: { bandwidth: limits } }));
  assert.match(error.text, /veth peer with index \d+ is not in host ns/);
  await runtime.del(without, { container: "slow" });
  for (const version of ["0.3.1", "0.4.0", "1.0.0"]) {
    const list = { ...documented, cniVersion: version };
    const slow = await attach(runtime, h1, "slow", list, { dynamic: { ...dynamic, bandwidth: limits } });
    const [outer] = slow.result["interfaces"] as { name: string; sandbox?: string }[];
    assert.ok(outer && !outer.sandbox);
    // Debian's portmap 1.1.1 misses rules for IPv6 where there is no address of it, in any chain.
    const checked = { ...list, plugins: list.plugins.filter(({ type }) => type !== "portmap") };
    if (version !== "0.3.1") await runtime.check(checked, slow.attachment);
    using _server = serve(slow.container, "x", 1 << 20);
    assert.equal(
      (await fetched(there.container, `http://${slow.address}/`)).length,
      (1 << 20) + 1 + there.address.length,
    );
    assert.ok(await fetched(h2.host, `http://${h1.ip}:8080/`));
    const { stdout } = await h1.host.run(["tc", "-s", "-j", "qdisc", "show"]);
    const shapers =
      (JSON.parse(stdout) as { kind: string; dev: string; bytes: number; options: { rate: number } }[])
        .filter(({ kind }) => kind === "tbf");
    // What the container gets passes its own interface, what it sends another one that is made for that.
    const [gets, sends] = [
      shapers.find(({ dev }) => dev === outer.name),
      shapers.find(({ dev }) => dev !== outer.name),
    ];
    assert.deepEqual([gets?.options.rate, sends?.options.rate], [10e6, 5e6]);
    assert.ok(gets && gets.bytes > 1000 && sends && sends.bytes > 1 << 20, JSON.stringify(shapers));
    await runtime.del(list, slow.attachment);
    await lab.agree();
  }
}

async function silence({ lab, h1, runtime }: Made) {
  await h1.api.createNetwork({ name: "blue" });
  const list = runtime.list("blue", "1.1.0", { hostInterface: true });
  const one = await attach(runtime, h1, "one", list), two = await attach(runtime, h1, "two", list);
  await lab.agree();
  assert.ok(await pings(one.container, two.address));
  const [{ name }] = one.result["interfaces"] as [{ name: string }];
  assert.equal(await sysctl(h1.host, `net.ipv6.conf.${name}.disable_ipv6`), "1");
  // Who asks for the host's address by ARP gets no answer, as without this key.
  const arping = async (address: string) => {
    const command = ["busybox", "arping", "-c", "1", "-w", "1", "-I", "eth0", "-s", one.address, address];
    return (await one.container.run(command, { mayFail: true })).stdout;
  };
  assert.match(await arping(two.address), /^Received 1 /m);
  assert.match(await arping(h1.ip), /^Received 0 /m);
  await h1.host.run(["sysctl", "-qw", `net.ipv6.conf.${name}.disable_ipv6=0`]);
  await h1.host.run(["ip", "link", "set", name, "arp", "on"]);
  await runtime.check(list, one.attachment);
  assert.equal(await sysctl(h1.host, `net.ipv6.conf.${name}.disable_ipv6`), "1");
  await lab.agree();
}

/** Removes a namespace as `ip netns delete` does it, also while an agent has it open. */
async function removeNamespace(path: string): Promise<void> {
  await run(["umount", "--lazy", path]);
  await Deno.remove(path);
}

async function portGone({ lab, h1, runtime, start, dieAt }: Made) {
  const network = await h1.api.createNetwork({ name: "blue" });
  const list = runtime.list("blue", "1.1.0", { hostInterface: true });
  const deletePort = async () => {
    const [endpoint] = await h1.api.endpoints({ hostname: "h1" });
    assert.ok(endpoint);
    const command = ["ip", "link", "delete", endpoint.overlay_veth_name];
    await h1.host.run(["nsenter", `--net=${h1.namespaceOf(network.id)}`, ...command]);
    return endpoint;
  };
  const one = await attach(runtime, h1, "one", list);
  await deletePort();
  await runtime.del(list, one.attachment);
  await lab.agree();
  // The same while the agent does not run: with the network's namespace as well, and the endpoint deleted by another.
  const two = await attach(runtime, h1, "two", list);
  await dieAt("delete:after-commit");
  const { id } = await deletePort();
  await assert.rejects(h1.api.deleteEndpoint(id));
  await until("the agent dies", () => !h1.running);
  await removeNamespace(h1.namespaceOf(network.id));
  await start();
  await lab.agree();
  assert.equal((await two.container.run(["ip", "-br", "link"])).stdout.trim().split("\n").length, 1);
}

async function drifts({ lab, h1, h2, runtime, start }: Made) {
  const network = await h1.api.createNetwork({ name: "blue" });
  const there = await h2.attach(network.id);
  const list = runtime.list("blue", "1.1.0", { isDefaultGateway: true, hostInterface: true });
  const one = await attach(runtime, h1, "one", list);
  const [{ name: outer }] = one.result["interfaces"] as [{ name: string }];
  await lab.agree();
  const uplink = `sandh${network.id.replaceAll("-", "").slice(0, 10)}`, overlay = h1.namespaceOf(network.id);
  const port = (await h1.api.endpoints({ hostname: "h1" }))[0]?.overlay_veth_name ?? "";
  const host = (...command: string[]) => h1.host.run(command).then(() => {});
  const inside = (...command: string[]) =>
    h1.host.run(["nsenter", `--net=${overlay}`, ...command]).then(() => {});
  const drifts: Record<string, () => Promise<void>> = {
    "its uplink deleted": () => host("ip", "link", "delete", uplink),
    "its uplink down": () => host("ip", "link", "set", uplink, "down"),
    "its uplink's MTU": () => host("ip", "link", "set", uplink, "mtu", "1300"),
    "its uplink with ARP": () => inside("ip", "link", "set", "host0", "arp", "on"),
    "its uplink's MAC": () => host("ip", "link", "set", uplink, "address", "02:00:00:00:00:77"),
    "its route deleted": () => host("ip", "route", "delete", one.address),
    "a route too many": () => host("ip", "route", "add", "10.0.0.99", "dev", uplink),
    "no way out of the network": () => inside("ip", "route", "delete", "default"),
    "no forwarding by the uplink": () => inside("sysctl", "-qw", "net.ipv4.conf.host0.forwarding=0"),
    "no forwarding by br0": () => inside("sysctl", "-qw", "net.ipv4.conf.br0.forwarding=0"),
    "br0 deleted": () => inside("ip", "link", "delete", "br0"),
    "something else called host0": async () => {
      // Stopped, so that it does not make its own again in between.
      h1.agent.signal("SIGSTOP");
      try {
        await inside("ip", "link", "delete", "host0");
        await inside("ip", "link", "add", "host0", "type", "bridge");
      } finally {
        h1.agent.signal("SIGCONT");
      }
    },
    "the port deleted": () => inside("ip", "link", "delete", port),
    "the port down": () => inside("ip", "link", "set", port, "down"),
    "the outer end deleted": () => host("ip", "link", "delete", outer),
    "the outer end down": () => host("ip", "link", "set", outer, "down"),
    "the outer end's MTU": () => host("ip", "link", "set", outer, "mtu", "1300"),
    "the namespace deleted": () => removeNamespace(overlay),
  };
  const right = async () => {
    await lab.agree();
    assert.ok(await pings(h1.host, one.address));
    assert.ok(await pings(one.container, h1.ip));
    await until("the other host is reached", () => pings(one.container, there.address));
  };
  for (const [what, change] of Object.entries(drifts)) {
    await change();
    await runtime.check(list, one.attachment).catch((error) => {
      throw new Error(`${what}: ${error.message}`);
    });
    await right().catch((error) => {
      throw new Error(`${what}: ${error.message}`);
    });
  }
  await h1.kill();
  // One may take away what the next would change.
  for (const change of Object.values(drifts).slice(3)) await change().catch(() => {});
  await start();
  await right();
  // Its container ended while the agent did not run, and the address wanted by another.
  await h1.kill();
  await h1.removeContainer(one.container);
  await start();
  await lab.agree();
  await runtime.del(list, one.attachment);
  await lab.agree();
  await h1.reboot();
  await start();
  await lab.agree();
}

async function failpoint({ lab, h1, runtime, start, dieAt }: Made, name: Failpoint): Promise<void> {
  await dieAt(name);
  const network = await h1.api.createNetwork({ name: "blue" });
  const list = runtime.list("blue", "1.1.0", { isDefaultGateway: true, hostInterface: true });
  const apart = runtime.list("blue", "1.1.0", {});
  const containers = await Promise.all([h1.container(), h1.container(), h1.container()]);
  const attachments = containers.map(({ path }, i) => ({ container: `c${i}`, netns: path }));
  const [first, second, third] = attachments;
  assert.ok(first && second && third);
  const life = async () => {
    await runtime.add(apart, third);
    for (const attachment of [first, second]) await runtime.add(list, attachment);
    for (const attachment of attachments) await runtime.del(list, attachment);
  };
  // A call while no agent answers is told to try again.
  const error = await refused(life());
  assert.equal(error.code, 11, error.message);
  await until(`the agent dies at ${name}`, () => !h1.running);
  await start();
  await lab.agree();
  for (const attachment of attachments) await runtime.del(list, attachment);
  await lab.agree();
  await runtime.add(list, first);
  const [ip] = (await runtime.add(list, second))["ips"] as [{ address: string }];
  await lab.agree();
  assert.ok(await pings(h1.host, ip.address.replace(/\/.*/, "")));
  for (const attachment of attachments) await runtime.del(list, attachment);
  await h1.api.deleteNetwork(network.id);
  await lab.agree();
  assert.deepEqual([...(await lab.kv.under("/sc-net/")).keys()], []);
}
