/** Hosts of SAND's Go agents that are taken over one by one, without losing a ping. */
import assert from "node:assert/strict";
import { OverlayLab } from "../lab/overlay.ts";
import type { ApiEndpoint } from "../lab/overlay_api.ts";
import { readKernel } from "../lab/overlay_kernel.ts";
import { decodeBits } from "../lab/overlay_store.ts";
import { leftByGoAgents, printedKernel } from "../lab/overlay_takeover.ts";
import { pings, reaches, SteadyPing } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

/** The fixture's fault that no agent may repair: the address of an endpoint that is active was given twice. */
const duplicate = /(address 10\.0\.0\.2|MAC 02:84:0a:00:00:02) is there twice$/;

Deno.test("hosts of Go agents are taken over one by one, and no ping between their containers is lost", async () => {
  // Jumbo frames fit, but Go agents' networks have 1450, which must stay.
  await using lab = await OverlayLab.create({ mtu: 9000, env: { STRAND_AGENT_ADDRESS_GRACE: "2" } });
  const { records, network, container } = await leftByGoAgents(lab);
  const [h1, h2] = [lab.host(1), lab.host(2)];
  await using web = new SteadyPing(container("h1-web"), "10.0.0.3");
  await using wide = new SteadyPing(container("h2-wide"), "10.8.1.5");
  await web.flowing();
  await wide.flowing();
  assert.ok(!(await pings(container("h2-far"), "10.0.0.3")));
  const { devices } = await readKernel(h1.namespaceOf(network("web").id));
  assert.equal(devices.get("vxlan0")?.data["learning"], true);
  const untouched = await printedKernel(lab, 2);

  const differences = async (...hosts: (typeof h1)[]) =>
    (await lab.differences(hosts, 1450)).filter((line) => !duplicate.test(line));
  const claims = (line: string) => / bit \d+ is /.test(line);
  await h1.start();
  await until(
    "h1 is as the store says",
    async () => (await differences(h1)).filter((l) => !claims(l)).length === 0,
  );
  assert.equal(await printedKernel(lab, 2), untouched, "the other host's Go agent has what it had");

  // What the host with the Go agent still has is waited for.
  const vniLock = "/etcd-lock/vni-idgen/694d7a1f",
    claimLock = `/etcd-lock/ipalloc-lock/${network("far").id}/694d7a20`;
  await lab.kv.write({ [vniLock]: "", [claimLock]: "" });
  const far = await h1.container("far");
  let created = 0;
  const count = <T>(value: T) => (created++, value);
  const newNetwork = h1.api.createNetwork({ name: "new" }).then(count);
  const newEndpoint = h1.api.createEndpoint(network("far").id, { netns: far.path }).then(count);
  await new Promise((resolve) => setTimeout(resolve, 700));
  assert.equal(created, 0, "nothing is made while an old agent holds its lock");
  await lab.kv.write({ [vniLock]: undefined });
  assert.equal((await newNetwork).vxlan_vni, 3);
  await lab.kv.write({ [claimLock]: undefined });
  assert.equal((await newEndpoint).target_veth_ip, "10.0.0.3/24");
  const vxlan = (await readKernel(h1.namespaceOf(network("far").id))).devices.get("vxlan0");
  assert.equal(vxlan?.mtu, 1450, "a host with a Go agent has the network too");

  // The record of a network that a Go agent still has stays until that lets it go.
  const idle = network(`net-sc-e1a2b3c4-d5e6-4f70-8a9b-0c1d2e3f4a5b`).id;
  const presence = `/sc-net/nodes-networks/${idle}/h2`;
  await lab.kv.write({ [presence]: JSON.stringify({ id: idle, created_at: "2020-03-01T00:00:00Z" }) });
  await until(
    "h1 knows",
    async () => (await h1.api.request({ method: "DELETE", path: `/networks/${idle}` })).status === 204,
  );
  assert.notEqual(await lab.kv.get(`/sc-net/network/${idle}`), undefined);
  await lab.kv.write({ [presence]: undefined });
  await until("the deleted network is gone", async () => !(await lab.kv.get(`/sc-net/network/${idle}`)));

  await h2.start();
  await until(
    "both hosts are as the store says, and the claims are right",
    async () => (await differences(h1, h2)).length === 0,
  );
  await reaches(far, "10.0.0.2");
  await web.noneLost(200);
  await wide.noneLost(200);

  const after = await lab.kv.under("/sc-net/");
  for (const [key, value] of records) {
    if (key.startsWith("/sc-net/ipalloc/") || key.includes(idle)) continue;
    // What an agent of ours adds to a host's own keys stands behind what was there.
    const now = after.get(key) ?? "";
    if (/^.sc-net.nodes/.test(key)) assert.ok(now.startsWith(value.slice(0, -1)), `${key}: ${now}`);
    else assert.equal(now, value, key);
  }
  const bits = JSON.parse(after.get(`/sc-net/ipalloc/${network("wide").id}`) ?? "") as { bit_set: string };
  assert.deepEqual(decodeBits(bits.bit_set), { length: 4096, set: [0, 1, 256 + 5, 512 + 9, 4095] });

  // A record that is written again keeps what only others know.
  const mine = [...records].find(([key]) => key.startsWith("/sc-net/node-endpoints/h1/"));
  const endpoint = JSON.parse(mine?.[1] ?? "") as ApiEndpoint & { labels: unknown };
  await h1.stop();
  await h1.removeContainer(container("h1-web"));
  await h1.start();
  await until("an endpoint whose namespace is gone is inactive", async () => {
    const text = await lab.kv.get(mine?.[0] ?? "");
    const now = JSON.parse(text ?? "{}") as typeof endpoint;
    if (now.active) return false;
    assert.deepEqual([now.created_at, now.labels], [endpoint.created_at, endpoint.labels]);
    return true;
  });
});
