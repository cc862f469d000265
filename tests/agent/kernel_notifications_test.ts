/** Notifications of the kernel about changes by other programs in networks' namespaces. */
import assert from "node:assert/strict";
import { FOREIGN_KINDS } from "../../services/agent/kernel/containment.ts";
import { HostKernel } from "../../services/agent/kernel/host.ts";
import { Notifications } from "../../services/agent/kernel/notifications.ts";
import { Ip } from "../../services/common/ip.ts";
import { TestNamespace } from "../ffi/namespaces.ts";
import { until } from "../lab/until.ts";

Deno.test("a failure over one namespace's notifications is told once, and ends no others", async () => {
  using broken = new TestNamespace(), sound = new TestNamespace();
  const problems: unknown[] = [];
  let tries = 0, told = 0;
  const all = new Notifications((error) => problems.push(error));
  const watches = [
    all.watch(broken.fd, () => {
      tries++;
      throw new Error("cannot be looked at");
    }),
    all.watch(sound.fd, () => told++),
  ];
  try {
    for (const i of [1, 2]) {
      await broken.ip("link", "add", `br${i}`, "type", "bridge");
      await until("the broken one is tried", (see) => see(tries) >= i);
      const before = told;
      await sound.ip("link", "add", `br${i}`, "type", "bridge");
      await until("the sound one is told", (see) => see(told) > before);
    }
    assert.deepEqual(problems.map(String), ["Error: cannot be looked at"]);
  } finally {
    for (const watch of watches) watch?.close();
    await all.close();
  }
});

Deno.test("an entry from which br0 answers ARP is missed at once, and others of br0's are not", async () => {
  using namespace = new TestNamespace();
  const ip = (...args: string[]) => namespace.ip(...args);
  await ip("link", "add", "br0", "type", "bridge");
  await ip("link", "set", "br0", "up");
  await ip("address", "add", "10.0.0.1/24", "dev", "br0");
  const add = (address: string) =>
    ip("neigh", "replace", address, "lladdr", "02:84:0a:00:00:02", "dev", "br0", "nud", "permanent");
  for (const address of ["10.0.0.2", "10.0.0.3"]) await add(address);
  let told = 0;
  const all = new Notifications((error) => {
    throw error;
  });
  const watch = all.watch(namespace.fd, () => told++);
  assert.ok(watch);
  try {
    watch.answers([Ip.parse("10.0.0.2").u32]);
    await ip("neigh", "del", "10.0.0.3", "dev", "br0");
    watch.take();
    assert.equal(told, 0, "an entry of a neighbour that br0 does not answer for");
    const done = watch.own([{ op: "proxy-remove", arp: new Set(), fdb: new Set() }]);
    await add("10.0.0.2");
    done();
    assert.equal(told, 0, "what the agent does itself");
    await ip("neigh", "del", "10.0.0.2", "dev", "br0");
    await until("it is told", (see) => see(told) > 0);
  } finally {
    watch.close();
    await all.close();
  }
});

Deno.test("while the agent sets entries, what others change there waits, and is told at the end; what comes later is told at once", async () => {
  using namespace = new TestNamespace(), another = new TestNamespace();
  await namespace.ip("link", "add", "vxlan0", "type", "vxlan", "id", "5", "dstport", "4789");
  const entry = ["lladdr", "02:84:0a:00:00:02", "dev", "vxlan0", "nud", "permanent"];
  const add = (address: string) => namespace.ip("neigh", "replace", address, ...entry);
  let told = 0, toldThere = 0;
  const all = new Notifications((error) => {
    throw error;
  });
  const watch = all.watch(namespace.fd, () => told++), there = all.watch(another.fd, () => toldThere++);
  assert.ok(watch);
  const entries = new Map([[Ip.parse("10.0.0.2").u32, 0x02840a000002]]);
  try {
    for (const [i, foreign] of [undefined, "10.0.0.3"].entries()) {
      const done = watch.own([{ op: "arp-set", entries }]);
      await add("10.0.0.2");
      if (foreign !== undefined) await add(foreign);
      const before = toldThere;
      await another.ip("link", "add", `br${i}`, "type", "bridge");
      await until("the other namespace's are read", (see) => see(toldThere) > before);
      assert.equal(told, 0, "nothing is read before the end");
      done();
      assert.equal(told, i, "what is the agent's own is not told");
    }
    await add("10.0.0.4");
    await until("what comes later is told", (see) => see(told) > 1);
    const done = watch.own([{ op: "arp-set", entries }]);
    watch.close();
    done();
  } finally {
    watch.close();
    there?.close();
    await all.close();
  }
});

Deno.test("a watched network tells what links it has without its namespace being opened, any other does not", async () => {
  using namespace = new TestNamespace();
  const notifications = new Notifications((error) => {
    throw error;
  });
  using host = new HostKernel({ vtep: Ip.parse("192.0.2.1"), notifications });
  const network = host.network(namespace.path);
  network.watch(() => {});
  try {
    assert.equal(network.hasLink("port0"), undefined);
    await network.read(new Map());
    assert.equal(network.hasLink("port0"), false);
    await namespace.ip("link", "add", "port0", "type", "veth", "peer", "name", "port1");
    assert.equal(network.hasLink("port0"), true);
    await namespace.ip("link", "del", "port0");
    assert.equal(network.hasLink("port0"), false);
    network.close();
    assert.equal(network.hasLink("port0"), undefined);
  } finally {
    network.close();
    await notifications.close();
  }
});

Deno.test("a watched network's rules are asked for by one socket, and are read again after each change", async () => {
  using namespace = new TestNamespace();
  const notifications = new Notifications((error) => {
    throw error;
  });
  using host = new HostKernel({ vtep: Ip.parse("192.0.2.1"), notifications });
  const sockets = () => {
    const links = [...Deno.readDirSync("/proc/self/fd")].flatMap(({ name }) => {
      try {
        return Deno.readLinkSync(`/proc/self/fd/${name}`);
      } catch {
        return [];
      }
    });
    return links.filter((link) => link.startsWith("socket:")).length;
  };
  const before = sockets(), network = host.network(namespace.path), ports = ["sand0001", "sand0002"];
  network.watch(() => {});
  const check = async () => (await network.read(new Map(), new Map(), true))?.containment;
  try {
    await network.read(new Map());
    await network.carryOut([{
      op: "containment-add",
      rules: "count",
      add: new Set([ports[0]!]),
      replaces: false,
    }]);
    assert.deepEqual([...(await check())?.own ?? []], [ports[0]]);
    const open = sockets();
    for (let i = 0; i < 3; i++) {
      assert.deepEqual([...(await check())?.own ?? []], [ports[0]]);
      assert.deepEqual([...network.counted()?.values() ?? []], FOREIGN_KINDS.map(() => 0));
    }
    assert.equal(sockets(), open);
    // Another program's change, which nothing tells.
    const other = host.network(namespace.path);
    await other.carryOut([{ op: "containment-set", add: new Set([ports[1]!]) }]);
    assert.deepEqual([...(await check())?.own ?? []].sort(), ports);
  } finally {
    network.close();
    await until("its sockets are closed", (see) => see(sockets()) <= before);
    await notifications.close();
  }
});
