/** Names of an overlay network, as dig and glibc's resolver find them on its hosts. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Process } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { at } from "../networks/attached.ts";
import { dig, GatewayLab, resolve } from "./gateway_lab.ts";
import { Machine } from "./ports.ts";
import { forwards } from "./forward.ts";

/** Each begins without a network. */
const cases: readonly (readonly [name: string, holds: (it: GatewayLab) => Promise<void>])[] = [
  ["a name resolves on every host of its network, and in no other network", resolves],
  ["all addresses of an alias are answered, on every host", aliases],
  [
    "neither a gatewayd nor an agent that is killed and started again leaves a network without answers",
    restarted,
  ],
  ["what comes while another agent has the host's name is answered once that is over", onHold],
  ["a gateway resolves other names by its host's resolvers where the network says so", forwards],
];

Deno.test("names of overlay networks", async (t) => {
  await using it = await GatewayLab.started({ hosts: 2 });
  for (const [name, holds] of cases) {
    await t.step(name, async () => {
      await it.lab.clear();
      await holds(it);
    });
  }
});

async function resolves(it: GatewayLab) {
  const [one, two] = [it.host(1), it.host(2)];
  const blue = await it.network("blue", { domain: "blue.example" }), red = await it.network("red");
  const web = await one.attach(blue, { name: "web" }), db = await two.attach(blue, { name: "db" });
  const other = await one.attach(red, { name: "db" });
  assert.equal(web.endpoint.name, "web");

  // Across hosts, by the tool and by glibc's resolver.
  await until("db is known at web", async (see) => {
    return see(await dig(web.container, "db.blue.example")).lines.join() === db.address;
  });
  await until("web is known at db", async (see) => {
    return see(await dig(db.container, "web.blue.example")).lines.join() === web.address;
  });
  const conf = "nameserver 10.0.0.1\nsearch blue.example\n";
  assert.equal(await resolve(web.container, conf, "db"), db.address);
  assert.equal(await resolve(db.container, conf, "web"), web.address);

  // Not across networks, though both have the same range.
  await until(
    "the other one is known",
    async (see) => see(await dig(other.container, "db")).status === "NOERROR",
  );
  assert.deepEqual(await dig(other.container, "db"), { status: "NOERROR", lines: [other.address] });
  assert.equal(await resolve(other.container, "nameserver 10.0.0.1\n", "db"), other.address);
  assert.equal((await dig(other.container, "web")).status, "REFUSED");
  assert.equal((await dig(other.container, "web.blue.example")).status, "REFUSED");
  assert.equal((await dig(web.container, "db")).status, "REFUSED");

  // The rest of DNS: no such type, no such name, reverse names, TCP, EDNS, the gateway and the zone itself.
  assert.deepEqual(await dig(web.container, "db.blue.example", "AAAA"), { status: "NOERROR", lines: [] });
  assert.equal((await dig(web.container, "nothing.blue.example")).status, "NXDOMAIN");
  assert.equal((await dig(web.container, "example.com")).status, "REFUSED");
  assert.deepEqual((await dig(web.container, "-x", db.address)).lines, ["db.blue.example."]);
  assert.deepEqual((await dig(other.container, "-x", other.address)).lines, ["db."]);
  assert.equal((await dig(web.container, "-x", "10.0.0.200")).status, "NXDOMAIN");
  assert.deepEqual((await dig(web.container, "+tcp", "db.blue.example")).lines, [db.address]);
  assert.deepEqual((await dig(db.container, "+tcp", "+keepopen", "web.blue.example")).lines, [web.address]);
  assert.deepEqual((await dig(web.container, "gateway.blue.example")).lines, ["10.0.0.1"]);
  assert.deepEqual((await dig(web.container, "blue.example", "NS")).lines, ["ns.blue.example."]);
  assert.deepEqual((await dig(web.container, "ns.blue.example")).lines, ["10.0.0.1"]);

  // Names come and go.
  await it.reserve(blue, "52:54:00:00:00:77", { name: "vm", ip4: "10.0.0.77" });
  await until(
    "a reservation's name is answered",
    async () => (await dig(db.container, "vm.blue.example")).lines.join() === "10.0.0.77",
  );
  await it.reserve(blue, "52:54:00:00:00:77", undefined);
  await one.api.deleteEndpoint(web.endpoint.id);
  const again = await one.attach(blue, { name: "www" });
  await until("names of what is gone are gone", async (see) => {
    const queries = ["vm", "web", "www"].map(async (name) => await dig(db.container, `${name}.blue.example`));
    const [vm, gone, www] = see(await Promise.all(queries));
    return vm?.status === "NXDOMAIN" && gone?.status === "NXDOMAIN" && www?.lines[0] === again.address;
  });

  // A clash is refused, and a network whose DNS is switched off does not answer; nor does one without settings any more.
  await assert.rejects(two.attach(blue, { name: "www" }), /name: www of network blue belongs to endpoint/);
  await it.settings(blue, { network: { name: "blue", domain: "blue.test" } });
  await until(
    "the other domain is answered",
    async () => (await dig(db.container, "www.blue.test")).lines.join() === again.address,
  );
  assert.equal((await dig(db.container, "www.blue.example")).status, "REFUSED");
  await it.settings(blue, { network: { name: "blue" }, overlay: { dns: false } });
  await until(
    "nothing answers any more",
    async () => (await dig(db.container, "+time=2", "www.blue.test")).status === "NONE",
  );
  assert.deepEqual((await dig(other.container, "db")).lines, [other.address]);

  // While another program has the port, status says so.
  const script =
    "import socket,time; s=socket.socket(type=socket.SOCK_DGRAM); s.bind(('10.0.0.1', 53)); print('has it', flush=True)";
  const squatter = new Process(two.host.enter([
    "nsenter",
    `--net=${two.namespaceOf(blue)}`,
    "/usr/bin/python3",
    "-c",
    `${script}; time.sleep(600)`,
  ]));
  try {
    await squatter.line(/has it/);
    await it.settings(blue, { network: { name: "blue" } });
    await until("status says so", async (see) => {
      const { body } = await two.api.status("/readyz");
      return /the gateway of network blue answers neither DNS nor DHCP: .*: address already in use/.test(
        see(body),
      );
    });
    // One that is to answer nothing has no problem.
    await it.settings(blue, { network: { name: "blue" }, overlay: { dns: false, dhcp: false } });
    await until(
      "status says no more of it",
      async (see) => !see((await two.api.status("/readyz")).body).includes("gateway of network"),
    );
    await it.settings(blue, { network: { name: "blue" } });
    await until(
      "status says so again",
      async (see) => see((await two.api.status("/readyz")).body).includes("gateway of network"),
    );
  } finally {
    await squatter.stop();
  }
  await until(
    "it answers again",
    async () => (await dig(db.container, "www")).lines.join() === again.address,
  );
}

async function aliases(it: GatewayLab) {
  const [h1, h2] = [it.host(1), it.host(2)];
  await it.network("blue", { domain: "blue.example" });
  const [web, cache] = [await h1.container("web"), await h2.container("cache")];
  const attach = (host: typeof h1, path: string, ...options: string[]) =>
    at(host, "attach", "blue", "--ns", path, "--wait", ...options);
  const named = ["--name", "web", "--alias", "Both", "--alias", "front"];
  assert.equal((await attach(h1, web.path, ...named))[1], "endpoint web created: 10.0.0.2 on h1\n");
  assert.equal((await attach(h2, cache.path, "--alias", "both"))[1], "endpoint created: 10.0.0.3 on h2\n");
  for (const from of [web, cache]) {
    await until("both are answered", async (see) => {
      const { lines } = await dig(from, "both.blue.example");
      return `${[...see(lines)].sort()}` === "10.0.0.2,10.0.0.3";
    });
    assert.deepEqual((await dig(from, "front.blue.example")).lines, ["10.0.0.2"]);
  }
  // Typed again, it stays; what differs is said.
  assert.equal((await attach(h1, web.path, ...named))[1], "endpoint web unchanged: 10.0.0.2 on h1\n");
  assert.match(
    (await attach(h1, web.path, "--alias", "other"))[2],
    /--alias: .* and not with the aliases other/,
  );
  const other = await h1.container("other");
  const refused = async (alias: string, why: RegExp) =>
    assert.match((await attach(h1, other.path, "--alias", alias))[2], why);
  await refused(
    "web",
    /aliases: web of network \S+ is the own name of endpoint \S+ on h1: give it to both as an alias/,
  );
  await refused("a.b", /aliases: "a\.b" is not one label of a name/);
  await refused("gateway", /aliases: gateway/);
  assert.equal((await at(h1, "detach", "blue", "--ns", web.path))[0], 0);
  await until(
    "one is left",
    async (see) => `${see((await dig(cache, "both.blue.example")).lines)}` === "10.0.0.3",
  );
}

async function restarted(it: GatewayLab) {
  const host = it.host(1), blue = await it.network("blue", { domain: "blue.example" });
  const web = await host.attach(blue, { name: "web" });
  await until("web is known", async () => (await dig(web.container, "web.blue.example")).lines.length === 1);
  const script = fileURLToPath(new URL("steady_queries.py", import.meta.url));
  const querying = new Process(web.container.enter(["/usr/bin/python3", script, "web.blue.example"]));
  /** Restarts something, and waits until answers come again: how long it took, and the longest time without one, in ms. */
  const longest = async (restart: () => Promise<void>) => {
    const before = querying.lines.length, began = performance.now();
    await restart();
    const took = performance.now() - began;
    for (const kind of ["UDP", "TCP"]) {
      const from = querying.lines.length;
      await until("answers come", () => querying.lines.slice(from).some((line) => line.startsWith(kind)));
    }
    return { took, gap: Math.max(...querying.lines.slice(before).map((line) => Number(line.split(" ")[1]))) };
  };
  try {
    await querying.line(/^TCP/);
    // While gatewayd is away queries wait, and no longer than it takes to start; that is less than a second of processor time.
    const started = await longest(async () => {
      await it.gatewayd(host).stop("SIGKILL");
      await it.start(host);
    });
    assert.ok(started.gap < 1.5 * started.took + 500, JSON.stringify(started));
    const cpu = processorMs(it.gatewayd(host).pid);
    assert.ok(cpu < 1000, `${cpu} ms of processor time until it is ready`);
    // An agent that is away changes nothing. A busy machine makes one try take longer, a fault each of them.
    const gaps: number[] = [];
    while (!gaps.some((gap) => gap < 1000)) {
      assert.ok(gaps.length < 5, `there was no answer for ${gaps.join(", ")} ms`);
      const { gap } = await longest(async () => {
        await host.kill();
        await host.start();
      });
      gaps.push(gap);
    }
    assert.deepEqual(querying.lines.filter((line) => line.startsWith("wrong")), []);
  } finally {
    await querying.stop();
  }
}

/** The processor time that a process has taken. */
function processorMs(pid: number): number {
  const [, , , , , , , , , , , user = "", system = ""] = Deno.readTextFileSync(`/proc/${pid}/stat`)
    .replace(/^.*\) /, "").split(" ");
  return (Number(user) + Number(system)) * 10;
}

async function onHold(it: GatewayLab) {
  const [one, two] = [it.host(1), it.host(2)], claim = `/sc-net/strand/names/${one.name}`;
  const blue = await it.network("blue", { domain: "blue.example" });
  const web = await one.attach(blue, { name: "web" });
  const own = JSON.parse(await it.lab.kv.get(claim) ?? "");
  await it.lab.kv.write({ [claim]: JSON.stringify({ ...own, start: crypto.randomUUID(), boot: "another" }) });
  await until(
    "it is on hold",
    async (see) => see((await one.api.status("/readyz")).body).includes("on hold"),
  );

  const db = await two.attach(blue, { name: "db" });
  await it.reserve(blue, "52:54:00:00:00:05", { name: "vm", ip4: "10.0.0.5" });
  const vm = await Machine.on(one, blue, "52:54:00:00:00:05");
  assert.equal((await vm.lease("-t", "2")).address, "");
  assert.equal((await dig(web.container, "db.blue.example")).status, "NXDOMAIN");
  assert.deepEqual((await dig(web.container, "web.blue.example")).lines, [web.address]);

  await it.lab.kv.write({ [claim]: undefined });
  await until("db is known", async (see) => {
    return see(await dig(web.container, "db.blue.example")).lines.join() === db.address;
  });
  await until("the machine has its address", async (see) => see((await vm.lease()).address) === "10.0.0.5");
}
