/** Random operations and faults on hosts with agents; the kernels must match etcd at the end. */
import { OverlayLab } from "../lab/overlay.ts";
import { Operations } from "../lab/overlay_operations.ts";

/** STRAND_SOAK_SECONDS: how long in all; STRAND_SOAK_SEED: that of an earlier run. */
const seconds = Number(Deno.env.get("STRAND_SOAK_SECONDS") ?? 8);
const seed = Number(Deno.env.get("STRAND_SOAK_SEED") ?? Math.floor(Math.random() * 2 ** 31));
const STRETCH = 8_000;

Deno.test(`after random operations, agents and etcd killed and packets lost, kernels are what etcd says (seed ${seed})`, async () => {
  await using lab = await OverlayLab.started({ hosts: 3, env: { STRAND_AGENT_CHECK_EVERY: "1" } });
  const operations = new Operations(lab, seed);
  const end = performance.now() + seconds * 1000;
  try {
    while (performance.now() < end) {
      await operations.run(Math.min(end, performance.now() + STRETCH));
      await operations.settle();
    }
  } catch (error) {
    for (const host of lab.hosts) console.log(`--- ${host.name}\n${host.agent.tail(40)}`);
    throw error;
  } finally {
    console.log(`seed ${seed}:`, Object.fromEntries([...operations.counts].sort()));
  }
});
