/** Links created, changed and listed through netlink, compared with ip. */
import assert from "node:assert/strict";
import { Netlink } from "../../ffi/netlink.ts";
import { addAddress, deleteAddress, listAddresses } from "../../ffi/netlink_address.ts";
import { deleteRoute, findRoute, listRoutes, setRoute } from "../../ffi/netlink_address.ts";
import {
  changeForwarding,
  changeLearning,
  changeLink,
  deleteLink,
  newBridge,
  newMacvlan,
  newVeth,
  newVxlan,
} from "../../ffi/netlink_link.ts";
import { findLink, type Link, listLinks, namespaceNumber } from "../../ffi/netlink_links.ts";
import { run } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { TestNamespace } from "./namespaces.ts";

const mac = (last: number) => Uint8Array.of(2, 0x84, 10, 0, 0, last);
const local = Uint8Array.of(192, 168, 1, 1);

/** A namespace with a netlink socket in it. */
class NamespaceSocket implements Disposable {
  readonly namespace = new TestNamespace();
  readonly netlink = new Netlink(this.namespace.fd);

  async link(name: string): Promise<Link> {
    const link = await findLink(this.netlink, name);
    assert(link, `${name} is missing`);
    return link;
  }

  async seen(name: string) {
    const [link] = await this.namespace.ip("link", "show", name);
    assert(link);
    return link;
  }

  [Symbol.dispose](): void {
    this.netlink.close();
    this.namespace[Symbol.dispose]();
  }
}

Deno.test("a bridge, a vxlan device from another namespace and a pair are as ip shows them", async () => {
  using underlay = new NamespaceSocket();
  using inside = new NamespaceSocket();
  using target = new NamespaceSocket();
  await inside.netlink.run(newBridge({ name: "br0", mtu: 1450, mac: mac(1), up: true }));
  const bridge = await inside.link("br0");
  const where = { namespace: inside.namespace.fd, master: bridge.index, mtu: 1450, up: true };
  const vxlan = { vni: 0xabcdef, port: 4789, local, proxy: true, l2miss: true, l3miss: true };
  await underlay.netlink.run(newVxlan({ name: "vxlan0", ...where, ...vxlan }));
  await inside.netlink.run(newVeth(
    { name: "near0", mtu: 1450, master: bridge.index, up: true },
    { name: "far0", mtu: 1450, mac: mac(5), namespace: target.namespace.fd },
  ));
  const far = await target.link("far0");
  await target.netlink.run(changeLink(far.index, { up: true }));

  const br0 = await inside.seen("br0"), vxlan0 = await inside.seen("vxlan0");
  assert.deepEqual([br0.linkinfo?.info_kind, br0.mtu, br0.address], ["bridge", 1450, "02:84:0a:00:00:01"]);
  assert(br0.flags.includes("UP") && vxlan0.flags.includes("UP"));
  assert.deepEqual([vxlan0.master, vxlan0.mtu], ["br0", 1450]);
  const { id, port, local: from, learning, proxy, l2miss, l3miss, group } = vxlan0.linkinfo?.info_data ?? {};
  assert.deepEqual([id, port, from, group], [0xabcdef, 4789, "192.168.1.1", undefined]);
  assert.deepEqual([learning, proxy, l2miss, l3miss], [false, true, true, true]);
  const end = await inside.seen("near0"), other = await target.namespace.ip("link", "show", "far0");
  assert.deepEqual([end.linkinfo?.info_kind, end.master, end.mtu], ["veth", "br0", 1450]);
  assert.deepEqual([other[0]?.address, other[0]?.mtu], ["02:84:0a:00:00:05", 1450]);
  assert.equal((await underlay.namespace.ip("link")).length, 1);

  const links = await listLinks(inside.netlink);
  assert.deepEqual(links.map(({ name, kind }) => [name, kind]), [
    ["lo", ""],
    ["br0", "bridge"],
    ["vxlan0", "vxlan"],
    ["near0", "veth"],
  ]);
  const device = await inside.link("vxlan0"), near = await inside.link("near0");
  assert.deepEqual(device.vxlan, { ...vxlan, group: new Uint8Array(), learning: false });
  assert.deepEqual([near.master, near.peer, near.up], [bridge.index, far.index, true]);
  assert.equal(near.carrier, true);
  assert.deepEqual(bridge.mac, mac(1));
  assert.equal(device.peerNamespace, await namespaceNumber(inside.netlink, underlay.namespace.fd));
  assert.equal(near.peerNamespace, await namespaceNumber(inside.netlink, target.namespace.fd));
  assert.notEqual(near.peerNamespace, device.peerNamespace);
  assert.equal(await namespaceNumber(underlay.netlink, target.namespace.fd), undefined);

  await inside.netlink.run(deleteLink(near.index), deleteLink("nothing"));
  assert.deepEqual((await listLinks(target.netlink)).map(({ name }) => name), ["lo"]);
});

Deno.test("a vxlan device is made under one name and renamed, and its learning changes in place", async () => {
  using underlay = new NamespaceSocket();
  using inside = new NamespaceSocket();
  const name = "v00000001";
  await underlay.netlink.run(
    newVxlan({ name, namespace: inside.namespace.fd, vni: 7, port: 4789, local, learning: true }),
  );
  const { index } = await inside.link(name);
  await inside.netlink.run(changeLink(index, { name: "vxlan0", up: true }));
  assert.equal((await inside.seen("vxlan0")).linkinfo?.info_data.learning, true);
  await inside.netlink.run(changeLearning("vxlan0", false));
  const { linkinfo, ifindex, flags } = await inside.seen("vxlan0");
  assert.deepEqual([linkinfo?.info_data.learning, ifindex, flags.includes("UP")], [false, index, true]);
  assert.deepEqual([linkinfo?.info_data.id, linkinfo?.info_data.local], [7, "192.168.1.1"]);
});

Deno.test("over IPv6, a vxlan device has an address of that family", async () => {
  using place = new NamespaceSocket();
  const six = Uint8Array.of(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);
  await place.netlink.run(newVxlan({ name: "vxlan6", vni: 9, port: 4789, local: six }));
  assert.equal((await place.seen("vxlan6")).linkinfo?.info_data.local6, "2001:db8::1");
  assert.deepEqual((await place.link("vxlan6")).vxlan?.local, six);
});

Deno.test("changeLink() changes name, MTU, MAC, master, state and namespace", async () => {
  using place = new NamespaceSocket();
  using other = new NamespaceSocket();
  const { netlink } = place;
  await netlink.run(newBridge({ name: "br0" }), newVeth({ name: "a" }, { name: "b" }));
  const bridge = await place.link("br0"), a = await place.link("a");
  const settings = { mtu: 9000, mac: mac(7), master: bridge.index, up: true };
  await netlink.run(changeLink(a.index, { name: "renamed", ...settings }), changeLink("b", { up: true }));
  // The kernel sets the operational state later than the flags, in a thread of its own.
  await until("it is up", async (see) => see(await place.seen("renamed")).operstate === "UP");
  const seen = await place.seen("renamed");
  assert.deepEqual([seen.ifindex, seen.mtu, seen.address], [a.index, 9000, "02:84:0a:00:00:07"]);
  assert.deepEqual([seen.master, seen.operstate], ["br0", "UP"]);
  await netlink.run(changeLink("renamed", { master: 0, up: false }));
  const free = await place.seen("renamed");
  assert.deepEqual([free.master, free.flags.includes("UP")], [undefined, false]);
  await netlink.run(changeLink("renamed", { namespace: other.namespace.fd }));
  assert.equal(await findLink(netlink, "renamed"), undefined);
  assert.equal((await other.seen("renamed")).mtu, 9000);
});

Deno.test("addresses and routes are set twice without harm, shown by ip, listed and taken away", async () => {
  using place = new NamespaceSocket();
  const { netlink } = place;
  await netlink.run(newVeth({ name: "a", up: true }, { name: "b" }), changeLink("b", { up: true }));
  const { index: link } = await place.link("a");
  const address = { link, address: Uint8Array.of(10, 0, 0, 5), prefix: 24 };
  const address6 = { link, address: Uint8Array.of(0xfd, ...Array(14).fill(0), 5), prefix: 64 };
  const way = { destination: new Uint8Array(4), prefix: 0, gateway: Uint8Array.of(10, 0, 0, 1), link };
  const way6 = {
    destination: new Uint8Array(16),
    prefix: 0,
    gateway: Uint8Array.of(0xfd, ...Array(14).fill(0), 1),
    link,
  };
  const direct = { destination: Uint8Array.of(10, 7, 0, 0), prefix: 16, link };
  for (let i = 0; i < 2; i++) {
    await netlink.run(
      addAddress(address),
      addAddress(address6),
      setRoute(way),
      setRoute(way6),
      setRoute(direct),
    );
  }
  interface IpAddress {
    readonly addr_info: readonly { local: string; prefixlen: number; scope: string; tentative?: boolean }[];
  }
  const [seen] = await place.namespace.ip<IpAddress>("address", "show", "a");
  const shown = seen?.addr_info.filter(({ scope }) => scope === "global");
  assert.deepEqual(shown?.map(({ local, prefixlen, tentative }) => [local, prefixlen, tentative]), [
    ["10.0.0.5", 24, undefined],
    ["fd00::5", 64, undefined],
  ]);
  interface IpRoute {
    readonly dst: string;
    readonly gateway?: string;
    readonly dev: string;
  }
  const routes = await place.namespace.ip<IpRoute>("route");
  assert.deepEqual(routes.map(({ dst, gateway, dev }) => [dst, gateway, dev]), [
    ["default", "10.0.0.1", "a"],
    ["10.0.0.0/24", undefined, "a"],
    ["10.7.0.0/16", undefined, "a"],
  ]);
  const [six] = await place.namespace.ip<IpRoute>("-6", "route", "show", "default");
  assert.equal(six?.gateway, "fd00::1");

  const listed = await listAddresses(netlink);
  assert.deepEqual(listed.filter(({ address }) => address[0] !== 0xfe), [address, address6]);
  assert.equal((await listAddresses(netlink, 1)).length, 0);
  const ways = await listRoutes(netlink);
  for (const wanted of [way, way6, direct]) {
    assert(ways.some((route) => JSON.stringify(route) === JSON.stringify(wanted)), JSON.stringify(wanted));
  }
  for (let i = 0; i < 2; i++) {
    await netlink.run(deleteRoute(direct), deleteRoute(way), deleteRoute(way6));
    await netlink.run(deleteAddress(address), deleteAddress(address6));
  }
  assert.deepEqual(await place.namespace.ip("route"), []);
  assert.equal((await listAddresses(netlink)).filter(({ address }) => address[0] !== 0xfe).length, 0);
});

Deno.test("an error says what was being done and why, and the other requests are carried out", async () => {
  using place = new NamespaceSocket();
  const { netlink } = place;
  const vxlan = { vni: 7, port: 4789, local };
  await netlink.run(newVxlan({ name: "one", ...vxlan }));
  await assert.rejects(netlink.run(newVxlan({ name: "two", ...vxlan }), newBridge({ name: "br0" })), {
    message: "create two: exists (A VXLAN device with the specified VNI already exists)",
    errno: 17,
  });
  await place.link("br0");
  await assert.rejects(netlink.run(newBridge({ name: "br0" })), { message: "create br0: exists", errno: 17 });
  await assert.rejects(netlink.run(changeLink("none", { up: true })), {
    message: "change none: no such device",
  });
  assert.throws(() => newBridge({ name: "sixteen-letters-" }), /not the name of an interface/);
  assert.equal(await findLink(netlink, 4711), undefined);
});

Deno.test("a listing that the kernel was changed under is whole all the same", async () => {
  using place = new NamespaceSocket();
  using busy = new Netlink(place.namespace.fd);
  const names = Array.from({ length: 100 }, (_, i) => `d${i}`);
  await place.netlink.run(...names.map((name) => newBridge({ name })));
  const churn = [
    "for i in $(seq 30); do ip link add churn type dummy || ip link add churn type bridge; ip link del churn; sleep 0.01; done",
  ];
  const stop = run(["ip", "netns", "exec", place.namespace.name, "sh", "-c", ...churn]);
  let changing = true;
  const ended = stop.finally(() => changing = false);
  try {
    do {
      const found = new Set((await listLinks(busy)).map(({ name }) => name));
      found.delete("churn");
      assert.equal(found.size, names.length + 1);
    } while (changing);
  } finally {
    await ended;
  }
});

Deno.test("sockets leave nothing open, and a namespace goes with the last of them", async () => {
  using underlay = new NamespaceSocket();
  const before = [...Deno.readDirSync("/proc/self/fd")].length;
  const device = { name: "vxlan0", vni: 7, port: 4789, local };
  for (let i = 0; i < 5; i++) {
    using inside = new NamespaceSocket();
    await underlay.netlink.run(newVxlan({ ...device, namespace: inside.namespace.fd }));
    await inside.netlink.run(deleteLink("vxlan0"));
  }
  await Promise.resolve();
  assert.equal([...Deno.readDirSync("/proc/self/fd")].length, before);
  {
    using inside = new NamespaceSocket();
    await underlay.netlink.run(newVxlan({ ...device, namespace: inside.namespace.fd }));
  }
  // The kernel takes a removed namespace down in the background; the VNI is free when it is done.
  const again = () => underlay.netlink.run(newVxlan(device)).then(() => true, () => false);
  await until("the VNI is free", again);
});

Deno.test("a macvlan takes another namespace's link over, with its MAC", async () => {
  using below = new NamespaceSocket();
  using inside = new NamespaceSocket();
  await below.netlink.run(newVeth({ name: "low0", mac: mac(3), arp: false, up: true }, { name: "far0" }));
  const lower = await below.link("low0");
  const where = { namespace: inside.namespace.fd, mtu: 1400, up: true };
  await below.netlink.run(newMacvlan({ name: "high0", lower: lower.index, ...where }));
  const seen = await inside.seen("high0"), high = await inside.link("high0");
  assert.deepEqual(seen.linkinfo, {
    info_kind: "macvlan",
    info_data: { ...seen.linkinfo?.info_data, mode: "passthru" },
  });
  assert.equal(seen.address, "02:84:0a:00:00:03");
  assert.equal(seen.mtu, 1400);
  const number = await namespaceNumber(inside.netlink, below.namespace.fd);
  assert(number !== undefined);
  assert.deepEqual([high.kind, high.peer, high.peerNamespace], ["macvlan", lower.index, number]);
  assert.deepEqual([lower.arp, high.arp], [false, true]);
  assert((await below.seen("low0")).flags.includes("NOARP"));
  await below.netlink.run(changeLink("low0", { alias: "of another program" }));
  assert.equal((await below.link("low0")).alias, "of another program");
  assert.match((await run(["ip", "-n", below.namespace.name, "link"])).stdout, /alias of another program/);
  await below.netlink.run(deleteLink("low0"));
  assert.equal(await findLink(inside.netlink, "high0"), undefined);
});

Deno.test("changeForwarding() is what sysctl shows", async () => {
  using place = new NamespaceSocket();
  await place.netlink.run(newBridge({ name: "br0" }));
  const sysctl = async () => {
    const command = ["sysctl", "-n", "net.ipv4.conf.br0.forwarding"];
    return (await run(["ip", "netns", "exec", place.namespace.name, ...command])).stdout.trim();
  };
  for (const on of [true, false]) {
    await place.netlink.run(changeForwarding("br0", on));
    assert.equal(await sysctl(), on ? "1" : "0");
    assert.equal((await place.link("br0")).forwarding, on);
  }
});

Deno.test("whether a link takes router advertisements is what was set by sysctl", async () => {
  using place = new NamespaceSocket();
  await place.netlink.run(newBridge({ name: "br0" }));
  for (const value of ["0", "1", "2"]) {
    const command = ["sysctl", "-w", `net.ipv6.conf.br0.accept_ra=${value}`];
    await run(["ip", "netns", "exec", place.namespace.name, ...command]);
    assert.equal((await place.link("br0")).takesAdvertisements, value !== "0");
  }
});

Deno.test("findRoute() says how an address is reached, as ip does", async () => {
  using place = new NamespaceSocket();
  const octets = (text: string) => Uint8Array.from(text.split(".").map(Number));
  assert.equal(await findRoute(place.netlink, octets("192.0.2.9")), undefined);
  await place.netlink.run(newVeth({ name: "a", up: true }, { name: "b" }), changeLink("b", { up: true }));
  const [a, b] = [await place.link("a"), await place.link("b")];
  await place.netlink.run(addAddress({ link: a.index, address: octets("192.0.2.1"), prefix: 24 }));
  const gateway = octets("192.0.2.254"), none = new Uint8Array(4);
  await place.netlink.run(setRoute({ destination: none, prefix: 0, gateway, link: a.index }));
  await place.netlink.run(setRoute({ destination: octets("10.0.0.2"), prefix: 32, link: b.index }));
  const found = async (text: string) => {
    const way = await findRoute(place.netlink, octets(text));
    return way && [way.prefix, way.link, way.gateway && [...way.gateway].join("."), way.own];
  };
  assert.deepEqual(await found("192.0.2.9"), [24, a.index, undefined, false]);
  assert.deepEqual((await found("192.0.2.1"))?.at(-1), true);
  assert.deepEqual(await found("203.0.113.1"), [0, a.index, "192.0.2.254", false]);
  assert.deepEqual(await found("10.0.0.2"), [32, b.index, undefined, false]);
  const over = await listRoutes(place.netlink, b.index);
  assert.deepEqual(over.filter(({ destination }) => destination.length === 4).map(({ prefix }) => prefix), [
    32,
  ]);
  await run(["ip", "-n", place.namespace.name, "route", "add", "blackhole", "198.51.100.0/24"]);
  assert.equal(await findRoute(place.netlink, octets("198.51.100.9")), undefined);
});
