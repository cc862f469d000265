/** Whether hosts find out that VXLAN does not pass between them, as firewalls and links of the lab decide it. */
import assert from "node:assert/strict";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { until } from "../lab/until.ts";

/** The longest that the loss of a host may go unnoticed is 15 s; a busy machine gets more. */
const PATIENCE = 90_000;

Deno.test("hosts find out that UDP 4789 or full-size packets do not pass between them, and that they do again", async (t) => {
  await using lab = await OverlayLab.started({ hosts: 4 });
  const [h1, h2, h3, h4] = [1, 2, 3, 4].map((number) => lab.host(number)) as Hosts;
  const { id } = await h1.api.createNetwork({});
  await Promise.all([h1, h2, h3].map((host) => host.attach(id)));
  const reached = (host: OverlayHost, peer: string) => metric(host, `agent_peer_reachable{peer="${peer}"}`);
  const reaches = (value: number, ...pairs: [OverlayHost, string][]) =>
    until(
      `${pairs.map(([host, peer]) => `${host.name} → ${peer}`)}: ${value}`,
      async () =>
        (await Promise.all(pairs.map(([host, peer]) => reached(host, peer)))).every((n) => n === value),
      PATIENCE,
    );

  await t.step("hosts of a network reach each other; one without a shared network is not asked", async () => {
    await reaches(1, [h1, "h2"], [h2, "h1"], [h1, "h3"], [h3, "h1"]);
    assert.equal(await reached(h1, "h4"), undefined);
    assert.deepEqual(await problems(h1), []);
    await lab.agree();
  });

  // Each looks at a host of its own, at the same time: what is waited for are seconds of the agents' clocks.
  const firewall = async () => {
    const rule = ["INPUT", "-p", "udp", "--dport", "4789", "-j", "DROP"];
    await h2.host.run(["iptables", "-A", ...rule]);
    await reaches(0, [h1, "h2"], [h2, "h1"]);
    const heard = /h2 does not answer over VXLAN, though its own packets arrive.*10\.99\.0\.12/;
    await until("h1 hears h2", async () => heard.test((await problems(h1)).join()), PATIENCE);
    assert.match(
      (await problems(h2)).join(),
      /h[13] does not answer over VXLAN: packets are dropped on the way/,
    );
    assert.equal((await h1.api.status("/readyz")).status, 200);
    await h1.saysInStatus(/h2 does not answer over VXLAN[^]*let UDP 4789 pass/);
    await h2.host.run(["iptables", "-D", ...rule]);
    await reaches(1, [h1, "h2"], [h2, "h1"]);
    const lines = () => h1.agent.lines.filter((line) => /h2 .*over VXLAN/.test(line));
    await until("both are in the log", (see) => see(lines()).length >= 2);
    assert.equal(lines().length, 2, lines().join("\n"));
  };
  const stoppedAndNarrow = async () => {
    await h3.stop();
    const before = await probes(h3);
    await until("h3 has been asked", async (see) => see(await probes(h3)) >= before + 3, PATIENCE);
    assert.equal(await reached(h1, "h3"), 1);
    const rule = ["INPUT", "-p", "udp", "--dport", "4789", "-m", "length", "--length", "1401:", "-j", "DROP"];
    await h3.host.run(["iptables", "-A", ...rule]);
    // An agent that has just been started looks at full-size packets at once.
    await h3.start();
    await reaches(1, [h3, "h1"], [h1, "h3"]);
    await until(
      "h3 knows",
      async (see) => see(await metric(h3, "agent_peers_narrow") ?? 0) > 0,
      2 * PATIENCE,
    );
    assert.match((await problems(h3)).join(), /packets of more than 1400 octets do not reach h\d.*send 1500/);
  };
  await t.step("a firewall, a stopped agent, a smaller MTU on the way", async () => {
    await Promise.all([firewall(), stoppedAndNarrow()]);
  });

  await t.step("with the last network of a host its device goes, and the others ask it no more", async () => {
    for (const { id } of await h2.api.endpoints({ hostname: "h2" })) await h2.api.deleteEndpoint(id);
    const path = h2.namespaceOf("strand-probe");
    await until("it is gone", () => Deno.lstat(path).then(() => false, () => true));
    await until("h1 asks one host", async (see) => see(await metric(h1, "agent_peers")) === 1);
  });

  await t.step("a host whose agent does not say that it answers raises no alarm", async () => {
    const endpoint = { id: crypto.randomUUID(), network_id: id, hostname: "go1", host_ip: "10.99.0.99" };
    await lab.kv.write({
      [`/sc-net/nodes-networks/${id}/go1`]: JSON.stringify({ id, created_at: "2020-01-01T00:00:00Z" }),
      [`/sc-net/network-endpoints/${id}/${endpoint.id}`]: JSON.stringify({ ...endpoint, active: false }),
    });
    await h4.attach(id);
    await reaches(1, [h1, "h4"]);
    assert.equal(await metric(h1, "agent_peers"), 2);
  });

  await t.step(
    "a network that an old agent gave the VNI of the probes comes first, and its host is not asked",
    async () => {
      const own = await h1.api.network(id),
        odd = { ...own, id: crypto.randomUUID(), name: "odd", vxlan_vni: 16777215 };
      await lab.kv.write({ [`/sc-net/network/${odd.id}`]: JSON.stringify(odd) });
      await until(
        "h4 knows the network",
        async () => (await h4.api.networks()).some(({ name }) => name === "odd"),
      );
      const { endpoint } = await h4.attach(odd.id);
      assert.equal(endpoint.active, true);
      await until("h1 asks h4 no more", async (see) => see(await reached(h1, "h4")) === undefined, PATIENCE);
      await h4.api.deleteEndpoint(endpoint.id);
      await reaches(1, [h1, "h4"], [h4, "h1"]);
    },
  );

  await t.step("a stranger's frames get no answer, and are counted", async () => {
    const before = await metric(h1, "agent_probe_strangers_total") ?? 0;
    await using _device = await strangerAt(h2, h1.ip);
    const ping = ["ping", "-c", "3", "-W", "1", "-I", "198.51.100.66", h1.ip];
    const { stdout } = await h2.host.run(ping, { mayFail: true });
    assert.match(stdout, /3 packets transmitted, 0 received/);
    const counted = async () => (await metric(h1, "agent_probe_strangers_total") ?? 0) >= before + 3;
    await until("they are counted", counted);
  });
});

type Hosts = [OverlayHost, OverlayHost, OverlayHost, OverlayHost];

/** A host's own device with the VNI of the probes, from which another address asks. */
async function strangerAt(host: OverlayHost, target: string): Promise<AsyncDisposable> {
  const mac = `02:53:${
    target.split(".").map((octet) => Number(octet).toString(16).padStart(2, "0")).join(":")
  }`;
  const ip = (...args: string[]) => run(["ip", "-n", host.host.netns, ...args]);
  await ip("link", "add", "odd0", "type", "vxlan", "id", "16777215", "dstport", "4789", "remote", target);
  await ip("address", "add", "198.51.100.66/32", "dev", "odd0");
  await ip("link", "set", "odd0", "up");
  await ip("neigh", "add", target, "lladdr", mac, "dev", "odd0");
  await ip("rule", "add", "from", "198.51.100.66", "table", "77");
  await ip("route", "add", "default", "dev", "odd0", "table", "77");
  return { [Symbol.asyncDispose]: async () => void await ip("link", "del", "odd0") };
}

/** Packets that have reached a host's device. */
async function probes(host: OverlayHost): Promise<number> {
  const { stdout } = await run([
    ...["nsenter", `--net=${host.namespaceOf("strand-probe")}`, "ip", "-s", "-j", "link", "show", "probe0"],
  ]);
  return JSON.parse(stdout)[0].stats64.rx.packets;
}

/** What /readyz says is wrong. */
async function problems(host: OverlayHost): Promise<string[]> {
  const { problems } = JSON.parse((await host.api.status("/readyz")).body) as {
    problems: { what: string }[];
  };
  return problems.map(({ what }) => what);
}

async function metric(host: OverlayHost, name: string): Promise<number | undefined> {
  const { body } = await host.api.status("/metrics");
  const line = body.split("\n").find((line) => line.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length));
}
