/** `strand explain`, and the dashboard's page of it: each thing that keeps machines apart is provoked, and named with its evidence. */
import assert from "node:assert/strict";
import { run } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import { Machine } from "../overlay_names/ports.ts";
import { at } from "./attached.ts";
import { ExplainPage } from "./explain_page.ts";
import { StrandOn } from "./strand_on.ts";

interface Explained {
  readonly code: number;
  readonly stderr: string;
  /** Like `h1 ARP: 10.0.0.5 is in no entry …`, with the host whose view it is. */
  readonly broken: readonly string[];
}

const VM = "52:54:00:00:00:07", OTHER = "52:54:00:00:00:08";

Deno.test("strand explain names what keeps two machines apart", async (t) => {
  await using it = await GatewayLab.started({ hosts: 2 });
  const [h1, h2] = [it.host(1), it.host(2)];
  const blue = await it.network("blue", { domain: "blue.example", overlay: { contain: true } });
  const web = await h1.attach(blue, { name: "web" }), db = await h2.attach(blue, { name: "db", wait: "20s" });
  const wiring = h1.host.netns.replace(/-h1$/, "-wiring");
  const nft = (netns: string, script: string) =>
    run(["ip", "netns", "exec", netns, "nft", "-f", "-"], { stdin: script });

  await using stack = new AsyncDisposableStack();
  const strand = stack.use(new StrandOn(h1));
  const page = stack.use(await ExplainPage.start(it.lab));
  /** What the command prints on h1. */
  const explained = (...args: string[]) => strand.run("explain", "--agent", `unix:${h1.socket}`, ...args);

  /** What is broken between two ends, as h1 is asked. */
  async function explain(a: string, b: string): Promise<Explained> {
    const { code, stdout, stderr } = await explained("blue", a, b, "-o", "json");
    assert.ok(stdout, stderr);
    const parts = JSON.parse(stdout) as {
      about: string;
      steps: { holds?: boolean; what: string; evidence: string; fix?: string }[];
    }[];
    const broken = parts.flatMap(({ about, steps }) =>
      steps.filter(({ holds }) => holds === false).map(({ what, evidence, fix }) => {
        assert.ok(fix, `${what}: what to do is said`);
        return `${/ on (\S+) to /.exec(about)?.[1] ?? "blue"} ${what}: ${evidence}`;
      })
    );
    assert.equal(code, broken.length ? 1 : 0, stderr);
    return { code, stderr, broken };
  }
  /** Waits until these are what is broken, and nothing else. */
  async function named(a: string, b: string, ...wanted: RegExp[]): Promise<void> {
    await until(`${wanted.join(" and ") || "nothing"} is named`, async (see) => {
      const { broken } = see(await explain(a, b));
      return broken.length === wanted.length && wanted.every((one, i) => one.test(broken[i] ?? ""));
    });
  }
  /** The same while a table of nf_tables of this text is in a namespace. */
  function behind(netns: string, chain: string, ...wanted: RegExp[]): Promise<void> {
    return walled(netns, chain, () => named("web", "db", ...wanted));
  }
  async function walled(netns: string, chain: string, look: () => Promise<void>): Promise<void> {
    const [family = "", ...rest] = chain.split(" ");
    await nft(netns, `table ${family} wall { chain wall { ${rest.join(" ")}\n}\n}`);
    try {
      await look();
    } finally {
      await nft(netns, `delete table ${family} wall`);
    }
  }

  await t.step("nothing where all is well", async () => {
    await it.lab.probesTold();
    await named("web", "db");
    const { code, stderr } = await h1.strand(["explain", "blue", "web", "db"]);
    assert.deepEqual([code, stderr], [0, ""]);
    await page.named("web", "db");
    const { parts } = await page.explain("web", db.address);
    assert.deepEqual(parts.map(({ about }) => about), ["network blue", "web on h1 to db", "db on h2 to web"]);
    assert.ok(parts.every(({ steps }) => steps.length > 2));
    await until(
      "the page has whom agents reach",
      async (see) => see(await page.reached()).join() === "h1 h2,h2 h1",
    );
  });

  await t.step(
    "nothing between machines that were attached just now: their host tells others later what it has applied",
    async () => {
      const near = await h1.attach(blue, { name: "near" });
      assert.deepEqual((await explain("web", "near")).broken, []);
      await h1.api.deleteEndpoint(near.endpoint.id);
    },
  );

  await t.step("what is no endpoint: a name, and an endpoint without its namespace", async () => {
    await named("web", "nobody", /^blue name: network blue has no endpoint "nobody"$/);
    await page.named("web", "nobody", /^name: network blue has no endpoint "nobody"$/);
    const { target_veth_ip: cidr } = await h2.api.createEndpoint(blue);
    const address = cidr.split("/")[0] ?? "";
    const inactive = /^blue active: 10\.0\.0\.\d+ is inactive: its namespace is gone$/;
    await until(
      "it is inactive",
      async (see) => inactive.test(see(await explain("web", address)).broken[0] ?? ""),
    );
  });

  await t.step("UDP 4789 that is blocked on the underlay, in either direction", async () => {
    const chain = "bridge type filter hook forward priority 0; udp dport 4789";
    await behind(
      wiring,
      `${chain} ip saddr ${h1.ip} drop`,
      /^h1 underlay: VXLAN of h1 leaves eth0 and does not come in at eth0 of h2, which answers ping: UDP is blocked/,
    );
    await behind(
      wiring,
      `${chain} ip saddr ${h2.ip} drop`,
      /^h2 underlay: VXLAN of h2 leaves eth0 and does not come in at eth0 of h1/,
    );
  });

  await t.step("a firewall of either host, for what comes in and what goes out", async () => {
    const drop = "priority 0; udp dport 4789 drop";
    await walled(h2.host.netns, `ip type filter hook input ${drop}`, async () => {
      await named("web", "db", /^h1 firewall: VXLAN of h1 comes in at eth0 of h2, and is dropped/);
      await page.named("web", "db", /^firewall: VXLAN of h1 comes in at eth0 of h2, and is dropped/);
    });
    await behind(
      h1.host.netns,
      `ip type filter hook output ${drop}`,
      /^h1 firewall: VXLAN of h1 to 10\.99\.0\.12.* does not leave eth0: it is dropped on h1$/,
    );
  });

  await t.step("an MTU that is too small, and a VTEP that is unreachable", async () => {
    const chain = "bridge type filter hook forward priority 0;";
    await behind(
      wiring,
      `${chain} udp dport 4789 ip length > 1400 drop`,
      /^h1 MTU: packets of 1400 octets and less arrive, and vxlan0 with 1450 sends larger ones$/,
      /^h2 MTU: packets of 1400 /,
    );
    await behind(
      wiring,
      `${chain} ip saddr ${h1.ip} ip daddr ${h2.ip} drop`,
      /^h1 underlay: 10\.99\.0\.12 of h2 is unreachable from h1: it answers neither VXLAN nor ping$/,
      /^h2 agent: the agent of h2 at 10\.99\.0\.12:9999 (cannot be reached|gave no answer)/,
    );
  });

  await t.step("rules for VXLAN that do not know where it comes from", async () => {
    await h1.host.run(["ip", "address", "add", "10.99.0.77/24", "dev", "eth0"]);
    await behind(
      h1.host.netns,
      "ip type nat hook postrouting priority 100; udp dport 4789 snat to 10.99.0.77",
      /^h1 VXLAN rules: h2 drops VXLAN of the network from 10\.99\.0\.77, by its table ip strand$/,
    );
  });

  await t.step("a container that sends with another's address", async () => {
    const name = web.endpoint.target_veth_name;
    await web.container.run(["ip", "address", "add", "10.0.0.66/24", "dev", name]);
    const ping = web.container.spawn(["ping", "-i", "0.2", "-I", "10.0.0.66", db.address]);
    try {
      await named(
        "web",
        "db",
        /^h1 containment: web's port sends from (ARP of )?10\.0\.0\.66.*, which is not its own: dropped; \d+ /,
      );
    } finally {
      await ping.stop();
    }
  });

  await t.step(
    "a machine whose lease has ended, a port that is full, and a machine that sends at two ports",
    async () => {
      const vm = await Machine.behind(h2, "vm0", VM);
      assert.deepEqual((await at(h2, "attach", "blue", "--device", "vm0", "--leases", "1"))[0], 0);
      const { address } = await vm.lease(), client = vm.client();
      await client.line(/lease of .* obtained/);
      await client.stop();
      await until("the lease has ended", async () => (await it.leases(blue)).length === 0);
      await named(
        "web",
        address,
        new RegExp(`^blue lease: ${address} was leased to ${VM}, with ${address}, and that lease has ended$`),
      );

      assert.equal((await vm.lease()).address, address);
      await vm.host.run(
        `ip link add link eth0 name eth1 address ${OTHER} type macvlan mode bridge`.split(" "),
      );
      await vm.host.run(["ip", "link", "set", "eth1", "up"]);
      await it.reserve(blue, OTHER, { name: "more" });
      await vm.lease("-i", "eth1", "-t", "2");
      await named(
        "web",
        "more",
        /^blue lease: more is reserved for 52:54:00:00:00:08, and no machine with that MAC is there$/,
        /^blue port: h2: vm0 has 1 leases, as many as it may have/,
      );

      const twin = await Machine.behind(h1, "vm1", VM);
      assert.deepEqual((await at(h1, "attach", "blue", "--device", "vm1"))[0], 0);
      await twin.host.run(["ip", "address", "add", "10.0.0.99/24", "dev", "eth0"]);
      const ping = twin.host.spawn(["ping", "-i", "0.5", "10.0.0.1"]);
      try {
        await named(
          "web",
          address,
          new RegExp(`^h1 agent: h1 says: ${VM} sends at vm1, a port of network blue, and is not taken in: `),
        );
      } finally {
        await ping.stop();
      }
    },
  );

  await t.step(
    "a host on hold that is behind, with entries that are missing or wrong, and a namespace that is gone",
    async () => {
      const tmp = await h1.attach(blue, { name: "tmp" });
      await it.lab.kv.write({
        [`/sc-net/nodes/h1/networks/${blue}`]: undefined,
        [`/sc-net/nodes-networks/${blue}/h1`]: undefined,
      });
      await until(
        "h1 is on hold",
        async (see) => see((await h1.api.status("/readyz")).body).includes("on hold"),
      );
      await h2.attach(blue, { name: "late" });
      await h1.removeContainer(tmp.container);
      const inside = (line: string) => run(["nsenter", `--net=${h1.namespaceOf(blue)}`, ...line.split(" ")]);
      await inside(`ip neighbour del ${db.address} dev vxlan0`);
      const hold = /^h1 agent: h1 is on hold: /;
      await named(
        "web",
        "db",
        hold,
        /^h1 ARP: 10\.0\.0\.\d+ is in no entry of vxlan0, and should be at /,
      );
      await inside(
        `ip neighbour add ${db.address} lladdr ${db.endpoint.target_veth_mac} nud permanent dev vxlan0`,
      );
      const entry = `${db.endpoint.target_veth_mac} dev vxlan0`;
      await inside(`bridge fdb del ${entry} dst ${h2.ip} self`);
      await inside(`bridge fdb add ${entry} dst 10.99.0.99 self permanent`);
      await named(
        "web",
        "db",
        hold,
        /^h1 FDB: .* is in an entry of vxlan0 that another program has made, and should be behind 10\.99\.0\.12$/,
      );
      await named(
        "tmp",
        "late",
        hold,
        /^h1 namespace: .* is, is gone$/,
        /^h1 port: /,
        /^h1 applied: /,
        /^h1 ARP: /,
        /^h1 FDB: /,
      );
    },
  );

  await t.step("an agent that is down", async () => {
    assert.match((await h1.strand(["agent", "release"])).stdout, /^released/);
    await named("web", "db");
    await h2.kill();
    await named("web", "db", /^h2 agent: the agent of h2 at 10\.99\.0\.12:9999 cannot be reached/);
    await page.named("web", "db", /^agent: the agent of h2 at 10\.99\.0\.12:9999 cannot be reached/);
    await until("the page has h2 as away", async (see) => see(await page.away()).join() === "h2");
  });
});
