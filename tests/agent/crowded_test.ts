/** An agent whose host has many endpoints of one network. */
import assert from "node:assert/strict";
import { OverlayLab } from "../lab/overlay.ts";
import { pings, SteadyPing } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

Deno.test("from 128 endpoints on an agent's bridge answers ARP itself, for later ones too, and no longer when they are gone", async () => {
  await using lab = await OverlayLab.started();
  const [h1, h2] = [lab.host(1), lab.host(2)];
  const { id } = await h1.api.createNetwork({ name: "blue", ip_range: "10.0.0.0/16" });
  const there = await h2.attach(id), first = await h1.attach(id), container = await h1.container();
  await container.run(["sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
  const neighbours = async () => {
    const { stdout } = await h1.host.run([
      ...["nsenter", `--net=${h1.namespaceOf(id)}`],
      ...["ip", "-j", "neigh", "show", "dev", "br0", "nud", "permanent"],
    ]);
    return new Set((JSON.parse(stdout || "[]") as { dst: string }[]).map(({ dst }) => dst));
  };
  await using ping = new SteadyPing(first.container, there.address);
  await ping.flowing();
  const more = (count: number) =>
    Promise.all(Array.from({ length: count }, () => h1.attach(id, { container })));
  const many = await more(126);
  assert.deepEqual(await neighbours(), new Set());
  const last = await h1.attach(id);
  await until("br0 answers for all", async (see) => see(await neighbours()).size === 130);
  const later = await h2.attach(id), here = await h1.attach(id);
  await until("br0 answers for later ones", async () => {
    const found = await neighbours();
    return [there, later, here, last].every(({ address }) => found.has(address)) && found.has("10.0.0.1");
  });
  for (const { address } of [later, here, there]) assert.ok(await pings(last.container, address), address);
  await lab.agree();
  await h2.api.deleteEndpoint(later.endpoint.id);
  await until("br0 answers for it no longer", async () => !(await neighbours()).has(later.address));
  for (let i = 0; i < many.length; i += 16) {
    await Promise.all(many.slice(i, i + 16).map(({ endpoint }) => h1.api.deleteEndpoint(endpoint.id)));
  }
  await until("br0 answers for none", async (see) => see(await neighbours()).size === 0);
  assert.ok(await pings(last.container, here.address));
  await lab.agree();
  await ping.noneLost(10);
});
