/** Networks apart from what else a host has on VXLAN's usual port and with low VNIs. */
import assert from "node:assert/strict";
import { run } from "../lab/host.ts";
import { ApiError } from "../lab/overlay_api.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { pings, reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

Deno.test("what else is on VXLAN's usual port", async (t) => {
  await using lab = await OverlayLab.create();
  const [h1, h2] = [lab.host(1), lab.host(2)];
  // The other host's agent is told nothing: the network's record says it.
  await Promise.all([
    h1.start({ STRAND_AGENT_VXLAN_PORT: "14789", STRAND_AGENT_MIN_VNI: "70000" }),
    h2.start(),
  ]);

  await t.step(
    "a network is made with the port and the VNIs that are set, and has SAND's port while a host of SAND's is in it",
    async () => {
      // Others' devices on both hosts, as Docker's swarm has them.
      for (const { host } of [h1, h2]) {
        await host.run("ip link add swarm0 up type vxlan external dstport 4789".split(" "));
      }
      const { id, vxlan_vni } = await h1.api.createNetwork({ name: "blue" });
      assert.equal(vxlan_vni, 70_000);
      const [a, b] = [await h1.attach(id), await h2.attach(id, { wait: "20s" })];
      await reaches(a.container, b.address);
      const port = async (host: typeof h1) => {
        const show = ["nsenter", `--net=${host.namespaceOf(id)}`, "ip", "-j", "-d", "link", "show", "vxlan0"];
        // With another port it is another device: ip(8) may find it gone between its own two questions.
        const { stdout } = await host.host.run(show, { mayFail: true });
        return stdout && JSON.parse(stdout)[0]?.linkinfo?.info_data.port;
      };
      assert.deepEqual([await port(h1), await port(h2)], [14_789, 14_789]);
      for (const { host } of [h1, h2]) await host.run(["ip", "link", "del", "swarm0"]);
      await lab.agree();
      const old = [`/sc-net/nodes/go/networks/${id}`, `/sc-net/nodes-networks/${id}/go`];
      const present = JSON.stringify({ id, created_at: "2018-03-01T10:11:12Z" });
      await lab.kv.write(Object.fromEntries(old.map((key) => [key, present])));
      await until("both have SAND's port", async () => await port(h1) === 4789 && await port(h2) === 4789);
      await until("traffic goes over it", () => pings(a.container, b.address));
      await lab.kv.write(Object.fromEntries(old.map((key) => [key, undefined])));
      await until(
        "both have the network's",
        async () => await port(h1) === 14_789 && await port(h2) === 14_789,
      );
      await until("traffic goes over that", () => pings(a.container, b.address));
      await lab.agree();
    },
  );

  await lab.clear();
  await t.step("whose device has the port or the VNI is said, and what is right", async () => {
    const sandbox = await lab.lab.host("sandbox");
    const refusal = async (name: string) => {
      const { id } = await h2.api.createNetwork({ name });
      const error = await h2.attach(id).then(() => undefined, (error) => error);
      await h2.api.deleteNetwork(id);
      assert.ok(error instanceof ApiError && error.status === 409, `${error}`);
      return error.sentence;
    };
    // Docker's swarm makes its devices on the host and puts them into namespaces of its own.
    await h2.host.run("ip link add swarm1 type vxlan id 1 dstport 4789".split(" "));
    await h2.host.run(["ip", "link", "set", "swarm1", "netns", sandbox.netns]);
    assert.match(
      await refusal("blue"),
      new RegExp(
        `VNI 1 on UDP port 4789 is taken by the interface swarm1 in the network namespace ${sandbox.path}: ` +
          "remove that, or create the network again with agent.min-vni above its VNIs, or with another agent.vxlan-port",
      ),
    );
    await sandbox.run(["ip", "link", "del", "swarm1"]);
    // Until the probes' device has gone with the last network, it has the port.
    const ebpf = h2.host.enter("ip link add ebpf0 up type vxlan external dstport 4789".split(" "));
    await until("the port is free", async (see) => see(await run(ebpf, { mayFail: true })).code === 0);
    assert.match(
      await refusal("green"),
      /UDP port 4789, which VXLAN needs, is taken by the interface ebpf0 of this host: end that, or create the network again with/,
    );
  });
});
