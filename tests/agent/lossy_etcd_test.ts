/** An etcd whose events arrive while requests to it are lost: what an agent does then, and what it reports. */
import assert from "node:assert/strict";
import { OverlayLab } from "../lab/overlay.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { until } from "../lab/until.ts";

/** What etcd tells arrives and is acknowledged, but no question gets out: acknowledgements are short. */
async function lossy(host: OverlayHost, verb: "-I" | "-D"): Promise<void> {
  const questions = ["-p", "tcp", "--dport", "2379", "-m", "length", "--length", "61:"];
  await host.host.run(["iptables", verb, "OUTPUT", ...questions, "-j", "DROP"]);
}

/**
 * Questions are lost from then on, and what the change makes etcd tell arrives: it waits in the agent's socket. An agent that hears
 * nothing for some seconds would have closed its connection before.
 */
async function loseAfter(host: OverlayHost, change: () => Promise<unknown>): Promise<void> {
  host.agent.signal("SIGSTOP");
  try {
    await change();
    await lossy(host, "-I");
  } finally {
    host.agent.signal("SIGCONT");
  }
}

Deno.test("questions to etcd that are lost", async (t) => {
  await using lab = await OverlayLab.started({ env: { STRAND_LOG_LEVEL: "debug" } });
  const h1 = lab.host(1);

  await t.step(
    "an endpoint that was deleted is removed as soon as etcd can be asked again, and until then that is what is said",
    async () => {
      const { id } = await h1.api.createNetwork({ name: "lossy" });
      const { container, endpoint, address } = await h1.attach(id);
      await h1.attach(id);
      await lab.agree();
      const addresses = async () => (await container.run(["ip", "-4", "address"])).stdout;
      assert.ok((await addresses()).includes(address));

      await loseAfter(h1, () => lab.host(2).api.deleteEndpoint(endpoint.id, { force: true }));
      const readyz = async () => (await h1.api.status("/readyz")).body;
      await until("it says so", async (see) => see(await readyz()).includes("could not be removed"));
      assert.ok(!(await readyz()).includes("set up"), await readyz());
      assert.ok((await addresses()).includes(address), "etcd's word is waited for");
      await until(
        "etcd is known to be away",
        async () => (await readyz()).includes("cannot be followed"),
      );

      await lossy(h1, "-D");
      await until("it is removed", async () => !(await addresses()).includes(address));
      await lab.agree();
    },
  );

  await lab.clear();
  await t.step(
    "an endpoint of a network that is new to its host is made as soon as etcd can be asked again",
    async () => {
      const { id } = await h1.api.createNetwork({ name: "late" });
      await lab.host(2).attach(id);
      const { container, endpoint, address } = await h1.attach(id);
      const before = await lab.kv.under("/sc-net/");
      await h1.api.deleteEndpoint(endpoint.id);
      await lab.agree();
      const after = await lab.kv.under("/sc-net/");
      const undeleted = [...before].filter(([key, value]) => after.get(key) !== value);

      await loseAfter(h1, () => lab.kv.write(Object.fromEntries(undeleted)));
      await h1.agent.line(/delayed until etcd is back/);
      await lossy(h1, "-D");
      const addresses = async () => (await container.run(["ip", "-4", "address"])).stdout;
      await until("it is made", async (see) => see(await addresses()).includes(address));
      await lab.agree();
    },
  );

  await t.step("a network that another host has just made is found by its name", async () => {
    const answers = ["INPUT", "-p", "tcp", "--sport", "2379", "-j", "DROP"];
    await h1.host.run(["iptables", "-I", ...answers]);
    const { id } = await lab.host(2).api.createNetwork({ name: "new" });
    const found = h1.api.networks({ name: "new" });
    // What etcd has sent comes again a moment later, as TCP does it.
    await h1.host.run(["iptables", "-D", ...answers]);
    assert.deepEqual((await found).map((network) => network.id), [id]);
  });
});
