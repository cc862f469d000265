/**
 * An etcd that is out of reach, hangs, is emptied, restored or replaced: the agent keeps the networks, and holds
 * where needed.
 */
import assert from "node:assert/strict";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { ApiError } from "../lab/overlay_api.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { pings } from "../lab/overlay_traffic.ts";
import { quickly } from "../lab/quickly.ts";
import { until } from "../lab/until.ts";
import { at } from "../networks/attached.ts";

/** A network of two hosts in which one pings the other. */
async function pair(lab: OverlayLab) {
  const { id } = await lab.host(1).api.createNetwork({ name: "pair" });
  const a = await lab.host(1).attach(id), b = await lab.host(2).attach(id, { wait: "20s" });
  await lab.agree();
  return { id, a, b, flows: () => pings(a.container, b.address) };
}

function onHold(host: OverlayHost): Promise<void> {
  return until(
    `${host.name} is on hold`,
    async (see) =>
      see((await host.api.status("/readyz").catch(() => undefined))?.body)?.includes("on hold") === true,
  );
}

/** Asserts that an agent refuses at once what it is asked. */
async function refused(request: () => Promise<unknown>, status: number, sentence: RegExp): Promise<void> {
  await quickly(3000, () =>
    assert.rejects(request(), (error) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, new RegExp(`: ${status} `));
      assert.match(error.message, sentence);
      return true;
    }));
}

Deno.test("an etcd that hangs, is away or is another one", async (t) => {
  await using lab = await OverlayLab.create();
  const [h1, h2] = [lab.host(1), lab.host(2)];
  await Promise.all([h1.start({ STRAND_AGENT_CHECK_EVERY: "1" }), h2.start()]);
  const { id, a, b, flows } = await pair(lab);

  const missing = crypto.randomUUID();
  const refusals = async () => {
    const { api } = h1;
    const requests = [
      api.deleteNetwork(missing),
      api.deleteEndpoint(missing),
      api.createEndpoint(missing, {}),
    ];
    return (await Promise.allSettled(requests)).map((outcome) =>
      outcome.status === "rejected" && outcome.reason instanceof ApiError ? outcome.reason.status : outcome
    );
  };
  const attached = async () => (await at(h1, "attach", id, "--device", "vm0", "--members", "db"))[2];
  await t.step(
    "that hangs: no answer says that a network, an endpoint or a member is not there",
    async () => {
      assert.deepEqual(await refusals(), [404, 404, 404]);
      assert.match(await attached(), /the network has no member "db"/);
      lab.etcd.freeze();
      const [others, member] = await Promise.all([refusals(), attached()]);
      assert.deepEqual(others, [503, 503, 503]);
      assert.match(member, /what is known of etcd may be old/);
    },
  );

  await t.step(
    "that hangs: as soon as that is known, writes are refused and reads answered at once",
    async () => {
      await until("h1 has noticed", async () => {
        return /since ([2-9]|\d\d+) s/.test((await h1.api.status("/readyz")).body);
      });
      await refused(() => h1.api.createNetwork(), 503, /etcd/);
      await refused(() => h1.api.createEndpoint(id), 503, /etcd/);
      await refused(() => h1.api.deleteEndpoint(a.endpoint.id), 503, /etcd/);
      await refused(() => h1.api.deleteNetwork(id), 503, /etcd/);
      assert.equal((await quickly(3000, () => h1.api.endpoints())).length, 2);
      lab.etcd.thaw();
      await h1.ready();
      await until("it knows again", async (see) => see(await refusals()).every((status) => status === 404));
      await h1.api.deleteEndpoint((await h1.attach(id)).endpoint.id);
    },
  );

  await t.step("away: traffic goes on, reads are answered, writes are refused", async () => {
    await lab.etcd.kill();
    await until("h1 says so", async (see) => see(await h1.api.status("/readyz")).status === 503);
    assert.equal((await h1.api.status("/healthz")).status, 200);
    assert.match((await h1.api.status("/readyz")).body, /etcd/);
    assert.ok(await flows());
    assert.equal((await h1.api.networks()).length, 1);
    assert.equal((await h1.api.endpoints({ network_id: id })).length, 2);
    await refused(() => h1.api.createNetwork(), 503, /etcd/);
    await refused(() => h1.api.createEndpoint(id), 503, /etcd/);
    await refused(() => h1.api.deleteEndpoint(a.endpoint.id), 503, /etcd/);
    await refused(() => h1.attach(id), 503, /etcd/);
  });

  await t.step(
    "away: what others took from the kernel is put back, what they put there stays until etcd can be asked",
    async () => {
      const inside = (command: string) =>
        h1.host.run(h1.host.enter(["sh", "-ec", `nsenter --net=${h1.namespaceOf(id)} ${command}`]));
      await inside("ip neighbour add 10.0.0.99 lladdr 02:00:00:00:00:99 dev vxlan0 nud permanent");
      await inside(`bridge fdb del ${b.endpoint.target_veth_mac} dev vxlan0 dst 10.99.0.12 self`);
      await until("it is put back", flows);
      assert.match((await inside("ip neighbour show dev vxlan0")).stdout, /10\.0\.0\.99/);
      await lab.etcd.start();
      await lab.agree();
    },
  );

  await t.step("away at an agent's start: it waits, and leaves what is there as it is", async () => {
    await h1.ready();
    await lab.etcd.kill();
    await h1.stop();
    h1.launch();
    await until(
      "the API answers",
      async () => await h1.api.request({ path: "/version" }).then(() => true, () => false),
    );
    await refused(() => h1.api.networks(), 503, /etcd/);
    assert.equal((await h1.api.status("/readyz")).status, 503);
    assert.ok(await flows());

    await lab.etcd.start();
    await h1.ready();
    await lab.agree();
    assert.ok(await flows());
    await h1.attach(id, { wait: "20s" });
    await lab.agree();
  });

  await t.step(
    "that is met for the first time, and knows nothing of the host: nothing is torn down",
    async () => {
      await h1.stop();
      // The same as with another cluster's etcd: what the host has belongs to no network of it.
      h1.launch({ PEER_HOSTNAME: "h1.example" });
      await onHold(h1);
      assert.ok(await flows(), "nothing was torn down");
      await h1.stop();
      await h1.start();
      await lab.agree();
      assert.ok(await flows());
    },
  );

  await t.step(
    "what others did while a host was on hold is carried out once it is released, and they are told",
    async () => {
      const kept = [`/sc-net/nodes/h1/networks/${id}`, `/sc-net/nodes-networks/${id}/h1`];
      await lab.kv.write(Object.fromEntries(kept.map((key) => [key, undefined])));
      await onHold(h1);
      const { endpoint } = await h2.attach(id);
      await h2.api.deleteEndpoint(endpoint.id);
      const { code, stdout, stderr } = await h1.strand(["agent", "release"]);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /^released/, `${stderr}\n${h1.agent.tail()}`);
      await lab.agree();
      await until("h1 has told", async (see) => {
        const [own, others] = see([await appliedOf(lab, id, "h1"), await appliedOf(lab, id, "h2")]);
        // What h1 writes itself once it is released may be newer than what it had agreed with.
        return own >= others && own <= Number(await lab.kv.revision());
      });
    },
  );

  await lab.clear();
  for (const hold of holds) {
    for (const running of [true, false]) {
      await t.step(
        `${hold.store}, ${
          running ? "while the agent runs" : "at its start"
        }: nothing is torn down until it is released`,
        () => meets(lab, hold, running),
      );
    }
  }

  await t.step(
    "restored from a backup that differs in revisions alone: hosts tell what they carry out by those of the restored store",
    () => goesBack(lab),
  );

  await t.step(
    "another cluster's that shows a host nothing new puts it on hold at once, not at its first endpoint",
    async () => {
      await lab.etcd.kill("SIGTERM");
      await Deno.remove(lab.etcd.dir, { recursive: true });
      await Deno.mkdir(lab.etcd.dir);
      lab.etcd.launch(["--initial-cluster-token=another"]);
      await lab.etcd.healthy();
      for (const host of lab.hosts) {
        await until(
          `${host.name} is on hold`,
          async () => (await host.api.status("/readyz")).body.includes("another etcd cluster answers"),
        );
        await released(host);
      }
      await pair(lab);
    },
  );
});

const holds: readonly {
  readonly store: string;
  /** True: with a cluster id of its own. */
  readonly another?: boolean;
  readonly says: RegExp;
}[] = [
  { store: "empty", says: /back|nothing/ },
  { store: "restored from an older backup", says: /back/ },
  { store: "another cluster's", another: true, says: /another etcd cluster/ },
];

/** A store that goes back or is another one, while h1's agent runs or at its start. */
async function meets(lab: OverlayLab, { store, another, says }: typeof holds[number], running: boolean) {
  const h1 = lab.host(1), data = lab.etcd.dir;
  await lab.etcd.kill("SIGTERM");
  await run(["rm", "-rf", `${data}-before`]);
  await run(["cp", "-a", data, `${data}-before`]);
  await lab.etcd.start();
  await Promise.all(lab.hosts.map((host) => host.ready()));
  const { id, flows } = await pair(lab);
  // What the agent has seen goes to its disk every other second.
  await until("h1 keeps what it knows", async () => {
    for await (const { name } of Deno.readDir(`${h1.directory}/state`)) {
      // A file that is being written goes by another name, and away.
      if (name.endsWith(".part")) continue;
      if ((await Deno.readTextFile(`${h1.directory}/state/${name}`)).includes(id)) return true;
    }
    return false;
  });
  if (!running) await h1.stop();
  await lab.etcd.kill("SIGTERM");
  await Deno.remove(data, { recursive: true });
  if (/older/.test(store)) await Deno.rename(`${data}-before`, data);
  else await Deno.mkdir(data);
  lab.etcd.launch(another ? [`--initial-cluster-token=${crypto.randomUUID()}`] : []);
  await lab.etcd.healthy();
  if (!running) h1.launch();

  await onHold(h1);
  assert.match((await h1.api.status("/readyz")).body, says);
  assert.match((await h1.api.status("/metrics")).body, /^agent_on_hold\S* 1$/m);
  await refused(() => h1.api.createNetwork(), 503, /on hold/);
  assert.ok(await flows(), "nothing was torn down");
  const left = [...Deno.readDirSync(h1.namespaces)].map(({ name }) => name);
  assert.equal(left.filter((name) => !name.endsWith("strand-probe")).length, 1);

  for (const host of lab.hosts) {
    await onHold(host);
    await released(host);
    await host.ready();
  }
  await until("both follow the store", async () => {
    await lab.agree({ hosts: [] });
    return lab.hosts.every((host) => [...Deno.readDirSync(host.namespaces)].length === 0);
  });
  // The next store is another one, of which the agents that have met this one know what came of it.
  const both = await pair(lab);
  assert.ok(await both.flows());
  await lab.clear();
}

/** A store that goes back by many revisions, in which the networks are as they were then. */
async function goesBack(lab: OverlayLab) {
  const [h1, h2] = [lab.host(1), lab.host(2)], { etcd, kv } = lab, data = etcd.dir;
  const { id } = await pair(lab);
  const { id: alone } = await h1.api.createNetwork();
  await h1.attach(alone);
  const places = [[id, h1], [id, h2], [alone, h1]] as const;
  const told = (network: string, { name }: OverlayHost) => appliedOf(lab, network, name);
  const allTold = async (from: number) => {
    await until("hosts tell what they have carried out", async (see) => {
      const all = see(await Promise.all(places.map((place) => told(...place)))), last = await kv.revision();
      return all.every((revision) => revision > from && revision <= last);
    });
  };
  await allTold(0);
  await etcd.kill("SIGTERM");
  await run(["rm", "-rf", `${data}-before`]);
  await run(["cp", "-a", data, `${data}-before`]);
  await etcd.start();
  await Promise.all(lab.hosts.map((host) => host.ready()));
  for (let n = 0; n < 200; n++) await kv.write({ "/strand-test": `${n}` });
  const high = await kv.revision();
  await h1.api.deleteEndpoint((await h1.attach(id)).endpoint.id);
  await until("h2 has told", async (see) => see(await told(id, h2)) > high);
  // What h1 does alone it tells after two seconds: etcd has ended before that, so that nothing of this network differs.
  await h1.api.deleteEndpoint((await h1.attach(alone)).endpoint.id);
  await etcd.kill("SIGTERM");
  await Deno.remove(data, { recursive: true });
  await Deno.rename(`${data}-before`, data);
  await etcd.start();
  for (const host of lab.hosts) {
    await onHold(host);
    await released(host);
    await host.ready();
  }
  const before = await kv.revision();
  for (const network of [id, alone]) await h1.attach(network);
  await allTold(before);
  await lab.clear();
}

/** The revision that a host has published as applied to a network. */
async function appliedOf({ kv }: OverlayLab, network: string, host: string): Promise<number> {
  return Number(JSON.parse(await kv.get(`/sc-net/strand/applied/${network}/${host}`) ?? "{}").revision);
}

/** Releases a host's hold, as `strand agent release` does. */
async function released({ api }: OverlayHost): Promise<void> {
  const { status, body } = await api.release();
  assert.deepEqual([status, body.trim()], [200, "released: this host follows etcd again"]);
}
