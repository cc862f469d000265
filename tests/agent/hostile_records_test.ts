/** Records that no API would have written: a hostile host's, or those of another writer of etcd. */
import assert from "node:assert/strict";
import { OverlayLab } from "../lab/overlay.ts";
import type { ApiEndpoint } from "../lab/overlay_api.ts";
import { run } from "../lab/host.ts";
import { reaches, SteadyPing } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

Deno.test("a hostile record does nothing to this host, is told by its key, and everything else goes on", async (t) => {
  // Each is met by several comparisons, and told once.
  await using lab = await OverlayLab.started({ env: { STRAND_AGENT_CHECK_EVERY: "1" } });
  const [h1, h2] = [lab.host(1), lab.host(2)];
  const { id } = await h1.api.createNetwork({ name: "blue" });
  const [a, b] = [await h1.attach(id), await h2.attach(id, { wait: "20s" })];
  await using ping = new SteadyPing(a.container, b.address);
  await ping.flowing();
  const indexOf = async (name: string, netns: string[]) =>
    JSON.parse((await run([...netns, "ip", "-j", "link", "show", name])).stdout)[0].ifindex as number;
  const inNetwork = ["nsenter", `--net=${h1.namespaceOf(id)}`], onHost = h1.host.inside([]);
  const bridge = await indexOf("br0", inNetwork), underlay = await indexOf("eth0", onHost);
  const links = async (netns: string[]) => (await run([...netns, "ip", "-br", "link"])).stdout;
  const hostLinks = await links(onHost);
  const mtu = async () =>
    JSON.parse((await run([...inNetwork, "ip", "-j", "link", "show", "br0"])).stdout)[0].mtu;
  const victim = await h1.container("victim");
  const stored = JSON.parse(
    await lab.kv.get(`/sc-net/node-endpoints/h1/${a.endpoint.id}`) ?? "",
  ) as ApiEndpoint;

  /** Both keys of an endpoint of h1 that differs from a good one in these fields. */
  const forged = (fields: Record<string, unknown>) => {
    const forgedId = crypto.randomUUID();
    const record = {
      ...stored,
      id: forgedId,
      overlay_veth_name: "sand0fff",
      overlay_veth_mac: "",
      target_veth_name: "sand0ffe",
      target_netns_path: victim.path,
      strand_netns: undefined,
      target_veth_mac: "02:84:0a:00:00:c8",
      target_veth_ip: "10.0.0.200/24",
      ...fields,
    };
    const keys = [
      `/sc-net/node-endpoints/${record.hostname}/${forgedId}`,
      `/sc-net/network-endpoints/${id}/${forgedId}`,
    ];
    return { id: forgedId, keys, value: JSON.stringify(record) };
  };
  const problems = async () => (await h1.api.status("/readyz")).body;
  const comparisons = async () => {
    const { body } = await h1.api.status("/metrics");
    return Number(/^agent_reconcile_seconds_count\{kind="all"\} (\d+)/m.exec(body)?.[1] ?? 0);
  };
  const unharmed = async () => {
    assert.equal(await indexOf("br0", inNetwork), bridge, "the bridge is the same");
    assert.equal(await indexOf("eth0", onHost), underlay, "the underlay's interface is the same");
    assert.equal(await links(onHost), hostLinks, "nothing was made or removed on the host");
    assert.equal(await mtu(), 1450);
    assert.equal((await links(victim.inside([]))).split("\n").filter(Boolean).length, 1, "only lo");
  };

  const cases: [string, Record<string, unknown>][] = [
    ["a veth that is the bridge", { overlay_veth_name: "br0" }],
    ["an interface with a path for a name", { target_veth_name: "../../eth0" }],
    ["the agent's own namespace, by its file", { target_netns_path: h1.host.path }],
    ["the agent's own namespace, by its process", { target_netns_path: `/proc/${h1.agent.pid}/ns/net` }],
    ["the agent's own namespace, by /proc", { target_netns_path: "/proc/thread-self/ns/net" }],
    ["the network's own namespace", { target_netns_path: h1.namespaceOf(id) }],
    ["the namespace of the probes", { target_netns_path: h1.namespaceOf("strand-probe") }],
    ["the underlay's interface for the host's end", { strand_host_veth: "eth0" }],
    ["a host's end that is another endpoint's", { strand_host_veth: "sandc0001" }],
    ["an address outside the range, with a route on the host", {
      target_veth_ip: "192.0.2.77/24",
      strand_host_route: true,
    }],
    ["the gateway's address", { target_veth_ip: "10.0.0.1/24" }],
    ["a group's MAC", { target_veth_mac: "01:00:5e:00:00:01" }],
    ["the veth of another endpoint", { overlay_veth_name: stored.overlay_veth_name }],
    ["an endpoint elsewhere behind this host's VTEP", { hostname: "h9", host_ip: h1.ip }],
    ["an endpoint elsewhere behind a group", { hostname: "h9", host_ip: "239.1.1.1" }],
  ];
  for (const [what, fields] of cases) {
    await t.step(what, async () => {
      const { keys, value, id: forgedId } = forged(fields);
      await lab.kv.write(Object.fromEntries(keys.map((key) => [key, value])));
      await until(
        `status names ${keys.join(" or ")}`,
        async (see) => see(await problems()).includes(forgedId),
      );
      const before = await comparisons();
      await until("it was compared again", async (see) => see(await comparisons()) > before);
      await unharmed();
      await lab.kv.write(Object.fromEntries(keys.map((key) => [key, undefined])));
      await until("the problem is gone", async () => !(await problems()).includes(forgedId));
      await unharmed();
      const log = () =>
        h1.agent.lines.filter((line) => line.includes(forgedId) && /cannot be read|in etcd is/.test(line));
      await until("the log has it", (see) => see(log()).length > 0);
      assert.ok(log().length <= 2, `one line for each key: ${log().join("\n")}`);
    });
  }

  await t.step("an MTU of 68, and a revision that is not there yet", async () => {
    const keys = [`/sc-net/nodes-networks/${id}/h9`, `/sc-net/strand/applied/${id}/h9`];
    await lab.kv.write({
      [keys[0]!]: JSON.stringify({ id, created_at: stored.created_at, mtu: 68 }),
      [keys[1]!]: JSON.stringify({ revision: 1_000_000_000 }),
    });
    for (const key of keys) {
      await until(`status names ${key}`, async (see) => see(await problems()).includes("not believed"));
    }
    await unharmed();
    await lab.kv.write({ [keys[0]!]: undefined, [keys[1]!]: undefined });
  });

  await t.step("a mark of a deletion beside the living network", async () => {
    await lab.kv.write({
      [`/sc-net/strand/deleted/${id}`]: JSON.stringify({ created_at: stored.created_at }),
    });
    await until("the mark is gone", async () => !(await lab.kv.get(`/sc-net/strand/deleted/${id}`)));
    assert.ok(await lab.kv.get(`/sc-net/network/${id}`));
  });

  await t.step("a network with another's name for an id, and a VNI of 0", async () => {
    const record = await lab.kv.get(`/sc-net/network/${id}`) ?? "";
    const forgedEndpoint = forged({ network_id: "victim" });
    await lab.kv.write({
      [`/sc-net/network/${id}`]: JSON.stringify({ ...JSON.parse(record), vxlan_vni: 0 }),
      "/sc-net/network/victim": JSON.stringify({ ...JSON.parse(record), id: "victim" }),
      [forgedEndpoint.keys[0]!]: forgedEndpoint.value,
    });
    await until(
      "status names it",
      async () => (await problems()).includes(`/sc-net/network/${id} in etcd is not`),
    );
    await unharmed();
    await lab.kv.write({
      [`/sc-net/network/${id}`]: record,
      "/sc-net/network/victim": undefined,
      [forgedEndpoint.keys[0]!]: undefined,
    });
    await until("the problem is gone", async () => !(await problems()).includes("in etcd is not"));
  });

  await t.step(
    "an endpoint goes from a network whose record is refused, and its interface with it",
    async () => {
      const key = `/sc-net/network/${id}`, record = await lab.kv.get(key) ?? "";
      const going = await h1.attach(id, { wait: "20s" });
      const name = going.endpoint.overlay_veth_name;
      await lab.kv.write({ [key]: JSON.stringify({ ...JSON.parse(record), vxlan_vni: 0 }) });
      await until("status names it", async (see) => see(await problems()).includes(`${key} in etcd is not`));
      await assert.rejects(h1.attach(id), /: 400 .*vxlan_vni: 0 is not a VNI/);
      await h1.api.deleteEndpoint(going.endpoint.id);
      const left = await links(inNetwork);
      assert.ok(!left.includes(name) && left.includes(stored.overlay_veth_name), left);
      assert.equal(
        (await links(going.container.inside([]))).split("\n").filter(Boolean).length,
        1,
        "only lo",
      );
      await unharmed();
      await lab.kv.write({ [key]: record });
      await until("the problem is gone", async () => !(await problems()).includes("in etcd is not"));
      await h1.ready();
    },
  );

  await t.step("the records of what runs here become bad: all of it stays, over a restart too", async () => {
    const keys = [`/sc-net/node-endpoints/h1/${stored.id}`, `/sc-net/network-endpoints/${id}/${stored.id}`];
    const good = JSON.stringify(stored), bad = JSON.stringify({ ...stored, overlay_veth_name: "br0" });
    const before = await indexOf(stored.overlay_veth_name, inNetwork);
    await lab.kv.write({ [keys[0]!]: bad, [keys[1]!]: bad });
    await until("status names it", async (see) => see(await problems()).includes(stored.id));
    await h1.stop();
    await h1.start({ STRAND_AGENT_CHECK_EVERY: "1" });
    await until("status names it again", async (see) => see(await problems()).includes(stored.id));
    // The rest of the network goes on meanwhile: here, and with what other hosts have.
    const c = await h1.attach(id), d = await h2.attach(id, { wait: "20s" });
    for (const { address } of [d, b]) await reaches(c.container, address);
    await h1.api.deleteEndpoint(c.endpoint.id);
    const ends = await links(inNetwork);
    assert.ok(ends.includes(stored.overlay_veth_name) && !ends.includes(c.endpoint.overlay_veth_name), ends);
    await lab.kv.write({ [keys[0]!]: good, [keys[1]!]: good });
    await until("the problem is gone", async () => !(await problems()).includes(stored.id));
    await h1.ready();
    assert.equal(
      await indexOf(stored.overlay_veth_name, inNetwork),
      before,
      "the interface was not made again",
    );
  });

  await ping.noneLost(100);
  await lab.agree();
  const metrics = (await h1.api.status("/metrics")).body;
  assert.match(metrics, /^agent_refused_records_total \d/m);
});
