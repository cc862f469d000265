/** Which interface, VTEP and MTU an agent finds in a host's addresses and routes. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { TestNamespace } from "../ffi/namespaces.ts";
import { run } from "../lab/host.ts";

const script = fileURLToPath(new URL("kernel_underlay.ts", import.meta.url));

async function look(namespace: TestNamespace, ...args: string[]) {
  const enter = ["nsenter", `--net=${namespace.path}`, Deno.execPath(), "run", "-A", "--cached-only"];
  return JSON.parse((await run([...enter, script, ...args])).stdout);
}

Deno.test("the underlay is the interface of the VTEP; the default VTEP that of the default route", async () => {
  using namespace = new TestNamespace();
  const ip = (...commands: string[]) =>
    run(["ip", "-n", namespace.name, "-batch", "-"], { stdin: commands.join("\n") });
  assert.deepEqual(await look(namespace, "192.0.2.1"), { underlay: null, vtep: "undefined", problem: "" });
  await ip(
    "link set lo up",
    "link add eth0 mtu 9000 type bridge",
    "link set eth0 up",
    "address add 192.0.2.1/24 dev eth0",
    "address add 2001:db8::1/64 dev eth0",
  );
  const underlay = { name: "eth0", up: true, mtu: 9000 };
  assert.deepEqual(await look(namespace, "192.0.2.1"), { underlay, vtep: "192.0.2.1", problem: "" });
  await ip("link add eth1 type bridge", "link set eth1 up", "address add 198.51.100.1/24 dev eth1");
  assert.equal((await look(namespace, "192.0.2.1")).vtep, "undefined");
  await ip(
    "route add default via 198.51.100.2 metric 20",
    "route add default via 192.0.2.2 metric 30",
    "route add 0.0.0.0/1 via 192.0.2.3",
  );
  const path = `${namespace.path}-network`;
  assert.deepEqual(await look(namespace, "198.51.100.1", path), {
    underlay: { name: "eth1", up: true, mtu: 1500 },
    vtep: "198.51.100.1",
    problem: "UDP port 4789, which VXLAN needs, is taken by another program of this host: end that, " +
      "or create the network again with another agent.vxlan-port",
  });
  assert.throws(() => Deno.lstatSync(path), Deno.errors.NotFound);
});

Deno.test("the underlay's MTU is that of the routes to the peers, wherever the VTEP is", async () => {
  using namespace = new TestNamespace();
  const ip = (...commands: string[]) =>
    run(["ip", "-n", namespace.name, "-batch", "-"], { stdin: commands.join("\n") });
  const mtu = async (...peers: string[]) => (await look(namespace, "192.0.2.1", "-", ...peers)).underlay?.mtu;
  await ip("link set lo up", "address add 192.0.2.1/32 dev lo");
  assert.equal(await mtu(), 1500, "nothing leaves this host yet");
  await ip(
    "link add eth0 mtu 9000 type bridge",
    "link add eth1 mtu 1400 type bridge",
    "link set eth0 up",
    "link set eth1 up",
    "address add 10.0.0.1/24 dev eth0",
    "address add 10.1.0.1/24 dev eth1",
    "route add default via 10.0.0.2",
    "route add 198.51.100.0/24 via 10.1.0.2",
    "route add 203.0.113.0/24 via 10.0.0.2 mtu 4000",
  );
  assert.equal(await mtu(), 9000, "without peers, by the default route");
  assert.equal(await mtu("192.0.2.77"), 9000);
  assert.equal(await mtu("192.0.2.77", "203.0.113.7"), 4000, "a route with an MTU of its own");
  assert.equal(await mtu("203.0.113.7", "198.51.100.7"), 1400, "the smallest counts");
  assert.equal(await mtu("192.0.2.1", "127.0.0.1"), 9000, "a peer that is this host says nothing");
});
