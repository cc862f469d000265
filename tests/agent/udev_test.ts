/** Links beside udev: systemd.link(5) gives a link another MAC unless it was made with one. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { pings } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

const UDEVD = "/lib/systemd/systemd-udevd";

/** NET_ADDR_SET of linux/netdevice.h: the link was given its MAC, and udev leaves it alone. */
const SET = "3";

interface LinkSeen {
  readonly name: string;
  readonly assigned: string;
  readonly mac: string;
  readonly index: string;
}

/** The links of a namespace that the lab has not made itself. */
async function linksIn(path: string): Promise<LinkSeen[]> {
  const script = 'mount -t sysfs none /sys && cd /sys/class/net && for name in *; do echo "$name" ' +
    "$(cat $name/addr_assign_type $name/address $name/ifindex); done";
  const { stdout } = await run(["nsenter", `--net=${path}`, "unshare", "--mount", "sh", "-c", script]);
  return stdout.trim().split("\n").map((line) => line.split(" "))
    .map(([name = "", assigned = "", mac = "", index = ""]) => ({ name, assigned, mac, index }))
    .filter(({ name }) => !["lo", "eth0"].includes(name) && !name.startsWith("probe"));
}

/** An endpoint with every kind of link: a route of the host's to it, and an end in the host's namespace. */
function attach(
  host: OverlayHost,
  network: string,
  container: Awaited<ReturnType<OverlayHost["container"]>>,
) {
  return host.attachAs(network, container, { hostRoute: true, hostVeth: true });
}

Deno.test("every link of a network is made with its MAC", async () => {
  await using lab = await OverlayLab.started({ hosts: 1 });
  const h1 = lab.host(1), { id } = await h1.api.createNetwork({ name: "blue" });
  const plain = await h1.attach(id), full = await attach(h1, id, await h1.container());
  const seen = await Promise.all(
    [h1.namespaceOf(id), h1.host.path, plain.container.path, full.container.path].map(linksIn),
  );
  const kinds = seen.map((links) =>
    links.map(({ name }) => name.replace(/^sand[\da-f]{4}$/, "veth").replace(/^(sand[ch]).+/, "$1")).sort()
  );
  const overlay = ["br0", "host0", "veth", "veth", "vxlan0"];
  assert.deepEqual(kinds, [overlay, ["sandc", "sandh"], ["veth"], ["net2"]]);
  assert.deepEqual(seen.flat().filter(({ assigned }) => assigned !== SET), []);
});

Deno.test({
  name: "with systemd-udevd on the host its containers are reached at once, ten times of ten",
  ignore: !existsSync(UDEVD),
  async fn() {
    await using lab = await OverlayLab.started({ hosts: 1 });
    const h1 = lab.host(1);
    // `ip netns exec` gives it a mount namespace of its own, and the kernel the events of this host's links alone.
    const udevd = h1.host.spawn(["sh", "-c", `mount -t tmpfs none /run && exec ${UDEVD}`]);
    const handled = (index: string) => existsSync(`/proc/${udevd.pid}/root/run/udev/data/n${index}`);
    await until("udevd gives a link without a MAC another one", async () => {
      await h1.host.run(["ip", "link", "del", "probe0"], { mayFail: true });
      await h1.host.run(["ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"]);
      const read = () => h1.host.run(["cat", "/sys/class/net/probe0/addr_assign_type"]);
      for (let tries = 0; tries < 50; tries++) if ((await read()).stdout.trim() === SET) return true;
      return false;
    });
    for (let round = 0; round < 10; round++) {
      const { id } = await h1.api.createNetwork({ name: `blue${round}`, ip_range: `10.${round}.0.0/24` });
      const { container, endpoint, address } = await attach(h1, id, await h1.container());
      await container.run(["ip", "route", "add", "default", "via", `10.${round}.0.1`]);
      const before = await linksIn(h1.host.path);
      await until(
        "udevd has seen the links",
        async () => (await linksIn(h1.host.path)).every(({ index }) => handled(index)),
      );
      assert.deepEqual(await linksIn(h1.host.path), before);
      assert.ok(await pings(h1.host, address), `${address} of round ${round}`);
      assert.ok(await pings(container, h1.ip), `from ${address} of round ${round}`);
      await h1.api.deleteEndpoint(endpoint.id);
    }
  },
});
