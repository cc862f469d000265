/** Debian's podman 4 with its CNI backend, on two hosts that share a network of ours. */
import assert from "node:assert/strict";
import { curl } from "../lab/curl.ts";
import { OverlayLab } from "../lab/overlay.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { until } from "../lab/until.ts";
import { Podman, runsPodman } from "./podman.ts";
import { Runtime } from "./runtime.ts";

/** Podman on a host of the lab, with the CNI list "lab" of an overlay network. */
async function podmanOn(host: OverlayHost, network: string): Promise<Podman> {
  const runtime = await Runtime.on(host);
  const list = runtime.list(network, "1.0.0", {
    isDefaultGateway: true,
    capabilities: { ips: true, aliases: true },
  }, [{ type: "portmap", capabilities: { portMappings: true } }]);
  const podman = await Podman.on(
    host,
    `network_backend = "cni"
cni_plugin_dirs = [${runtime.path.split(":").map((path) => JSON.stringify(path))}]`,
  );
  await Deno.writeTextFile(`${podman.networks}/lab.conflist`, JSON.stringify(list));
  return podman;
}

Deno.test({
  name:
    "CNI: containers of podman on two hosts reach each other; when they are gone, nothing of them is left",
  ignore: !runsPodman,
  async fn() {
    await using lab = await OverlayLab.started();
    const [h1, h2] = [lab.host(1), lab.host(2)];
    const { id } = await h1.api.createNetwork({ name: "blue" });
    // Which addresses a network gave last is kept as long as the network.
    const keys = async () =>
      [...(await lab.kv.under("/sc-net/")).keys()].filter((key) => !key.startsWith("/sc-net/strand/cursor/"));
    const before = await keys();
    {
      await using p1 = await podmanOn(h1, id);
      await using p2 = await podmanOn(h2, "blue");
      await p1.start("lab", "a", "--publish", "8080:80");
      await p2.start("lab", "b", "--ip", "10.0.0.50", "--mac-address", "02:00:00:00:00:0b");
      const [a, b] = [
        (await h1.api.endpoints({ hostname: "h1" }))[0],
        (await h1.api.endpoints({ hostname: "h2" }))[0],
      ];
      assert.deepEqual([b?.target_veth_ip, b?.target_veth_mac], ["10.0.0.50/24", "02:00:00:00:00:0b"]);
      const address = "10.0.0.50";
      await until(
        "b is reached",
        () => p1.exec("a", "ping", "-c", "1", "-W", "1", address).then(() => true, () => false),
      );
      const inspected = JSON.parse((await p1.run("inspect", "a")).stdout) as [
        {
          NetworkSettings: { Networks: { lab: { IPAddress: string; MacAddress: string; Gateway: string } } };
        },
      ];
      const shown = inspected[0].NetworkSettings.Networks.lab;
      assert.deepEqual([`${shown.IPAddress}/24`, shown.MacAddress, shown.Gateway], [
        a?.target_veth_ip,
        a?.target_veth_mac,
        "10.0.0.1",
      ]);
      assert.match(await p1.exec("a", "ip", "route"), /default via 10\.0\.0\.1 dev eth0/);
      // Its published port, from elsewhere and from the host itself.
      await p1.exec("a", "sh", "-c", "echo a greets >/tmp/index.html; httpd -p 80 -h /tmp");
      for (const [from, to] of [[h2, h1.ip], [h1, "127.0.0.1"]] as const) {
        assert.equal((await curl([`http://${to}:8080/`], from.host)).body, "a greets\n");
      }
      await p2.run("stop", "--time", "0", "b");
      await until(
        "b has no endpoint",
        async (see) => see(await h2.api.endpoints({ hostname: "h2" })).length === 0,
      );
      await p2.run("start", "b");
      assert.equal((await h2.api.endpoints({ hostname: "h2" }))[0]?.target_veth_mac, "02:00:00:00:00:0b");
      for (let i = 0; i < 3; i++) {
        await p1.start("lab", `c${i}`);
        await p1.run("rm", "--force", "--time", "0", `c${i}`);
      }
    }
    assert.deepEqual(await h1.api.endpoints(), []);
    assert.deepEqual(await keys(), before);
    await lab.agree();
  },
});

Deno.test({
  name: "CNI: containers of podman find each other by their names on two hosts",
  ignore: !runsPodman,
  async fn() {
    await using it = await GatewayLab.started({ hosts: 2 });
    const [h1, h2] = [it.host(1), it.host(2)];
    const id = await it.network("blue", { domain: "blue.example" });
    await using p1 = await podmanOn(h1, id);
    await using p2 = await podmanOn(h2, "blue");
    await p1.start("lab", "web", "--network-alias", "both", "--network-alias", "Front");
    await p2.start("lab", "DB_1", "--network-alias", "both");
    const endpoints = await h1.api.endpoints();
    assert.deepEqual(endpoints.map(({ name }) => name).sort(), ["db_1", "web"]);
    const addressOf = (name: string) =>
      endpoints.find((one) => one.name === name)?.target_veth_ip.split("/")[0];
    assert.match(
      await p1.exec("web", "cat", "/etc/resolv.conf"),
      /search blue\.example\n(.*\n)*nameserver 10\.0\.0\.1\n/,
    );
    for (const [podman, from, to] of [[p1, "web", "db_1"], [p2, "DB_1", "web"]] as const) {
      await until(`${from} finds ${to}`, async (see) => {
        const said = await podman.exec(from, "ping", "-c", "1", "-W", "1", to).catch(({ message }) =>
          `${message}`
        );
        return see(said).includes(`PING ${to} (${addressOf(to)})`);
      });
    }
    // An alias is what several have: all of their addresses are answered.
    const answer = await p1.exec("web", "nslookup", "both.blue.example", "10.0.0.1");
    const own = [addressOf("web"), addressOf("db_1")].sort();
    assert.deepEqual(
      [...answer.matchAll(/^Address[ \d]*: *(10\.0\.0\.\d+)$/gm)].map(([, ip]) => ip).sort(),
      own,
    );
    assert.deepEqual(endpoints.map(({ aliases }) => aliases).sort(), [["both"], ["both", "front"]]);
    // Podman takes no name twice on a host; another host's container has it first.
    await p2.start("lab", "web");
    const says = /has no name: web belongs to endpoint \S+ on h1/;
    await until(
      "status says so",
      async (see) => says.test(see((await h2.strand(["status", "agent"])).stdout)),
    );
    await p1.run("rm", "--force", "--time", "0", "web");
    await p2.run("restart", "--time", "0", "web");
    assert.deepEqual((await h1.api.endpoints()).map(({ name }) => name).sort(), ["db_1", "web"]);
  },
});
