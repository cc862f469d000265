/** Egress: two networks with one range reach a server beyond their host, which nothing reaches them from; checked by programs not ours. */
import assert from "node:assert/strict";
import { egressFailpoints } from "../../services/agent/failpoints.ts";
import { repeat } from "../../services/common/async.ts";
import { putBehind } from "../lab/behind.ts";
import { curl } from "../lab/curl.ts";
import { type LabHost, type Process, run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { Attached, OverlayHost } from "../lab/overlay_host.ts";
import { pings, reaches } from "../lab/overlay_traffic.ts";
import { at } from "../networks/attached.ts";
import { until } from "../lab/until.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import { Machine } from "../overlay_names/ports.ts";

/** An address that the host reaches by its default route alone. */
const WORLD = "198.51.100.1";

/** Answers UDP with what it was sent and the sender, and HTTP on the same port; prints each sender. */
const SERVER = `
import http.server, socket, sys, threading
def udp():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((sys.argv[1], 8053))
    while True:
        data, sender = s.recvfrom(2000)
        print("udp", sender[0], data[:9].hex(), flush=True)
        s.sendto(data[:2] + bytes([data[2] | 0x80]) + data[3:], sender)
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.client_address[0].encode())
    def log_message(self, *rest): pass
threading.Thread(target=udp, daemon=True).start()
http.server.ThreadingHTTPServer.request_queue_size = 200
server = http.server.ThreadingHTTPServer((sys.argv[1], 8053), Page)
print("serving", flush=True)
server.serve_forever()
`;

/** Sends one datagram with any source. */
const SPOOF = `
import socket, struct, sys
source, target = sys.argv[1:3]
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
udp = struct.pack("!HHHH", 4000, 8053, 16, 0) + b"spoofed!"
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 36, 0, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(target))
s.sendto(head + udp, (target, 0))
`;

/** Opens connections one after another until one fails, prints how many it has, and holds them. */
const HOLD = `
import socket, sys, time
held = []
try:
    while len(held) < int(sys.argv[2]):
        held.append(socket.create_connection((sys.argv[1], 8053), timeout=2))
except OSError: pass
print("holds", len(held), flush=True)
time.sleep(600)
`;

/** Sends datagrams from so many ports, each of which is answered. */
const MANY = `
import socket, sys
for i in range(int(sys.argv[2])):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: s.sendto(b"many", (sys.argv[1], 8053))
`;

const nft = (host: OverlayHost, command: string) =>
  host.host.run(["nft", ...command.split(" ")], { mayFail: true });
/** The rules of the host without those for VXLAN, which are there with any network. */
const rules = async (host: OverlayHost) =>
  (await nft(host, "-s list ruleset")).stdout.replace(/^table ip strand \{\n[^]*?\n\}\n/m, "");
const inside = (host: OverlayHost, network: string, ...command: string[]) =>
  run(["nsenter", `--net=${host.namespaceOf(network)}`, ...command], { mayFail: true });
const forwarding = async (host: OverlayHost) =>
  (await host.host.run(["sysctl", "-n", "net.ipv4.ip_forward"])).stdout.trim();

/** What the server says; "" where nothing answers within so many seconds. */
async function fetched(
  { container }: Pick<Attached, "container">,
  address = WORLD,
  seconds = 5,
): Promise<string> {
  return (await curl([`http://${address}:8053/`], container, seconds)).body;
}

/** Asserts that it is answered, and from where the server sees it come. */
async function fetches(from: Pick<Attached, "container">, source: string, address = WORLD): Promise<void> {
  assert.equal(await fetched(from, address, 60), source);
}

/** Has the store's host be the world for the first host, with routes to all that is inside. */
async function serveWorld(lab: OverlayLab): Promise<Process> {
  const { host, ip } = lab.host(1);
  await lab.store.run(["ip", "address", "add", `${WORLD}/32`, "dev", "lo"]);
  await lab.store.run(["ip", "route", "add", "10.0.0.0/24", "via", ip]);
  await lab.store.run(["ip", "route", "add", "169.254.192.0/18", "via", ip]);
  await host.run(["ip", "route", "add", "default", "via", "10.99.0.1"]);
  const server = lab.store.spawn(["python3", "-c", SERVER, WORLD]);
  await server.line(/serving/);
  return server;
}

/** A lab with one host whose default route leads to the store's host, where the server is. */
async function worldLab(env: Record<string, string> = {}) {
  await using stack = new AsyncDisposableStack();
  const lab = stack.use(
    await OverlayLab.create({ hosts: 1, env: { STRAND_AGENT_CHECK_EVERY: "2", ...env } }),
  );
  const h1 = lab.host(1), server = await serveWorld(lab);
  stack.defer(async () => void await server.stop("SIGKILL"));
  const settings = (id: string, overlay: object) =>
    lab.kv.write({
      [`/sc-net/strand/net/${id}/settings`]: JSON.stringify({
        network: { name: `n${id.slice(0, 8)}` },
        overlay,
      }),
    });
  const routed = async (attached: Attached) => {
    await attached.container.run(["ip", "route", "replace", "default", "via", "10.0.0.1"]);
    return attached;
  };
  const moved = stack.move();
  return { lab, h1, server, settings, routed, [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

Deno.test("machines of networks with egress reach the world through their own host", async (t) => {
  await using world = await worldLab();
  const { lab, h1, server, settings, routed } = world;
  await nft(h1, "add table inet own");
  await nft(h1, "add chain inet own forward { type filter hook forward priority 0 ; policy accept ; }");
  await nft(h1, "add rule inet own forward tcp dport 99 drop");
  await h1.host.run(["iptables", "-A", "INPUT", "-p", "tcp", "--dport", "99", "-j", "DROP"]);
  const before = await rules(h1);
  await h1.start();
  const blue = await h1.api.createNetwork({}), red = await h1.api.createNetwork({});
  const web = await routed(await h1.attach(blue.id)), db = await routed(await h1.attach(red.id));
  assert.equal(web.address, db.address);
  const on = async () => {
    for (const { id } of [blue, red]) await settings(id, { egress: true });
    await until(
      "both reach the world",
      async () => (await pings(web.container, WORLD)) && pings(db.container, WORLD),
    );
  };

  await t.step("a network is private where nothing else was set", async () => {
    const tried = await Promise.all([fetched(web), pings(web.container, WORLD)]);
    assert.deepEqual(tried, ["", false]);
    assert.equal(await rules(h1), before);
    assert.equal(await forwarding(h1), "0");
  });

  await t.step("two networks with one range reach it at the same time, by the host's address", async () => {
    await on();
    for (const from of [web, db]) {
      await fetches(from, h1.ip);
      const dig = await from.container.run([
        "dig",
        "+tries=1",
        "+time=60",
        "-p",
        "8053",
        `@${WORLD}`,
        "example.org",
      ]);
      assert.match(dig.stdout, /status: NOERROR/);
    }
    await lab.agree();
  });

  await t.step("the host's own rules are as they were", async () => {
    assert.equal((await rules(h1)).replace(/table inet strand_egress \{\n[^]*?\n\}\n/, ""), before);
  });

  await t.step("neither the agent's API nor etcd is reached, unless the configuration says so", async () => {
    const fetches = async (from: LabHost, url: string, seconds: number) =>
      (await curl([url], from, seconds)).code;
    const api = `http://${h1.ip}:9999/`, health = `${lab.etcd.endpoint}/health`;
    const etcd = lab.store.spawn(["python3", "-m", "http.server", "-b", WORLD, "2380"]);
    try {
      for (const url of [api, health]) {
        assert.equal(await fetches(h1.host, url, 60), 0);
        assert.equal(await fetches(web.container, url, 1), 28, url);
      }
      // Another server of the world has that port for itself.
      await until("it listens", async () => await fetches(web.container, `http://${WORLD}:2380/`, 5) === 0);
      await h1.kill();
      await h1.start({ STRAND_AGENT_EGRESS_CONTROL_PLANE: "true" });
      for (const url of [api, health]) {
        await until(`${url} is reached`, async () => await fetches(web.container, url, 5) === 0);
      }
      await h1.kill();
      await h1.start();
      await until("it is closed again", async () => await fetches(web.container, api, 1) === 28);
    } finally {
      await etcd.stop("SIGKILL");
    }
  });

  await t.step("nothing comes in from outside, and another network's machines are not reached", async () => {
    const { stdout } = await h1.host.run(["ip", "-4", "route", "show"]);
    const transfers = [...stdout.matchAll(/^(169\.254\.\S+) dev sandh/gm)].map(([, address]) =>
      address ?? ""
    );
    assert.equal(transfers.length, 2, stdout);
    const page = web.container.spawn(["python3", "-c", SERVER, "0.0.0.0"]);
    try {
      await page.line(/serving/);
      await fetches(web, web.address, web.address);
      const unreached = async (from: LabHost, address: string) =>
        assert.equal(await pings(from, address, ["-W", "1"]), false, address);
      await Promise.all([web.address, ...transfers].map(async (address) => {
        assert.notEqual((await curl([`http://${address}:8053/`], lab.store, 2)).code, 0, address);
        await unreached(lab.store, address);
      }));
      const uplink = `sandh${blue.id.replaceAll("-", "").slice(0, 10)}`;
      const its = new RegExp(`^(\\S+) dev ${uplink}`, "m").exec(stdout)?.[1] ?? "";
      assert.ok(transfers.includes(its), stdout);
      // Not even the host has another way in than those that CNI makes.
      const from = [[db.container, its], ...transfers.map((address) => [h1.host, address] as const)] as const;
      await Promise.all(from.map(([host, address]) => unreached(host, address)));
    } finally {
      await page.stop("SIGKILL");
    }
  });

  await t.step(
    "what CNI gives the host a route to is the host's to reach, and no other network's",
    async () => {
      const green = await h1.api.createNetwork({ ip_range: "10.0.1.0/24" });
      const routed = await h1.attachAs(green.id, await h1.container(), { hostRoute: true });
      await routed.container.run(["ip", "route", "replace", "default", "via", "10.0.1.1"]);
      await until("the host reaches it", () => pings(h1.host, routed.address));
      assert.equal(await pings(web.container, routed.address, ["-W", "1"]), false);
      await settings(green.id, { egress: true });
      await until("it reaches the world", async () => await fetched(routed) === h1.ip);
      await reaches(h1.host, routed.address);
      assert.equal(await pings(web.container, routed.address, ["-W", "1"]), false);
      await lab.agree();
      await h1.api.deleteEndpoint(routed.endpoint.id);
      await until(
        "green is gone from the host",
        async () => !(await h1.host.run(["ip", "route"])).stdout.includes("10.0.1."),
      );
    },
  );

  await t.step("spoofed sources, VXLAN and link-local addresses do not leave", async () => {
    for (const source of ["10.0.9.9", "192.0.2.7"]) {
      await web.container.run(["python3", "-c", SPOOF, source, WORLD]);
    }
    await web.container.run(["python3", "-c", SPOOF, web.address, WORLD]);
    await server.line(
      new RegExp(`udp ${h1.ip} ${[..."spoofed!"].map((c) => c.charCodeAt(0).toString(16)).join("")}`),
    );
    const seen = server.lines.filter((line) => line.startsWith("udp"));
    assert.deepEqual(seen.filter((line) => !line.startsWith(`udp ${h1.ip} `)), []);
    assert.equal(seen.filter((line) => line.includes("73706f6f")).length, 1);
    const { stdout: counted } = await nft(h1, "list chain inet strand_egress forward");
    assert.match(counted, /iifname "sandh\*" udp dport 4789 counter name "refused" drop/);
    assert.match(
      counted,
      /iifname "sandh\*" ip saddr 169\.254\.192\.0\/18 ip daddr 169\.254\.0\.0\/16 counter name "refused" drop/,
    );
  });

  await t.step("since forwarding was off, nothing but theirs is forwarded", async () => {
    assert.equal(await forwarding(h1), "1");
    const beside = await lab.lab.host("beside");
    await putBehind(h1.host, beside, "side0", "192.0.2");
    await lab.store.run(["ip", "route", "add", "192.0.2.0/24", "via", h1.ip]);
    await until("it reaches the host", () => pings(beside, h1.ip));
    assert.equal(await pings(beside, WORLD), false);
    await h1.saysInStatus(/forwarding .*for networks with egress alone/);
    await h1.host.run(["ip", "link", "delete", "side0"]);
  });

  await t.step("rules that are flushed and addresses that are removed come back", async () => {
    await nft(h1, "flush ruleset");
    await until(
      "the host's rules are back",
      async () => (await nft(h1, "list table inet strand_egress")).code === 0,
    );
    await inside(h1, blue.id, "nft", "flush", "ruleset");
    await inside(h1, red.id, "ip", "address", "flush", "dev", "host0");
    await until(
      "both reach the world",
      async () => await fetched(web) === h1.ip && await fetched(db) === h1.ip,
    );
    await lab.agree();
  });

  await t.step("an agent that starts again keeps it", async () => {
    await h1.kill();
    const stdout = await rules(h1);
    await fetches(web, h1.ip);
    await h1.start();
    await lab.agree();
    assert.equal(await rules(h1), stdout);
    await fetches(db, h1.ip);
  });

  await t.step(
    "a machine, and a network, hold as many connections as they may, and others keep theirs",
    async () => {
      await h1.kill();
      await h1.start({ STRAND_AGENT_EGRESS_CONNECTIONS: "64" });
      const limited = async () =>
        /ct count over 64/.test((await inside(h1, blue.id, "nft", "list", "ruleset")).stdout);
      await until("the rules count connections", limited);
      const tracked = async () => {
        const file = "/proc/net/nf_conntrack", { stdout } = await h1.host.run(["cat", file]);
        return stdout.split("\n").filter((line) =>
          line.includes(`dst=${WORLD}`) && !/TIME_WAIT|CLOSE/.test(line)
        ).length;
      };
      const hold = async ({ container }: Attached) => {
        const process = container.spawn(["python3", "-c", HOLD, WORLD, "100"]);
        return { process, count: Number(/holds (\d+)/.exec(await process.line(/holds/))?.[1]) };
      };
      // What earlier steps have left half open would count too.
      const one = await routed(await h1.attach(blue.id));
      const first = await hold(one);
      assert.equal(first.count, 16);
      assert.equal(await fetched(one, WORLD, 1), "");
      const second = await routed(await h1.attach(blue.id));
      await fetches(second, h1.ip);
      // Whatever it sends, and from whichever port, it has no more of the host's table.
      await one.container.run(["python3", "-c", MANY, WORLD, "3000"]);
      assert.ok(await tracked() <= 64, `${await tracked()} connections`);
      await fetches(second, h1.ip);
      const others = [second];
      for (let i = 0; i < 4; i++) others.push(await routed(await h1.attach(blue.id)));
      const holding = await Promise.all(others.map(hold)),
        sum = holding.reduce((all, { count }) => all + count, 0);
      assert.ok(sum + first.count <= 64 && sum + first.count > 55, `${sum} + ${first.count}`);
      await one.container.run(["python3", "-c", SPOOF, one.address, WORLD]);
      assert.equal(await fetched(others[4]!, WORLD, 1), "");
      await fetches(db, h1.ip);
      await h1.saysInStatus(/machines of network \S+ open more connections to the world than they may/);
      assert.match((await h1.api.status("/metrics")).body, /^agent_egress_refused_total [1-9]/m);
      for (const { process } of [first, ...holding]) await process.stop("SIGKILL");
      await until("they may have others again", async () => await fetched(one, WORLD, 1) === h1.ip);
      for (const { endpoint } of [one, ...others]) await h1.api.deleteEndpoint(endpoint.id);
      await h1.kill();
      await h1.start();
      await until("the rules are the usual ones again", async () => !await limited());
    },
  );

  await t.step("strand attach gives a namespace its default route, which comes back with it", async () => {
    const container = await h1.container(), from = { container };
    const [code, said, error] = await at(h1, "attach", blue.id, "--ns", container.path);
    assert.deepEqual([code, error], [0, ""]);
    const routes = async () => (await container.run(["ip", "-4", "route", "show", "default"])).stdout;
    assert.match(
      await routes(),
      /^default via 10\.0\.0\.1 dev sand[0-9a-f]{4} proto static metric 4096 *\n$/,
    );
    await fetches(from, h1.ip);
    await reaches(container, WORLD);
    const [, name = ""] = /dev (sand\S+)/.exec(await routes()) ?? [];
    // Stopped, so that it does not mend that before it is seen.
    h1.agent.signal("SIGSTOP");
    await container.run(["ip", "link", "set", name, "down"]);
    assert.equal(await routes(), "");
    h1.agent.signal("SIGCONT");
    await until("the interface came back with its route", async () => await fetched(from) === h1.ip);
    await run(["ip", "netns", "delete", container.netns]);
    await run(["ip", "netns", "add", container.netns]);
    await until("the container came back with its route", async () => await fetched(from) === h1.ip);
    const [address = ""] = /10\.0\.0\.\d+/.exec(said) ?? [];
    assert.equal((await at(h1, "detach", blue.id, address))[0], 0);
  });

  await t.step("one that has a default route keeps it, and that is said", async () => {
    const container = await h1.container();
    for (
      const line of [
        "link add out0 type veth peer name out1",
        "address add 192.0.2.9/24 dev out0",
        "link set out0 up",
        "route add default via 192.0.2.1",
      ]
    ) await container.run(["ip", ...line.split(" ")]);
    const routes = async () => (await container.run(["ip", "-4", "route", "show", "default"])).stdout;
    const before = await routes();
    const [code, , error] = await at(h1, "attach", blue.id, "--ns", container.path);
    assert.equal(code, 0);
    assert.match(error, /^\S+ keeps its own default route: it does not reach the world by network \S+\n$/);
    assert.equal(await routes(), before);
    await container.run(["ip", "link", "delete", "out0"]);
    assert.equal((await at(h1, "detach", blue.id, "--ns", container.path))[0], 0);
  });

  await t.step("switched off, nothing of it is left", async () => {
    await settings(blue.id, {});
    await until("blue is apart", async () => !(await pings(web.container, WORLD, ["-W", "1"])));
    await fetches(db, h1.ip);
    await settings(red.id, { egress: false });
    await until("the host's rules are gone", async (see) => {
      const found = [
        await rules(h1),
        (await h1.host.run(["ip", "-o", "link"])).stdout,
      ];
      see(found);
      return !found[0]?.includes("strand") && !found[1]?.includes("sandh");
    });
    await until("forwarding is off", async () => await forwarding(h1) === "0");
    for (const { id } of [blue, red]) {
      assert.doesNotMatch((await inside(h1, id, "nft", "list", "ruleset")).stdout, /strand_egress/);
    }
    await lab.agree();
  });
});

Deno.test("forwarding that CNI's isGateway has switched on is guarded, also once a network has egress", async () => {
  await using world = await worldLab();
  const { lab, h1, settings, routed } = world;
  await h1.start();
  assert.equal(await forwarding(h1), "0");
  const green = await h1.api.createNetwork({ ip_range: "10.0.1.0/24" });
  const web = await h1.attachAs(green.id, await h1.container(), { hostRoute: true });
  await web.container.run(["ip", "route", "replace", "default", "via", "10.0.1.1"]);
  await reaches(h1.host, web.address);
  assert.equal(await forwarding(h1), "1");
  await lab.store.run(["ip", "route", "add", "10.0.1.0/24", "via", h1.ip]);
  const beside = await lab.lab.host("beside");
  await putBehind(h1.host, beside, "side0", "192.0.2");
  await lab.store.run(["ip", "route", "add", "192.0.2.0/24", "via", h1.ip]);
  const isGuarded = async () => {
    await reaches(beside, h1.ip);
    await reaches(web.container, WORLD);
    assert.equal(await pings(beside, WORLD, ["-W", "1"]), false);
    await h1.saysInStatus(/forwarding .*containers with isGateway/);
  };
  await isGuarded();
  await h1.kill();
  await h1.start();
  const blue = await h1.api.createNetwork({}), db = await routed(await h1.attach(blue.id));
  await settings(blue.id, { egress: true });
  await until("it reaches the world", () => pings(db.container, WORLD));
  await isGuarded();
  await settings(blue.id, {});
  await until("it is apart", async () => !(await pings(db.container, WORLD, ["-W", "1"])));
  await isGuarded();
  await h1.api.deleteEndpoint(web.endpoint.id);
  await until("it forwards nothing", async () => await forwarding(h1) === "0");
  // The agent switches forwarding off first.
  await until(
    "its rules are gone",
    async (see) => see(await nft(h1, "list table inet strand_egress")).code !== 0,
  );
});

Deno.test("where another program drops what is forwarded, it is said, and Docker's chain is changed by choice", async (t) => {
  await using world = await worldLab();
  const { lab, h1, settings, routed } = world;
  await h1.host.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
  await h1.host.run(["iptables", "-P", "FORWARD", "DROP"]);
  await h1.start();
  const blue = await h1.api.createNetwork({}), web = await routed(await h1.attach(blue.id));
  await settings(blue.id, { egress: true });
  const list = async (...what: string[]) => (await h1.host.run(["iptables", "-S", ...what])).stdout;
  const reported = async () => (await h1.api.status("/readyz")).body;
  /** Waits until the agent reports it, and has `strand status` say it. */
  const said = async (pattern: RegExp) => {
    await until(`the agent reports ${pattern}`, async (see) => pattern.test(see(await reported())));
    return await h1.saysInStatus(pattern);
  };

  await t.step("a policy of FORWARD is named, with the commands that help", async () => {
    const stdout = await said(/the chain FORWARD of table ip filter drops what is forwarded/);
    const commands = [...stdout.replace(/\s+/g, " ").matchAll(/"(iptables [^"]*)"/g)].map(([, command]) =>
      command ?? ""
    );
    assert.deepEqual(commands, [
      "iptables -I FORWARD -i sandh+ -j ACCEPT",
      "iptables -I FORWARD -o sandh+ -j ACCEPT",
    ]);
    assert.equal(await fetched(web), "");
    for (const command of commands) await h1.host.run(command.split(" "));
    await fetches(web, h1.ip);
    await until(
      "it is said no more",
      async (see) => !see(await reported()).includes("drops what is forwarded"),
    );
    await h1.saysInStatus(/drops what is forwarded/, false);
    for (const command of commands) await h1.host.run(command.replace("-I", "-D").split(" "));
  });

  await t.step(
    "a single rule that drops is noticed by what is missing after it, and no more once it is gone",
    async () => {
      await h1.host.run(["iptables", "-P", "FORWARD", "ACCEPT"]);
      await h1.host.run(["nft", "add", "table", "ip", "others"]);
      await h1.host.run(["nft", "add chain ip others f { type filter hook forward priority 10; }"]);
      await fetches(web, h1.ip);
      // What the policy has dropped is told of for a while.
      const isSaid = async () => (await reported()).includes("were dropped on this host");
      await until("nothing is dropped", async () => !(await isSaid()));
      await h1.host.run(["nft", 'add rule ip others f iifname "sandh*" drop']);
      const endTraffic = repeat(() => 500, async () => void await pings(web.container, WORLD, ["-W", "1"]));
      try {
        await said(/of \d+ packets that machines of networks with egress have sent[^]*nft list ruleset/);
      } finally {
        await endTraffic();
      }
      assert.match(
        (await h1.api.status("/metrics")).body,
        /^agent_egress_packets_total\{result="lost"\} [1-9]/m,
      );
      await h1.host.run(["nft", "delete", "table", "ip", "others"]);
      await fetches(web, h1.ip);
      await until("it is said no more", async () => !(await isSaid()));
      await h1.host.run(["iptables", "-P", "FORWARD", "DROP"]);
    },
  );

  await t.step("Docker's chain for users is named where it is there", async () => {
    await h1.host.run(["iptables", "-N", "DOCKER-USER"]);
    await h1.host.run(["iptables", "-A", "DOCKER-USER", "-j", "RETURN"]);
    await h1.host.run(["iptables", "-I", "FORWARD", "-j", "DOCKER-USER"]);
    await said(/iptables -I DOCKER-USER -i sandh\+ -j ACCEPT[^]*agent\.firewall: docker-user/);
  });

  await t.step(
    "with agent.firewall: docker-user, the agent adds the rules to it, and takes them away",
    async () => {
      const before = await list();
      await h1.stop();
      await h1.start({ STRAND_AGENT_FIREWALL: "docker-user" });
      await until("it reaches the world", async () => await fetched(web) === h1.ip);
      assert.match(
        await list("DOCKER-USER"),
        /^-A DOCKER-USER -[io] sandh\+ -j ACCEPT\n-A DOCKER-USER -[io] sandh\+ -j ACCEPT\n/m,
      );
      await h1.host.run(["iptables", "-F", "DOCKER-USER"]);
      await until("they are back", async () => (await list("DOCKER-USER")).split("ACCEPT").length === 3);
      await h1.host.run(["iptables", "-A", "DOCKER-USER", "-j", "RETURN"]);
      await settings(blue.id, {});
      await until("its rules are gone", async (see) => see(await list()) === before);
      assert.equal(await forwarding(h1), "1");
      await lab.agree();
    },
  );
});

Deno.test("an agent that dies at any step of egress goes on as if it had not", async (t) => {
  await using world = await worldLab();
  const { lab, h1, settings, routed } = world, place = `${h1.directory}/failpoint`;
  const start = async () => {
    await Deno.writeTextFile(place, "");
    await h1.start({ STRAND_FAILPOINT: place });
  };
  await start();
  const blue = await h1.api.createNetwork({}), web = await routed(await h1.attach(blue.id));
  for (const name of egressFailpoints) {
    await t.step(name, async () => {
      await settings(blue.id, {});
      await until(
        "it is off",
        async () => await forwarding(h1) === "0" && await rules(h1) === "",
      );
      await lab.agree();
      await Deno.writeTextFile(place, name);
      await settings(blue.id, { egress: true });
      if (/remove|not/.test(name)) {
        await until("it reaches the world", async () => await fetched(web) === h1.ip);
        await settings(blue.id, {});
      }
      await until(`the agent dies at ${name}`, () => !h1.running);
      await start();
      await lab.agree();
      await settings(blue.id, { egress: true });
      await until("it reaches the world", async () => await fetched(web) === h1.ip);
      await lab.agree();
    });
  }
  await t.step("switched off while no agent runs", async () => {
    await h1.stop();
    await settings(blue.id, {});
    await start();
    await until(
      "it is off",
      async () => await forwarding(h1) === "0" && await rules(h1) === "",
    );
    await lab.agree();
  });
});

Deno.test("a machine behind a port has its way out by DHCP, and its connections use segments that fit", async () => {
  await using it = await GatewayLab.started({ hosts: 1 });
  const h1 = it.host(1), server = await serveWorld(it.lab);
  try {
    const blue = await it.network("blue", { overlay: { egress: true, contain: true } });
    await h1.attach(blue);
    const vm = await Machine.behind(h1, "vm0", "52:54:00:00:00:01");
    assert.deepEqual((await at(h1, "attach", blue, "--device", "vm0"))[2], "");
    const { variables } = await vm.lease();
    assert.equal(variables.get("router"), "10.0.0.1");
    await until("it reaches the world", async () => await fetched({ container: vm.host }) === h1.ip);
    // The interface has the MTU of Ethernet, more than the network's.
    const tcpdump = it.lab.store.spawn([
      "tcpdump",
      "-nlvi",
      "eth0",
      "tcp[tcpflags] & tcp-syn != 0 and port 8053",
    ]);
    try {
      await until("a connection's segments fit", async (see) => {
        await fetched({ container: vm.host });
        return see(tcpdump.lines).some((line) => /mss 1410/.test(line));
      });
      assert.ok(!tcpdump.lines.some((line) => /10\.99\.0\.11\.\d+ > .*mss 1460/.test(line)));
    } finally {
      await tcpdump.stop("SIGKILL");
    }
  } finally {
    await server.stop("SIGKILL");
  }
});
