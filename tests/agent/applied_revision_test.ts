/** When a host publishes the revision that it has applied. */
import assert from "node:assert/strict";
import { OverlayLab } from "../lab/overlay.ts";
import { until } from "../lab/until.ts";

/** The revision that a host has published as applied to a network. */
async function told({ kv }: OverlayLab, network: string, host: string): Promise<number> {
  return Number(JSON.parse(await kv.get(`/sc-net/strand/applied/${network}/${host}`) ?? "{}").revision);
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
      for (const container of containers) await h1.attach(id, { container });
      const after = await lab.kv.revision();
      // It tells every other second, so more often on a machine that takes longer.
      const most = 18 + (performance.now() - began) / 2000;
      assert.ok(after - before <= most, `${after - before} revisions for 12 endpoints, ${most} at most`);
      await until("all of it is told", async (see) => see(await told(lab, id, "h1")) >= after);
    },
  );

  await t.step("where a host waits for the others, each tells at once what it has carried out", async () => {
    const { id } = await h1.api.createNetwork();
    await h1.attach(id);
    await h2.attach(id, { wait: "20s" });
    for (const host of [h1, h2, h1]) {
      // A busy machine makes one try take longer, a fault each of them: what nobody waits for is told after two seconds.
      let endpoint: object = {};
      for (let tries = 0; tries < 5; tries++) {
        // Before the next one is made, which is waited for, this one is not told of yet.
        await host.attach(id);
        ({ endpoint } = await host.attach(id, { wait: "1500ms" }));
        if (!("pending_hosts" in endpoint)) break;
      }
      assert.ok(!("pending_hosts" in endpoint), JSON.stringify(endpoint));
    }
  });

  await t.step("an agent that ends tells first what it has carried out", async () => {
    const { id } = await h1.api.createNetwork();
    await h1.attach(id);
    await h1.attach(id);
    const revision = await lab.kv.revision();
    await h1.stop();
    assert.ok(await told(lab, id, "h1") >= revision);
  });
});
