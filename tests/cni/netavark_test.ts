/** Debian 13's podman 5, whose networks are netavark's, on two hosts that share a network of ours. */
import assert from "node:assert/strict";
import { call } from "../../cli/netavark/plugin.ts";
import { curl } from "../lab/curl.ts";
import { run, strandCommand } from "../lab/host.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { until } from "../lab/until.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import { NewerPodman, Podman, runsNewerPodman } from "./podman.ts";

interface Made {
  readonly it: GatewayLab;
  readonly h1: OverlayHost;
  readonly h2: OverlayHost;
  readonly version: NewerPodman;
  readonly p1: Podman;
  readonly p2: Podman;
  /** The overlay network's id. */
  readonly blue: string;
}

/** Podman on a host, with the driver "strand". */
async function podmanOn(host: OverlayHost, version: NewerPodman): Promise<Podman> {
  const plugins = `${host.directory}/lib/netavark`;
  await Deno.mkdir(plugins, { recursive: true });
  const words = strandCommand(["netavark"]).map((word) => `'${word}'`).join(" ");
  await Deno.writeTextFile(`${plugins}/strand`, `#!/bin/sh\nexec ${words} "$@"\n`, { mode: 0o755 });
  await Deno.symlink(new URL("../../strand", import.meta.url).pathname, `${plugins}/linked`);
  return await Podman.on(
    host,
    `network_backend = "netavark"\nnetavark_plugin_dirs = [${JSON.stringify(plugins)}]`,
    version,
  );
}

/** `podman network create`; returns what podman says. */
async function create(podman: Podman, host: OverlayHost, name: string, ...more: string[]): Promise<string> {
  const given = ["--driver", "strand", "--opt", `agent=${host.socket}`, ...more];
  return (await podman.run("network", "create", ...given, name)).stdout;
}

/** The endpoints by name: address and MAC. */
async function attached(host: OverlayHost): Promise<Record<string, string>> {
  const all = await host.api.endpoints();
  return Object.fromEntries(
    all.map((one) => [one.name ?? "", `${one.target_veth_ip} ${one.target_veth_mac}`]),
  );
}

Deno.test({
  name: "netavark: containers of podman 5 on two hosts",
  ignore: !runsNewerPodman,
  async fn(t) {
    await using it = await GatewayLab.started({ hosts: 2 });
    const [h1, h2] = [it.host(1), it.host(2)];
    const blue = await it.network("blue", { domain: "blue.example" });
    const reserved = { name: "member", ip4: "10.0.0.60" };
    await it.reserve(blue, "02:00:00:00:00:0c", reserved);
    // Which addresses a network gave last is kept as long as the network.
    const keys = async () =>
      [...(await it.lab.kv.under("/sc-net/")).keys()].filter((key) =>
        !key.startsWith("/sc-net/strand/cursor/")
      );
    const before = await keys();
    {
      await using version = await NewerPodman.unpacked();
      await using p1 = await podmanOn(h1, version);
      await using p2 = await podmanOn(h2, version);
      const made = { it, h1, h2, version, p1, p2, blue };
      await t.step("a network is made of an overlay network, or refused in a sentence", () => networks(made));
      assert.deepEqual(await keys(), before);
      await t.step(
        "containers find each other by their names, with address, MAC and resolv.conf",
        () => names(made),
      );
      await t.step(
        "a second network publishes ports, and comes and goes while a container runs",
        () => published(made),
      );
      await t.step(
        "address and MAC are those that were asked for, or refused with the reason",
        () => requestedAddresses(made),
      );
      await t.step(
        "what was left behind while the agent was away is gone with the next container",
        () => away(made),
      );
      await t.step("systemd's units are what the documentation says", () => quadlets(made));
      await t.step("a teardown may come twice, and hostile input changes nothing", () => hostile(made));
    }
    assert.deepEqual(await h1.api.endpoints(), []);
    assert.deepEqual(await keys(), before);
    await it.lab.agree();
  },
});

async function networks({ h1, h2, p1, p2, blue }: Made): Promise<void> {
  assert.equal(
    await create(p1, h1, "net", "--opt", "network=blue", "--opt", "isDefaultGateway=true"),
    "net\n",
  );
  assert.equal(await create(p2, h2, "blue"), "blue\n");
  // By its id, and by a link to the launcher, whose name is the driver's: the last --driver counts.
  const linked = ["--driver", "linked", "--opt", `network=${blue}`, "--internal"];
  assert.equal(await create(p2, h2, "byid", ...linked), "byid\n");
  const failed = (...more: string[]) => create(p1, h1, "wrong", ...more);
  await assert.rejects(failed(), /netavark: network: there is no network "wrong": make it with /);
  await assert.rejects(failed("--opt", "network=blue", "--subnet", "10.0.0.0/24"), /: leave out --subnet/);
  await assert.rejects(
    failed("--opt", "netwrk=blue"),
    /options\.netwrk: "blue" is given, and .* known are network, /,
  );
  await assert.rejects(failed("--opt", "agent=/nowhere"), /the agent at \/nowhere is not there: see that/);
  assert.equal((await p1.run("network", "ls", "--quiet")).stdout, "net\npodman\n");
}

async function names({ h1, p1, p2 }: Made): Promise<void> {
  const said = await p1.start("net", "web", "--network-alias", "both", "--publish", "8080:80");
  assert.match(said.stderr, /^strand: no port is published from network net: /m);
  await p2.start("byid", "DB_1", "--network-alias", "both");
  const [web, db] = ["web", "db_1"].map(async (name) => (await attached(h1))[name] ?? "");
  const [address = "", mac] = (await web)?.split(" ") ?? [], [dbAddress] = (await db)?.split("/") ?? [];
  const [shown] = JSON.parse((await p1.run("inspect", "web")).stdout);
  const { IPAddress, IPPrefixLen, MacAddress, Gateway } = shown.NetworkSettings.Networks.net;
  assert.deepEqual([`${IPAddress}/${IPPrefixLen}`, MacAddress, Gateway], [address, mac, "10.0.0.1"]);
  assert.match(await p1.exec("web", "ip", "address"), new RegExp(`ether ${mac}[^]*inet ${address} `));
  assert.match(await p1.exec("web", "ip", "route"), /default via 10\.0\.0\.1 dev eth0/);
  assert.equal(await p1.exec("web", "cat", "/etc/resolv.conf"), "search blue.example\nnameserver 10.0.0.1\n");
  for (
    const [podman, from, to, its] of [[p1, "web", "db_1", dbAddress], [p2, "DB_1", "web", IPAddress]] as const
  ) {
    await until(`${from} finds ${to}`, async (see) => {
      const said = await podman.exec(from, "ping", "-c", "1", "-W", "1", to).catch(({ message }) =>
        `${message}`
      );
      return see(said).includes(`PING ${to} (${its})`);
    });
  }
  const answer = await p1.exec("web", "nslookup", "both.blue.example", "10.0.0.1");
  const found = [...answer.matchAll(/^Address[ \d]*: *(10\.0\.0\.\d+)$/gm)].map(([, ip]) => ip);
  assert.deepEqual(found.sort(), [IPAddress, dbAddress].sort());
  await p2.run("rm", "--force", "--time", "0", "DB_1");
  assert.deepEqual(Object.keys(await attached(h1)), ["web"]);
}

async function published({ h1, p1 }: Made): Promise<void> {
  await p1.start("podman", "two", "--network", "net", "--publish", "8081:80");
  await p1.exec("two", "sh", "-c", "echo two greets >/tmp/index.html; httpd -p 80 -h /tmp");
  assert.equal((await curl([`http://${h1.ip}:8081/`], h1.host)).body, "two greets\n");
  const inside = async () => /inet 10\.0\.0\.\d+\/24 /.test(await p1.exec("two", "ip", "address"));
  await p1.run("network", "disconnect", "net", "two");
  assert.deepEqual([await inside(), Object.keys(await attached(h1))], [false, ["web"]]);
  await p1.run("network", "connect", "net", "two");
  assert.deepEqual([await inside(), Object.keys(await attached(h1)).sort()], [true, ["two", "web"]]);
  await p1.run("rm", "--force", "--time", "0", "two");
}

/** The Quadlets that docs/PODMAN.md shows. */
async function quadlets({ version, h1 }: Made): Promise<void> {
  const page = await Deno.readTextFile(new URL("../../docs/PODMAN.md", import.meta.url)),
    units = `${h1.directory}/units`;
  await Deno.mkdir(units);
  for (
    const [, name, text = ""] of page.matchAll(
      /^.*`\/etc\/containers\/systemd\/(\S+)`:\n\n```ini\n([^`]*)```/gm,
    )
  ) {
    await Deno.writeTextFile(`${units}/${name}`, text);
  }
  const command = version.enter(["/usr/libexec/podman/quadlet", "-dryrun"]);
  const { stdout } = await run(command, { env: { QUADLET_UNIT_DIRS: units } });
  assert.match(
    stdout,
    /^ExecStart=\S+ network create --ignore --driver strand --opt isDefaultGateway=true blue$/m,
  );
  assert.match(stdout, /^After=strand-agent\.service$/m);
  assert.match(stdout, /^ExecStart=\S+ run --name web .*--network blue:ip=10\.0\.0\.50 /m);
  assert.match(stdout, /^After=blue-network\.service$/m);
}

async function requestedAddresses({ h2, p2 }: Made): Promise<void> {
  const start = (name: string, options: string) => p2.start(`blue:${options}`, name, "--rm");
  await start("db", "ip=10.0.0.50,mac=02:00:00:00:00:0b");
  await start("c", "mac=02:00:00:00:00:0c");
  assert.equal((await attached(h2))["db"], "10.0.0.50/24 02:00:00:00:00:0b");
  assert.equal((await attached(h2))["member"], "10.0.0.60/24 02:00:00:00:00:0c");
  for (
    const [options, why] of [
      ["ip=10.0.0.50", /ipv4_address: 10\.0\.0\.50 of network blue belongs to endpoint \S+ on h2/],
      ["ip=10.9.9.9", /ipv4_address: 10\.9\.9\.9 is outside the range 10\.0\.0\.0\/24 of network blue/],
      ["ip=10.0.0.60", /ipv4_address: 10\.0\.0\.60 of network blue belongs to /],
      ["mac=02:00:00:00:00:0b", /mac_address: 02:00:00:00:00:0b/],
      ["alow=10.0.0.99", /network_options\.options\.alow: "10\.0\.0\.99" is given, .*known are allow/],
    ] as const
  ) await assert.rejects(start("refused", options), why);
  await p2.run("stop", "--time", "0", "db", "c");
  // A process of its own removes a container that has stopped.
  await until(
    "podman has removed them",
    async (see) => see((await p2.run("ps", "--all", "--quiet")).stdout) === "",
  );
  await start("db", "ip=10.0.0.50,allow=10.0.0.99");
  const [endpoint] = await h2.api.endpoints({ hostname: "h2" });
  assert.deepEqual(endpoint?.allow, [{ address: "10.0.0.99" }]);
}

async function away({ it, h2, p2 }: Made): Promise<void> {
  await h2.kill();
  const gone =
    /plugin "strand" failed: .* the agent at \S+ is not there: see that "strand agent" runs on this host/;
  await assert.rejects(p2.start("blue", "late", "--rm"), gone);
  // A network that is there is not asked for again, as when its unit of systemd starts.
  await p2.run("network", "create", "--ignore", "--driver", "strand", "blue");
  // Podman says so, unless the process that removes what has stopped was first, and has forgotten the container all the same.
  await p2.run("rm", "--force", "--time", "0", "db").then(
    () => {},
    ({ message }) => assert.match(message, gone),
  );
  assert.equal((await p2.run("ps", "--all", "--quiet")).stdout, "");
  await h2.start();
  await it.start(h2);
  await until("the agent sees that the namespace is gone", async () => {
    const [left] = await h2.api.endpoints({ hostname: "h2" });
    return left?.active === false;
  });
  await p2.start("blue:ip=10.0.0.50", "db");
  assert.match((await attached(h2))["db"] ?? "", /^10\.0\.0\.50\/24 /);
  assert.equal((await h2.api.endpoints({ hostname: "h2" })).length, 1);
}

async function hostile({ h2, p2, blue }: Made): Promise<void> {
  const container = (await p2.run("inspect", "--format", "{{.ID}}", "db")).stdout.trim();
  const network = { name: "blue", id: "1".repeat(64), driver: "strand", options: { agent: h2.socket } };
  const options = { container_name: "db", network, network_options: { interface_name: "eth0" } };
  const perform = async (command: string, container_id: string, netns: string) => {
    const input = new TextEncoder().encode(JSON.stringify({ ...options, container_id }));
    return (await call([command, netns], () => Promise.resolve(input))).output?.["error"];
  };
  for (
    const path of [
      "/proc/self/ns/net",
      "/etc/passwd",
      "/proc/self/ns/mnt",
      "/nowhere",
      h2.host.path,
      h2.namespaceOf(blue),
    ]
  ) {
    for (const id of ["other", container]) {
      assert.match(String(await perform("setup", id, path)), /^NETNS: /, path);
    }
  }
  assert.deepEqual(Object.keys(await attached(h2)).sort(), ["db", "web"]);
  // Of another container, and of this one.
  assert.equal(await perform("teardown", "other", "/nowhere"), undefined);
  assert.deepEqual(Object.keys(await attached(h2)).sort(), ["db", "web"]);
  for (let i = 0; i < 2; i++) assert.equal(await perform("teardown", container, "/nowhere"), undefined);
  assert.deepEqual(Object.keys(await attached(h2)), ["web"]);
  const huge = [
    "sh",
    "-c",
    `head -c 20000000 /dev/zero | ${strandCommand(["netavark", "setup", "/n"]).join(" ")}`,
  ];
  const { code, stdout } = await run(huge, { mayFail: true });
  assert.deepEqual([code, JSON.parse(stdout)], [1, {
    error: "standard input cannot be read: it has more than 16777216 bytes",
  }]);
}
