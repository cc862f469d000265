/** When a host publishes the revision that it has applied. */
import assert from "node:assert/strict";
import { delay } from "../../services/common/async.ts";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { until } from "../lab/until.ts";

/**
 * The revision that a host has published as applied to a network: that of the newest change of its endpoints. The store's newest
 * revision may be that of a publication, which no host tells, so a change is told by what is above the revision from before it.
 */
async function told({ kv }: OverlayLab, network: string, host: string): Promise<number> {
  return Number(JSON.parse(await kv.get(`/sc-net/strand/applied/${network}/${host}`) ?? "{}").revision);
}

/** Hosts tell what no other waits for after two seconds, of which a part may be over when a try begins; in ms. */
const SOON = 1000;

/**
 * Does `work` until it has taken less than {@link SOON} from its call of `begin` on. Where it has not, the machine must have been
 * busy: while etcd, the agents and the kernel's one lock for devices answer within a fifth of that, and this thread is not held
 * up for longer either, what hosts are to tell at once is never late.
 */
async function soon(
  { kv, hosts }: OverlayLab,
  work: (begin: () => void) => Promise<void>,
): Promise<void> {
  for (const tries: string[] = [];;) {
    let began = performance.now(), over = false, slowest = 0;
    const done = work(() => began = performance.now()).finally(() => over = true);
    const requests = [
      () => kv.write({ "/strand-test": `${began}` }),
      ...hosts.map(({ api }) => () => api.status("/readyz")),
      // It changes nothing, and waits for that lock as what attaches an endpoint does.
      ...hosts.map(({ host }) => () => host.run(["ip", "link", "set", "lo", "up"])),
    ];
    await Promise.all([
      done,
      ...requests.map(async (request) => {
        while (!over) {
          const sent = performance.now();
          await request();
          await delay(50);
          slowest = Math.max(slowest, performance.now() - sent - 50);
        }
      }),
    ]);
    const took = Math.round(performance.now() - began);
    if (took < SOON) return;
    tries.push(`${took} ms, with answers of up to ${Math.round(slowest)} ms`);
    assert.ok(slowest > SOON / 5, `${tries.at(-1)}`);
    assert.ok(tries.length < 10, `never in time: ${tries.join("; ")}`);
  }
}

Deno.test("hosts publish what they have carried out", async (t) => {
  await using lab = await OverlayLab.started();
  const [h1, h2] = [lab.host(1), lab.host(2)];

  await t.step(
    "what a host has carried out of its own endpoints alone is told once for many of them",
    async () => {
      const { id } = await h1.api.createNetwork();
      await h1.attach(id);
      const containers = [];
      for (let i = 0; i < 12; i++) containers.push(await h1.container());
      const before = await lab.kv.revision(), began = performance.now();
      let beforeLast = before;
      for (const container of containers) {
        beforeLast = await lab.kv.revision();
        await h1.attach(id, { container });
      }
      const after = await lab.kv.revision();
      // It tells every other second, so more often on a machine that takes longer.
      const most = 18 + (performance.now() - began) / 2000;
      assert.ok(after - before <= most, `${after - before} revisions for 12 endpoints, ${most} at most`);
      await until("all of it is told", async (see) => see(await told(lab, id, "h1")) > beforeLast);
    },
  );

  await t.step(
    "what hosts have carried out of machines behind another host's ports is told once for many",
    async () => {
      const { id } = await h1.api.createNetwork();
      const { endpoint } = await h1.attach(id);
      await h2.attach(id, { wait: "20s" });
      await lab.probesTold();
      const known = JSON.parse(await lab.kv.get(`/sc-net/network-endpoints/${id}/${endpoint.id}`) ?? "{}");
      const [, range, prefix] = /^(.*\.)\d+\/(\d+)$/.exec(known.target_veth_ip) ?? [];
      const leased = (i: number) => {
        const machine = `00000000-0000-4000-8000-${`${i}`.padStart(12, "0")}`, address = `${range}${100 + i}`;
        const record = JSON.stringify({
          ...known,
          ...{ id: machine, hostname: "h9", host_ip: "10.99.0.99", kind: "dhcp" },
          ...{ target_netns_path: "", overlay_veth_name: "", target_veth_mac: `52:54:00:00:00:${i + 10}` },
          ...{ target_veth_ip: `${address}/${prefix}`, expires_at: "2999-01-01T00:00:00Z" },
        });
        const keys = [`/sc-net/node-endpoints/h9/${machine}`, `/sc-net/network-endpoints/${id}/${machine}`];
        return { address, records: Object.fromEntries(keys.map((key) => [key, record])) };
      };
      const before = await lab.kv.revision(), began = performance.now();
      for (let i = 0; i < 12; i++) {
        const { address, records } = leased(i);
        await lab.kv.write(records);
        for (const host of [h1, h2]) {
          await until(`${host.name} has ${address}`, async (see) => {
            const entry = ["nsenter", `--net=${host.namespaceOf(id)}`, "ip", "neigh", "show", address];
            return see((await run(entry)).stdout).includes("PERMANENT");
          });
        }
      }
      const after = await lab.kv.revision();
      const most = 12 + 2 * (1 + (performance.now() - began) / 2000);
      assert.ok(after - before <= most, `${after - before} revisions for 12 leases, ${most} at most`);
      for (const { name } of [h1, h2]) {
        await until(
          `${name} has told all of it`,
          async (see) => see(await told(lab, id, name)) >= before + 12,
        );
      }
    },
  );

  await t.step("where a host waits for the others, each tells at once what it has carried out", async () => {
    const { id } = await h1.api.createNetwork();
    await h1.attach(id);
    await h2.attach(id, { wait: "20s" });
    for (const host of [h1, h2, h1]) {
      await soon(lab, async (begin) => {
        // The silence of an earlier try would end in this one.
        await host.attach(id, { wait: "20s" });
        begin();
        // Before the next one is made, which is waited for, this one is not told of yet.
        await host.attach(id);
        await host.attach(id, { wait: "20s" });
      });
    }
  });

  await t.step("an agent that ends tells first what it has carried out", async () => {
    const { id } = await h1.api.createNetwork();
    await h1.attach(id);
    const before = await lab.kv.revision();
    await h1.attach(id);
    await h1.stop();
    assert.ok(await told(lab, id, "h1") > before);
    await h1.start();
  });

  await t.step(
    "what others deleted while a host was away counts as carried out once it is back",
    async () => {
      const { id } = await h1.api.createNetwork();
      await h1.attach(id);
      const { endpoint } = await h2.attach(id, { wait: "20s" });
      await h2.attach(id, { wait: "20s" });
      const hasTold = (host: OverlayHost, before: number) =>
        until(`${host.name} has told that`, async (see) => see(await told(lab, id, host.name)) > before);
      await h1.stop();
      const before = await lab.kv.revision();
      await h2.api.deleteEndpoint(endpoint.id);
      await hasTold(h2, before);
      await h1.start();
      await hasTold(h1, before);
      // Also what another host tells only when this one is back.
      await h1.kill();
      const { endpoint: another } = await h2.attach(id);
      const later = await lab.kv.revision();
      await h2.api.deleteEndpoint(another.id);
      await h1.start();
      await Promise.all([h1, h2].map((host) => hasTold(host, later)));
    },
  );
});
