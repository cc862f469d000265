/** Crashes: an agent is killed at each of its failpoints, and after a restart completes or undoes the step. */
import assert from "node:assert/strict";
import { type Failpoint, failpoints } from "../../services/agent/failpoints.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { ApiError } from "../lab/overlay_api.ts";
import { reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

/** Refused because it is gone, or not answered: an agent that was killed may have done it or not. */
function mayBeGone(error: unknown): void {
  if (error instanceof ApiError && error.status !== 404) throw error;
}

/** All that an agent does, on h1, with h2 on the other side of it; what fails is left as it is. */
async function life(lab: OverlayLab, id: string): Promise<void> {
  const [h1, h2] = [lab.host(1), lab.host(2)];
  const container = await h1.container();
  await h1.api.createNetwork({ id });
  const a = await h1.attach(id, { container });
  // Where h1 dies of it, this is waited for in vain.
  const b = await h2.attach(id, { wait: "5s" });
  await h2.api.deleteEndpoint(b.endpoint.id);
  const c = await h1.attach(id, { container });
  await h1.api.deleteEndpoint(c.endpoint.id);
  await h1.api.deleteEndpoint(a.endpoint.id);
  await h1.api.deleteNetwork(id);
}

/** The same once more after the agent is back, to its end. */
async function end(lab: OverlayLab, id: string): Promise<void> {
  const [h1, h2] = [lab.host(1), lab.host(2)];
  await h1.api.createNetwork({ id }).catch((error) => assert.match(error.message, /409/));
  const a = await h1.attach(id), b = await h2.attach(id, { wait: "20s" });
  await reaches(a.container, b.address);
  await lab.agree();
  for (const host of [h1, h2]) {
    for (const endpoint of await host.api.endpoints({ network_id: id, hostname: host.name })) {
      await host.api.deleteEndpoint(endpoint.id);
    }
  }
  await h2.api.deleteNetwork(id);
}

/** Removes the containers of a life that is over: each comparison would look at all of them again. */
async function sweep(lab: OverlayLab): Promise<void> {
  for (const host of lab.hosts) {
    for (const container of [...host.containers]) await host.removeContainer(container);
  }
}

Deno.test("an agent that dies at any step of its work goes on as if it had not", async (t) => {
  await using lab = await OverlayLab.create();
  const [h1, h2] = [lab.host(1), lab.host(2)];
  await h2.start();
  // The agent that came back for one place is the one that dies at the next.
  const place = `${h1.directory}/failpoint`;
  const start = async () => {
    await Deno.writeTextFile(place, "");
    await h1.start({ STRAND_FAILPOINT: place });
  };
  const dies = async (name: Failpoint) => {
    if (!h1.running) await start();
    await Deno.writeTextFile(place, name);
    const id = crypto.randomUUID();
    const working = life(lab, id).catch(mayBeGone);
    await until(`the agent dies at ${name}`, () => !h1.running);
    await working;
    await start();
    await lab.agree();
    await end(lab, id);
    await lab.agree();
    await sweep(lab);
    assert.deepEqual(
      [...(await lab.kv.under("/sc-net/")).keys()],
      [],
    );
  };
  for (const name of failpoints) {
    await t.step(name, () =>
      dies(name).catch(async (error) => {
        await h1.kill();
        throw error;
      }));
  }
});
