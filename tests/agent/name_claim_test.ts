/** Claims on host names: machines with the same name, agents that are killed, and two agents of one machine. */
import assert from "node:assert/strict";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { Environment, OverlayHost } from "../lab/overlay_host.ts";
import { pings } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

const NAME = "/sc-net/strand/names/h1";

/** A network of two hosts in which one pings the other. */
async function pair(lab: OverlayLab, one: OverlayHost, other: OverlayHost) {
  const { id } = await one.api.createNetwork({ name: "pair" });
  const a = await one.attach(id), b = await other.attach(id, { wait: "20s" });
  await lab.agree({ hosts: [one, other] });
  await lab.probesTold();
  return { id, a, b, flows: () => pings(a.container, b.address) };
}

/** What is in etcd but for the claims on names, and for what hosts tell of their progress. */
async function records(lab: OverlayLab): Promise<string[]> {
  return [...await lab.kv.under("/sc-net/")]
    .filter(([key]) => !key.startsWith("/sc-net/strand/")).map((pair) => pair.join(" = "));
}

async function holds(host: OverlayHost, why: RegExp, timeoutMs = 120_000): Promise<string> {
  let body = "";
  await until(`${host.name} is on hold`, async () => {
    const answer = await host.api.status("/readyz").catch(() => undefined);
    body = answer?.body ?? "";
    return answer?.status === 503 && /on hold/.test(body) && why.test(body);
  }, timeoutMs).catch((error) => {
    throw new Error(`${error.message}; it says: ${body}`);
  });
  return body;
}

/** A clone of h1: its name and its disk, but another VTEP, since two machines cannot have one at a time. */
async function clone(host: OverlayHost, of: OverlayHost): Promise<Environment> {
  await run(["rm", "-rf", `${host.directory}/state`]);
  await run(["cp", "-a", `${of.directory}/state`, `${host.directory}/state`]);
  return { PEER_HOSTNAME: of.name };
}

Deno.test("a name belongs to one agent at a time", async (t) => {
  await using lab = await OverlayLab.create({ hosts: 3 });
  const [h1, h2, h3] = [lab.host(1), lab.host(2), lab.host(3)];
  await Promise.all([h1.start(), h2.start()]);
  const { id, a, flows } = await pair(lab, h1, h2);

  await t.step(
    "a second machine with the same host name changes nothing and says who has the name, and goes on when it is free",
    async () => {
      const before = await records(lab), claim = await lab.kv.get(NAME);
      assert.ok(claim);
      const env = await clone(h3, h1);
      h3.launch(env);
      const said = await holds(h3, /the name h1 is held by another agent since 20\S+ \(VTEP 10\.99\.0\.11/);
      assert.match(said, /PEER_HOSTNAME/);
      assert.match((await h3.api.status("/metrics")).body, /^agent_on_hold\S* 1$/m);
      await h3.saysInStatus(/the name h1 is held by another agent since/);
      await assert.rejects(h3.api.createNetwork(), /: 503 .*the name h1 is held/);
      await assert.rejects(h3.api.deleteEndpoint(a.endpoint.id), /: 503 .*the name h1 is held/);
      const release = await h3.strand(["agent", "release"]);
      assert.notEqual(release.code, 0);
      assert.match(release.stderr, /nothing to release: the name h1 is held/);
      assert.deepEqual(await records(lab), before);
      assert.equal(await lab.kv.get(NAME), claim);
      assert.ok(await flows(), "the first one's networks are untouched");
      assert.deepEqual([...Deno.readDirSync(h3.namespaces)], []);
      assert.equal((await h1.api.status("/readyz")).status, 200);

      // One that ends in order gives its name back: no agent waits for the claim's time to live.
      await h1.stop();
      await h3.ready();
      assert.match(await lab.kv.get(NAME) ?? "", /10\.99\.0\.13/);
      h1.launch();
      await holds(h1, /the name h1 is held by another agent since 20\S+ \(VTEP 10\.99\.0\.13/);
      await h3.stop();
      await h1.ready();
      // What the clone had set up in the other's name goes.
      await h3.reboot();
      await lab.agree();
    },
  );

  await t.step(
    "a stopped agent whose claim has ended and passed on writes nothing when it is continued",
    async () => {
      const env = await clone(h3, h1);
      h3.launch(env);
      await holds(h3, /the name h1 is held/);
      h1.agent.signal("SIGSTOP");
      const created = h1.api.createEndpoint(id).then(() => "made", (error) => `${error}`);
      await h3.ready();
      h1.agent.signal("SIGCONT");
      assert.match(await created, /: 503 .*on hold|: 503 .*etcd/);
      await holds(h1, /the name h1 is held by another agent since \S+ \(VTEP 10\.99\.0\.13/);
      // Here alone both have the very same container: where the first sees its pair replaced before it knows of its claim's end, it
      // replaces that one, and the other does so once more.
      await until("its containers have their interfaces", async (see) => {
        const { stdout } = await a.container.run(a.container.enter(["ip", "-br", "link"]));
        return see(stdout).includes(a.endpoint.target_veth_name);
      });
      await h3.stop();
      await h1.ready();
      // What the clone had set up in the other's name goes.
      await h3.reboot();
      await lab.agree();
    },
  );

  await t.step("an agent that was killed has its name again at once", async () => {
    let first, second;
    for (const times: string[] = [];;) {
      first = JSON.parse(await lab.kv.get(NAME) ?? "{}");
      await h1.kill();
      // So long the claim lives without it, and no longer than that a start may take that says anything.
      const killed = performance.now(), left = await lab.kv.secondsLeft(BigInt(`0x${first.lease}`)) * 1000;
      h1.launch();
      const line = await h1.agent.line(/the name h1 is this agent's/), took = performance.now() - killed;
      await h1.ready();
      second = JSON.parse(await lab.kv.get(NAME) ?? "{}");
      const waited = h1.agent.lines.filter((line) => /is held by another agent/.test(line));
      assert.deepEqual(waited, [], "it knows the claim as that of an agent that has ended");
      // The claim passed from one to the other: it did not end in between.
      if (/, from the agent that had it since .* has ended/.test(line)) break;
      times.push(`${Math.round(took)} of ${left} ms`);
      assert.ok(took >= left, `${line}: the claim was there still: ${times.at(-1)}`);
      assert.ok(times.length < 5, `each start took longer than the claim lived: ${times.join(", ")}`);
    }
    assert.notEqual(second.start, first.start);
    assert.equal(second.lock, first.lock);
    assert.ok(await flows());
    await lab.agree();
  });

  await t.step("a claim that is deleted is taken again", async () => {
    const first = await lab.kv.get(NAME);
    await lab.kv.write({ [NAME]: undefined });
    await until("claimed again", async () => ![undefined, first].includes(await lab.kv.get(NAME)));
    await h1.ready();
    assert.ok(await flows());
    await h1.attach(id, { wait: "20s" });
    await lab.agree();
  });

  await t.step(
    "an agent whose claim another has taken changes nothing in etcd or the kernel until it has it again",
    async () => {
      const others = { start: "x", boot: "y", lock: "1:2", lease: "1", since: "2026-01-02T03:04:05Z" };
      await lab.kv.write({ [NAME]: JSON.stringify({ ...others, host_ip: "192.0.2.9" }) });
      await holds(h1, /the name h1 is held by another agent since 2026-01-02T03:04:05Z \(VTEP 192\.0\.2\.9/);
      await assert.rejects(h1.attach(id), /: 503 .*the name h1 is held/);
      // What the other one does in its name is not carried out here.
      await lab.kv.write({
        [`/sc-net/node-endpoints/h1/${a.endpoint.id}`]: undefined,
        [`/sc-net/network-endpoints/${id}/${a.endpoint.id}`]: undefined,
      });
      const { endpoint } = await h2.attach(id);
      await until(
        "h1 has seen it",
        async () => (await h1.api.endpoints({ network_id: id })).some((e) => e.id === endpoint.id),
      );
      const interfaces = await a.container.run(a.container.enter(["ip", "-br", "link"]));
      assert.match(interfaces.stdout, new RegExp(a.endpoint.target_veth_name));

      await lab.kv.write({ [NAME]: undefined });
      await h1.ready();
      await until("what was deleted is gone", async () => {
        const { stdout } = await a.container.run(a.container.enter(["ip", "-br", "link"]));
        return !stdout.includes(a.endpoint.target_veth_name);
      });
      assert.ok(!await flows());
    },
  );

  await lab.clear();
  await t.step(
    "a machine made from another's disk, with a name of its own, is no renamed host while the other lives",
    async () => {
      // A new one: what was written by hand above left an address claimed.
      const { id } = await pair(lab, h1, h2);
      await keeps(h1, id);
      await clone(h3, h1);
      await h3.start();
      await h3.attach(id, { wait: "20s" });
      await lab.agree();
    },
  );

  await lab.clear();
  await t.step(
    "a host with another name is told what it was called, and nothing of it is torn down",
    () => renamed(lab, { host: h1, name: "h9", beside: h2, rebooted: false }),
  );

  await t.step(
    "a host with another name, after a reboot, is told what it was called, and nothing of it is torn down",
    () => renamed(lab, { host: h2, name: "h8", beside: h3, rebooted: true }),
  );

  await t.step("two agents with one state file: the second holds until the first has ended", async () => {
    await h3.stop();
    h3.launch({ PEER_HOSTNAME: "h9", STRAND_AGENT_STATE_DIR: `${h1.directory}/state` });
    await holds(h3, /another agent on this machine has \S+h9_sc-net.json in use/);
    await h1.stop();
    await h3.ready();
  });
});

interface Renaming {
  readonly host: OverlayHost;
  /** What it is called next. */
  readonly name: string;
  /** A host that it has a network with. */
  readonly beside: OverlayHost;
  readonly rebooted: boolean;
}

async function renamed(lab: OverlayLab, { host, name, beside, rebooted }: Renaming): Promise<void> {
  const { id, a, b, flows } = await pair(lab, host, beside);
  await keeps(host, id);
  if (rebooted) await host.reboot();
  else await host.stop();
  const before = await records(lab), was = host.name;
  host.launch({ PEER_HOSTNAME: name });
  const said = await holds(host, new RegExp(`this host was called ${was} and has a network under that name`));
  assert.match(said, new RegExp(`PEER_HOSTNAME=${was}`));
  await assert.rejects(host.api.createNetwork(), new RegExp(`: 503 .*this host was called ${was}`));
  const release = await host.api.release();
  assert.notEqual(release.status, 200);
  assert.match(release.body, new RegExp(`nothing to release: this host was called ${was}`));
  assert.deepEqual(await records(lab), before);
  assert.equal(await lab.kv.get(`/sc-net/strand/names/${name}`), undefined);
  if (!rebooted) assert.ok(await flows());

  // Moved as it is told to.
  await host.stop();
  await host.start();
  await host.api.deleteEndpoint(a.endpoint.id);
  await until("nothing is left of it", async () => {
    return ![...await lab.kv.under("/sc-net/nodes/")].some(([key]) => key.includes(`/${was}/`));
  });
  await host.stop();
  await host.start({ PEER_HOSTNAME: name });
  const { endpoint } = await host.attach(id, { wait: "20s" });
  await host.api.deleteEndpoint(endpoint.id);
  await beside.api.deleteEndpoint(b.endpoint.id);
  await beside.api.deleteNetwork(id);
}

/** Resolves when the agent has the network on its disk: what it has seen goes there every other second. */
async function keeps(host: OverlayHost, network: string): Promise<void> {
  await until("it keeps what it knows", async () => {
    const text = await Deno.readTextFile(`${host.directory}/state/${host.name}_sc-net.json`).catch(() => "");
    return text.includes(network);
  });
}
