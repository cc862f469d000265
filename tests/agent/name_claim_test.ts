/** Claims on host names: machines with the same name, agents that are killed, and two agents of one machine. */
import assert from "node:assert/strict";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { Environment, OverlayHost } from "../lab/overlay_host.ts";
import { pings } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

const NAME = "/sc-net/strand/names/h1";

/** A network of h1 and h2 in which one pings the other. */
async function pair(lab: OverlayLab) {
  const { id } = await lab.host(1).api.createNetwork({ name: "pair" });
  const a = await lab.host(1).attach(id), b = await lab.host(2).attach(id, { wait: "20s" });
  await lab.agree({ hosts: lab.hosts.slice(0, 2) });
  await lab.probesTold();
  return { id, a, b, flows: () => pings(a.container, b.address) };
}

/** What is in etcd but for the claims on names, and for what hosts tell of their progress. */
async function records(lab: OverlayLab): Promise<string[]> {
  return [...await lab.kv.under("/sc-net/")]
    .filter(([key]) => !key.startsWith("/sc-net/strand/")).map((pair) => pair.join(" = "));
}

async function holds(host: OverlayHost, why: RegExp, timeoutMs = 30_000): Promise<string> {
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
  await run(["cp", "-a", `${of.directory}/state`, `${host.directory}/state`]);
  return { PEER_HOSTNAME: of.name };
}

Deno.test("a second machine with the same host name changes nothing and says who has the name, and goes on when it is free", async () => {
  await using lab = await OverlayLab.create({ hosts: 3 });
  const [h1, h2, h3] = [lab.host(1), lab.host(2), lab.host(3)];
  await h1.start();
  await h2.start();
  const { a, flows } = await pair(lab);
  const before = await records(lab), claim = await lab.kv.get(NAME);
  assert.ok(claim);
  const env = await clone(h3, h1);
  h3.launch(env);
  const said = await holds(h3, /the name h1 is held by another agent since 20\S+ \(VTEP 10\.99\.0\.11/);
  assert.match(said, /PEER_HOSTNAME/);
  assert.match((await h3.api.status("/metrics")).body, /^agent_on_hold\S* 1$/m);
  assert.match((await h3.strand(["status"])).stdout, /the name h1 is held by another agent since/);
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
});

Deno.test("two agents with one state file: the second holds until the first has ended", async () => {
  await using lab = await OverlayLab.create();
  const [h1, h2] = [lab.host(1), lab.host(2)];
  await h1.start();
  h2.launch({ PEER_HOSTNAME: "h1", STRAND_AGENT_STATE_DIR: `${h1.directory}/state` });
  await holds(h2, /another agent on this machine has \S+h1_sc-net.json in use/);
  await h1.stop();
  await h2.ready();
});

Deno.test("a claim that is lost is had again, and the agent's networks go on", async (t) => {
  await using lab = await OverlayLab.started();
  const [h1, h2] = [lab.host(1), lab.host(2)], { id, a, flows } = await pair(lab);

  await t.step("an agent that was killed has its name again at once", async () => {
    const first = JSON.parse(await lab.kv.get(NAME) ?? "{}");
    await h1.kill();
    await h1.start();
    // The claim passed from one to the other: it did not end in between.
    await h1.agent.line(/the name h1 is this agent's, from the agent that had it since .* has ended/);
    const second = JSON.parse(await lab.kv.get(NAME) ?? "{}");
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
});

Deno.test("a stopped agent whose claim has ended and passed on writes nothing when it is continued", async () => {
  await using lab = await OverlayLab.create({ hosts: 3 });
  const [h1, h2, h3] = [lab.host(1), lab.host(2), lab.host(3)];
  await h1.start();
  await h2.start();
  const { id, a } = await pair(lab);
  const env = await clone(h3, h1);
  h3.launch(env);
  await holds(h3, /the name h1 is held/);
  h1.agent.signal("SIGSTOP");
  const asked = h1.api.createEndpoint(id).then(() => "made", (error) => `${error}`);
  await h3.ready();
  h1.agent.signal("SIGCONT");
  assert.match(await asked, /: 503 .*on hold|: 503 .*etcd/);
  await holds(h1, /the name h1 is held by another agent since \S+ \(VTEP 10\.99\.0\.13/);
  const interfaces = await a.container.run(a.container.enter(["ip", "-br", "link"]));
  assert.match(
    interfaces.stdout,
    new RegExp(a.endpoint.target_veth_name),
    "its containers keep their interfaces",
  );
  await h3.stop();
  await h1.ready();
});

for (const rebooted of [false, true]) {
  Deno.test(`a host with another name${rebooted ? ", after a reboot," : ""} is told what it was called, and nothing of it is torn down`, async () => {
    await using lab = await OverlayLab.started();
    const h1 = lab.host(1), { id, a, flows } = await pair(lab);
    await keeps(h1, id);
    if (rebooted) await h1.reboot();
    else await h1.stop();
    const before = await records(lab);
    h1.launch({ PEER_HOSTNAME: "h9" });
    const said = await holds(h1, /this host was called h1 and has a network under that name/);
    assert.match(said, /PEER_HOSTNAME=h1/);
    await assert.rejects(h1.api.createNetwork(), /: 503 .*this host was called h1/);
    const release = await h1.strand(["agent", "release"]);
    assert.notEqual(release.code, 0);
    assert.match(release.stderr, /nothing to release: this host was called h1/);
    assert.deepEqual(await records(lab), before);
    assert.equal(await lab.kv.get("/sc-net/strand/names/h9"), undefined);
    if (!rebooted) assert.ok(await flows());

    // Moved as it is told to.
    await h1.stop();
    await h1.start();
    await h1.api.deleteEndpoint(a.endpoint.id);
    await until("nothing is left of it", async () => {
      return ![...await lab.kv.under("/sc-net/nodes/")].some(([key]) => key.includes("/h1/"));
    });
    await h1.stop();
    await h1.start({ PEER_HOSTNAME: "h9" });
    await h1.attach(id, { wait: "20s" });
  });
}

Deno.test("a machine made from another's disk, with a name of its own, is no renamed host while the other lives", async () => {
  await using lab = await OverlayLab.create({ hosts: 3 });
  const [h1, h2, h3] = [lab.host(1), lab.host(2), lab.host(3)];
  await h1.start();
  await h2.start();
  const { id } = await pair(lab);
  await keeps(h1, id);
  await clone(h3, h1);
  await h3.start();
  await h3.attach(id, { wait: "20s" });
  await lab.agree();
});

/** Resolves when the agent has the network on its disk: what it has seen goes there every other second. */
async function keeps(host: OverlayHost, network: string): Promise<void> {
  await until("it keeps what it knows", async () => {
    const text = await Deno.readTextFile(`${host.directory}/state/h1_sc-net.json`).catch(() => "");
    return text.includes(network);
  });
}
