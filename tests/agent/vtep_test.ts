/** VTEPs that disappear or change, configured or found by the agent. */
import assert from "node:assert/strict";
import { OverlayLab } from "../lab/overlay.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { pings } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

/** A network of two hosts in which one pings the other. */
async function pair(lab: OverlayLab) {
  const { id } = await lab.host(1).api.createNetwork({ name: "pair" });
  const a = await lab.host(1).attach(id), b = await lab.host(2).attach(id, { wait: "20s" });
  return { id, a, b, flows: () => pings(a.container, b.address) };
}

function ip(host: OverlayHost, ...command: string[]) {
  return host.host.run(host.host.enter(["ip", ...command]));
}

/** The name of the interface that has the VTEP. */
async function uplink(host: OverlayHost): Promise<string> {
  const { stdout } = await ip(host, "-br", "address");
  const name = stdout.split("\n").find((line) => line.includes(` ${host.ip}/`))?.split(/[ @]/)[0];
  assert.ok(name, stdout);
  return name;
}

Deno.test("VTEPs that disappear or change", async (t) => {
  await using lab = await OverlayLab.started();
  const h1 = lab.host(1), { id, a, flows } = await pair(lab), eth = await uplink(h1);
  /** The VTEP of its endpoint on h1, as etcd has it. */
  const told = async () => {
    const text = await lab.kv.get(`/sc-net/network-endpoints/${id}/${a.endpoint.id}`);
    return JSON.parse(text ?? "{}").host_ip;
  };

  await t.step(
    "a VTEP that leaves the host, or whose interface goes down, is a problem until it is back",
    async () => {
      await ip(h1, "address", "del", `${h1.ip}/24`, "dev", eth);
      await until("h1 says so", async () => {
        const { status, body } = await h1.api.status("/readyz");
        return status === 503 && body.includes(`no interface of this host has the VTEP ${h1.ip} any more`);
      });
      assert.match((await h1.api.status("/metrics")).body, /^agent_underlay_up\S* 0$/m);
      await h1.saysInStatus(/no overlay packet can leave or arrive since/);
      await ip(h1, "address", "add", `${h1.ip}/24`, "dev", eth);
      await h1.ready();
      assert.match((await h1.api.status("/metrics")).body, /^agent_underlay_up\S* 1$/m);
      await until("packets flow", flows);

      await ip(h1, "link", "set", eth, "down");
      await until("h1 says so", async () => {
        return (await h1.api.status("/readyz")).body.includes(`the interface ${eth}, which has the VTEP`);
      });
      await ip(h1, "link", "set", eth, "up");
      await h1.ready();
      await until("packets flow", flows);
    },
  );

  await t.step(
    "a VTEP that was not configured outlasts a short loss of its address, and follows the default route alone",
    async () => {
      await h1.stop();
      const route = (gateway: string) => ip(h1, "route", "replace", "default", "via", gateway);
      await ip(h1, "link", "add", "docker0", "type", "bridge");
      await ip(h1, "link", "set", "docker0", "up");
      await ip(h1, "address", "add", "172.17.0.1/16", "dev", "docker0");
      await route("10.99.0.1");
      await h1.start({ PEER_IP: "" });
      await until("packets flow", flows);
      await ip(h1, "address", "del", `${h1.ip}/24`, "dev", eth);
      await until("h1 has noticed", async (see) => see(await h1.api.status("/readyz")).body.includes("VTEP"));
      // The loss itself: longer than another address must stand before it is followed.
      await new Promise((resolve) => setTimeout(resolve, 5000));
      assert.equal(await told(), h1.ip);
      await ip(h1, "address", "add", `${h1.ip}/24`, "dev", eth);
      await route("10.99.0.1");
      await h1.ready();
      await until("packets flow", flows);
      assert.doesNotMatch(h1.agent.tail(), /has another address/);

      await route("172.17.0.2");
      await until("h1 follows the default route", async (see) => see(await told()) === "172.17.0.1");
      await route("10.99.0.1");
      await until("h1 follows it back", async (see) => see(await told()) === h1.ip);
      await until("packets flow", flows);
      await ip(h1, "link", "del", "docker0");
    },
  );

  await t.step(
    "a VTEP that was not configured is followed to the host's new address, by the other hosts too",
    async () => {
      assert.equal(await told(), h1.ip);
      await ip(h1, "address", "add", "10.99.0.99/24", "dev", eth);
      await ip(h1, "address", "del", `${h1.ip}/24`, "dev", eth);
      // Without its address the interface loses the routes that depended on it, and perhaps the second address too.
      await ip(h1, "address", "replace", "10.99.0.99/24", "dev", eth);
      await ip(h1, "route", "replace", "default", "via", "10.99.0.1");
      await until("the record says so", async (see) => see(await told()) === "10.99.0.99");
      await until("packets flow", flows);
      await h1.ready();
      await lab.agree();
    },
  );
});
