/** What others change in the kernel between two periodic checks, as the agent's own tables and `ip` show it. */
import assert from "node:assert/strict";
import { run } from "../lab/host.ts";
import { at } from "../networks/attached.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { until } from "../lab/until.ts";

Deno.test("changes in a network's namespace, by others and by the agent itself", async (t) => {
  // No periodic check comes while it runs.
  await using lab = await OverlayLab.started({ env: { STRAND_AGENT_CHECK_EVERY: "3600" } });
  const [h1, h2] = [lab.host(1), lab.host(2)];

  /** Waits until there was no comparison for a while. */
  const settled = async () => {
    let last = "", since = performance.now();
    await until("no network is compared any more", async (see) => {
      const now = see(`${await comparisons(h1)} ${await comparisons(h2)}`);
      if (now !== last) since = performance.now();
      last = now;
      return performance.now() - since > 2500;
    });
  };

  await t.step("what the agent changes itself is not looked at again", async () => {
    const { id } = await h1.api.createNetwork({});
    await Promise.all([h1.attach(id), h2.attach(id)]);
    await lab.agree();
    await settled();
    const before = [await comparisons(h1), await comparisons(h2)];
    for (let i = 0; i < 5; i++) {
      const made = await Promise.all([h1.attach(id), h2.attach(id), h2.attach(id)]);
      await h1.api.deleteEndpoint(made[0].endpoint.id);
      await h2.api.deleteEndpoint(made[1].endpoint.id);
    }
    await lab.agree();
    await settled();
    assert.deepEqual([await comparisons(h1), await comparisons(h2)], before);
    assert.deepEqual([await repaired(h1), await repaired(h2)], [0, 0]);
  });

  await lab.clear();
  await t.step(
    "an FDB entry that another program removes as soon as the agent has set it comes back",
    async () => {
      const { id } = await h1.api.createNetwork({ ip_range: "10.0.0.0/24" });
      await h1.attach(id);
      for (let last = 100; last < 120; last++) {
        const mac = `02:84:0a:00:00:${last.toString(16)}`;
        const remove = `until bridge fdb del ${mac} dev vxlan0 dst ${h2.ip} 2>/dev/null; do :; done`;
        const removed = run(["nsenter", `--net=${h1.namespaceOf(id)}`, "sh", "-c", remove]);
        await h2.attach(id, { ipv4_address: `10.0.0.${last}`, mac_address: mac });
        await removed;
        await lab.agree();
      }
    },
  );

  await lab.clear();
  await t.step(
    "requests outlast another program that removes br0 as often as the agent makes it",
    async () => {
      const { id } = await h1.api.createNetwork({ name: "blue", ip_range: "10.0.0.0/24" });
      await h1.attach(id);
      const during = async <T>(request: () => Promise<T>) => {
        const remove = "while :; do ip link del br0 2>/dev/null; done";
        const removing = run(
          ["nsenter", `--net=${h1.namespaceOf(id)}`, "timeout", "0.4", "sh", "-c", remove],
          { mayFail: true },
        );
        return await request().finally(() => removing);
      };
      for (let i = 0; i < 5; i++) await during(() => h1.attach(id));
      const { endpoint } = await h1.attach(id);
      await during(() => h1.api.deleteEndpoint(endpoint.id));
      await lab.agree();
      await h1.host.run(["ip", "link", "add", "vm0", "type", "veth", "peer", "name", "vm0-peer"]);
      const attached = await during(() => at(h1, "attach", "blue", "--device", "vm0"));
      assert.deepEqual(attached, [0, "device vm0 attached: a port of blue\n", ""]);
      assert.equal((await at(h1, "detach", "blue", "--device", "vm0"))[0], 0);
      await h1.host.run(["ip", "link", "del", "vm0"]);
    },
  );

  await lab.clear();
  await t.step("what others change is mended and counted within a second", async (t) => {
    const { id } = await h1.api.createNetwork({});
    const [near, far] = [await h1.attach(id), await h2.attach(id)];
    await lab.agree();
    // What another comparison finds first is not counted as others' change.
    await settled();
    const veth = near.endpoint.overlay_veth_name, inside = near.endpoint.target_veth_name;
    const mac = far.endpoint.target_veth_mac, namespace = h1.namespaceOf(id);
    const within = (...command: string[]) => run(["nsenter", `--net=${namespace}`, ...command]);
    const drifts: Record<string, () => Promise<unknown>> = {
      "an FDB entry removed": () => within("bridge", "fdb", "del", mac, "dev", "vxlan0", "dst", h2.ip),
      "an FDB entry moved": () =>
        within("bridge", "fdb", "replace", mac, "dev", "vxlan0", "dst", "10.99.0.99"),
      "an ARP entry removed": () => within("ip", "neigh", "del", far.address, "dev", "vxlan0"),
      "a foreign ARP entry": () =>
        within("ip", "neigh", "add", "10.0.0.77", "lladdr", "02:00:00:00:00:77", "dev", "vxlan0"),
      "flooding": () =>
        within("bridge", "fdb", "append", "00:00:00:00:00:00", "dev", "vxlan0", "dst", "10.99.0.99"),
      "learning switched on": () => within("ip", "link", "set", "vxlan0", "type", "vxlan", "learning"),
      "vxlan0 down": () => within("ip", "link", "set", "vxlan0", "down"),
      "vxlan0 deleted": () => within("ip", "link", "del", "vxlan0"),
      "the bridge's MTU": () => within("ip", "link", "set", "br0", "mtu", "1300"),
      "the gateway's address removed": () =>
        within("ip", "address", "flush", "dev", "br0", "scope", "global"),
      "a port out of the bridge": () => within("ip", "link", "set", veth, "nomaster"),
      "a container's interface down": () => near.container.run(["ip", "link", "set", inside, "down"]),
      "a container's interface deleted": () => near.container.run(["ip", "link", "del", inside]),
      // As `ip netns delete` does it: without --lazy it would be refused while the agent has the path open.
      "the namespace removed": () => run(["umount", "--lazy", namespace]).then(() => Deno.remove(namespace)),
    };
    for (const [what, act] of Object.entries(drifts)) {
      await t.step(what, async () => {
        const before = await repaired(h1);
        await act();
        await until("it is counted", async (see) => see(await repaired(h1)) > before);
        await lab.agree();
        assert.ok((await lab.differences()).length === 0);
      });
    }
    await t.step(
      "vxlan0 moved away, where it keeps the VNI: what took several tries is counted too",
      async () => {
        const before = await repaired(h1);
        await within("ip", "link", "set", "vxlan0", "netns", h1.host.netns, "name", "away0");
        await until(
          "the repair fails",
          async (see) => /is taken/.test(see(await h1.api.status("/readyz")).body),
        );
        assert.equal(await repaired(h1), before);
        await h1.host.run(["ip", "link", "del", "away0"]);
        await until("it is counted", async (see) => see(await repaired(h1)) > before);
        await lab.agree();
      },
    );
  });

  await t.step("what was mended is published by network, and goes with the agent", async () => {
    const key = `/sc-net/strand/repairs/${h1.name}`;
    // It is published once in half a minute, so that it may be behind.
    await until("it is published", async (see) => {
      const { networks = [] } = JSON.parse(see(await lab.kv.get(key)) ?? "{}");
      return networks.some(({ times, ops }: { times: number; ops: Record<string, number> }) =>
        times > 0 && Object.keys(ops).some((op) => /^(fdb|arp)-/.test(op))
      );
    });
    await h1.stop();
    await until("it is gone", async (see) => see(await lab.kv.get(key)) === undefined);
  });
});

/** Differences that were found and mended. */
function repaired(host: OverlayHost): Promise<number> {
  return metric(host, /^agent_drift_repaired_total\{.*\} (\d+)$/gm);
}

/** How often all of a network was compared with the kernel. */
function comparisons(host: OverlayHost): Promise<number> {
  return metric(host, /^agent_reconcile_seconds_count\{.*kind="all".*\} (\d+)$/gm);
}

async function metric(host: OverlayHost, pattern: RegExp): Promise<number> {
  const { body: text } = await host.api.status("/metrics");
  return [...text.matchAll(pattern)].reduce((sum, [, value]) => sum + Number(value), 0);
}
