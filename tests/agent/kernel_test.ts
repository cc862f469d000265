/** A network's part of the kernel, created, changed and removed through netlink and checked with ip and bridge. */
import assert from "node:assert/strict";
import { NamespaceGone, OWN_NAMESPACE } from "../../services/agent/kernel/network_namespace.ts";
import { Ip } from "../../services/common/ip.ts";
import { diffVeth } from "../../services/overlay/diff.ts";
import type { NetworkState } from "../../services/overlay/state.ts";
import { TestNamespace } from "../ffi/namespaces.ts";
import { run } from "../lab/host.ts";
import { quickly } from "../lab/quickly.ts";
import { until } from "../lab/until.ts";
import { KernelLab, type LabNetwork, remote, veth, VTEP } from "./kernel_lab.ts";

Deno.test("a network is built, changed in place and taken away, as ip and bridge see it", async () => {
  using lab = new KernelLab();
  const network = lab.network(), target = lab.target();
  const first = network.desired({
    ...remote([2, 2], [3, 2]),
    veths: new Map([["sand0001", veth(target.path, 9)]]),
  });
  const ops = await network.settle(first);
  assert.deepEqual(ops.map(({ op }) => op), [
    ...["namespace-add", "loopback-up", "bridge-add", "bridge-address-add", "bridge-set", "vxlan-add"],
    ...["vxlan-set", "fdb-set", "arp-set", "veth-add", "veth-set", "peer-set"],
  ]);
  const second = network.desired({
    ...remote([3, 4], [4, 4]),
    veths: new Map([["sand0002", veth(target.path, 10, 8950)]]),
    bridge: { up: true, mtu: 8950, addresses: ["10.1.0.1/16"] },
  }, 8950);
  const before = await identity(network);
  assert.deepEqual((await network.settle(second)).map(({ op }) => op), [
    ...[
      "veth-remove",
      "bridge-address-remove",
      "bridge-address-add",
      "bridge-set",
      "vxlan-set",
      "arp-remove",
    ],
    ...["fdb-remove", "fdb-set", "arp-set", "veth-add", "veth-set", "peer-set"],
  ]);
  assert.equal(await identity(network), before);
  assert.deepEqual(await network.settle(undefined), [{ op: "namespace-remove" }]);
  await network.settle(undefined);
  await until("the other end is gone", async (see) => see(await target.ip("link")).length === 1);
  // Its VNI is free at once.
  await network.settle(first);
});

async function identity(network: LabNetwork): Promise<string> {
  const [link] = JSON.parse((await run(["ip", "-n", network.name, "-j", "link", "show", "vxlan0"])).stdout);
  return `${link.ifindex} ${link.address}`;
}

Deno.test("a bridge keeps its MAC when its ports change theirs", async () => {
  using lab = new KernelLab();
  const network = lab.network(), target = lab.target();
  await network.settle(network.desired());
  const mac = async () =>
    JSON.parse((await run(["ip", "-n", network.name, "-j", "link", "show", "br0"])).stdout)[0].address;
  const before = await mac();
  await network.settle(
    network.desired({
      veths: new Map([["sand0001", { ...veth(target.path, 9), mac: "02:00:00:00:00:01" }]]),
    }),
  );
  assert.equal(await mac(), before);
});

Deno.test("a bridge that is made again takes no router advertisements, whatever another program has set for new links", async () => {
  using lab = new KernelLab();
  const network = lab.network(), setting = (name: string) => `net.ipv6.conf.${name}.accept_ra`;
  const sysctl = (...args: string[]) => run(["ip", "netns", "exec", network.name, "sysctl", ...args]);
  await network.settle(network.desired());
  await sysctl("-w", `${setting("default")}=1`);
  await run(["ip", "-n", network.name, "link", "delete", "br0"]);
  await network.kernel.carryOut([{ op: "bridge-add", mtu: 1450 }]);
  assert.equal((await sysctl("-n", setting("br0"))).stdout.trim(), "0");
});

Deno.test("the peer of a veth is put right where it is: name, MAC, MTU, address, up", async () => {
  using lab = new KernelLab();
  const network = lab.network(), target = lab.target();
  const wanted = veth(target.path, 9), peer = wanted.peer!;
  await network.settle(network.desired({ veths: new Map([["sand0001", wanted]]) }));
  const other = { ...wanted, peer: { ...peer, name: "eth7", mac: "02:00:00:00:00:77", mtu: 1400 } };
  const ops = await network.settle(network.desired({ veths: new Map([["sand0001", other]]) }));
  assert.deepEqual(ops.map(({ op }) => op), ["peer-set"]);
  const down = ["link set eth7 down", "address flush dev eth7", "address add 192.168.9.9/24 dev eth7"];
  await run(["ip", "-n", target.name, "-batch", "-"], { stdin: down.join("\n") });
  const found = await network.kernel.readVeth("sand0001", target.path);
  assert.deepEqual(found?.peer, { ...other.peer, up: false, addresses: ["192.168.9.9/24"] });
  await network.kernel.carryOut(diffVeth("sand0001", found, other));
  const after = await network.kernel.readVeth("sand0001", target.path);
  // The container's own address stays.
  assert.deepEqual(after?.peer?.addresses.toSorted(), ["10.0.0.9/24", "192.168.9.9/24"]);
  assert.deepEqual(diffVeth("sand0001", after, other), []);
});

Deno.test("readVeth() finds one veth, and the other end only where it should be", async () => {
  using lab = new KernelLab();
  const network = lab.network(), target = lab.target(), elsewhere = lab.target();
  assert.equal(await network.kernel.readVeth("sand0001", target.path), undefined);
  const wanted = veth(target.path, 9);
  await network.settle(network.desired({ veths: new Map([["sand0001", wanted]]) }));
  assert.deepEqual(await network.kernel.readVeth("sand0001", target.path), wanted);
  assert.equal(await network.kernel.readVeth("sand0002", target.path), undefined);
  const without = { ...wanted, peer: undefined };
  for (
    const path of [
      undefined,
      elsewhere.path,
      network.path,
      "/run/netns/nothing",
      "/etc/passwd",
      "/etc/passwd/x",
    ]
  ) {
    assert.deepEqual(await network.kernel.readVeth("sand0001", path), without, path ?? "no path");
  }
});

Deno.test("a veth's other end is made in the agent's own namespace only where Docker is to take it from there", async () => {
  using lab = new KernelLab();
  const network = lab.network(), other = lab.network();
  await network.settle(network.desired());
  await other.settle(other.desired());
  const name = `skt${Deno.pid}`;
  const wantedIn = (path: string) => ({
    ...veth(path, 9),
    peer: { ...veth(path, 9).peer!, name, addresses: [], up: false },
  });
  const wanted = wantedIn(OWN_NAMESPACE);
  await network.kernel.carryOut(diffVeth("sand0001", undefined, wanted));
  try {
    assert.deepEqual(await network.kernel.readVeth("sand0001", OWN_NAMESPACE), wanted);
  } finally {
    await network.kernel.carryOut(diffVeth("sand0001", wanted, undefined));
  }
  for (const path of [`/proc/${Deno.pid}/ns/net`, "/proc/self/ns/net", network.path, other.path]) {
    await assert.rejects(network.kernel.carryOut(diffVeth("sand0001", undefined, wantedIn(path))), {
      name: "Refusal",
      message: /^target_netns_path: ".*" is (the agent's own network namespace|the namespace of an overlay)/,
    });
    const set = { op: "peer-set", veth: "sand0001", netns: path, at: "lo", up: true } as const;
    await assert.rejects(network.kernel.carryOut([set]), { name: "Refusal" });
    assert.equal(await network.kernel.readVeth("sand0001", path), undefined);
  }
});

Deno.test("a namespace that is gone, or is none, and a name that is taken are said", async () => {
  using lab = new KernelLab();
  const network = lab.network(), target = lab.target();
  await network.settle(network.desired());
  const add = (netns: string) => network.kernel.carryOut(diffVeth("sand0001", undefined, veth(netns, 9)));
  await assert.rejects(add("/run/netns/nothing"), (error) => {
    assert(error instanceof NamespaceGone);
    assert.equal(error.path, "/run/netns/nothing");
    return true;
  });
  await assert.rejects(add("/etc/passwd"), { message: "/etc/passwd: not a network namespace" });
  await run(["ip", "-n", target.name, "link", "add", "sand1009", "type", "bridge"]);
  await assert.rejects(add(target.path), {
    name: "Refusal",
    message: `there is an interface called sand1009 in ${target.path} already`,
  });
  await run(["ip", "-n", target.name, "link", "del", "sand1009"]);
  await network.ip("link add sand0001 type bridge");
  await assert.rejects(add(target.path), {
    message: `there is an interface called sand0001 in ${network.path} already`,
  });
  // What only has the name gives way.
  await network.settle(network.desired({ veths: new Map([["sand0001", veth(target.path, 9)]]) }));
  await assert.rejects(
    lab.network().kernel.carryOut([{ op: "loopback-up" }]),
    /there is no network namespace at/,
  );
  network.kernel.close();
  await assert.rejects(network.kernel.carryOut([{ op: "loopback-up" }]), /has been closed on this host/);
});

Deno.test("an entry that the kernel refuses is named, and keeps no other back", async () => {
  using lab = new KernelLab();
  const network = lab.network();
  await network.settle(network.desired());
  const vtep = Ip.parse("192.0.2.2").u32, wanted = network.desired(remote([2, 2], [3, 2]));
  const [first, second] = [...wanted.fdb];
  const entries = new Map([first!, [0, vtep], second!]);
  await assert.rejects(network.kernel.carryOut([{ op: "fdb-set", entries }]), {
    message: "change the fdb of vxlan0: 192.0.2.2 00:00:00:00:00:00: not supported by this kernel",
  });
  assert.deepEqual((await network.read(wanted))?.fdb, wanted.fdb);
});

Deno.test("what stands at a network's path and is no namespace is left alone; an empty file is used", async () => {
  using lab = new KernelLab();
  const network = lab.network();
  Deno.writeTextFileSync(network.path, "data");
  try {
    await assert.rejects(network.kernel.read(new Map()), { name: "NamespaceError" });
    await assert.rejects(network.kernel.carryOut([{ op: "namespace-add" }]), { name: "NamespaceError" });
    assert.equal(Deno.readTextFileSync(network.path), "data");
  } finally {
    Deno.removeSync(network.path);
  }
  Deno.writeTextFileSync(network.path, "");
  assert.equal(await network.kernel.read(new Map()), undefined);
  await network.settle(network.desired());
});

Deno.test("a VNI that another device has is named, at once where that can be seen", async () => {
  using lab = new KernelLab();
  const network = lab.network(), name = `skv${Deno.pid}`;
  const vxlan = ["type", "vxlan", "id", `${network.vni}`, "dstport", "4789"];
  const add = () => network.settle(network.desired());
  await run(["ip", "link", "add", name, ...vxlan]);
  try {
    // Sooner than one that is being cleared away is waited for.
    await quickly(4000, () =>
      assert.rejects(add, {
        message: `VNI ${network.vni} on UDP port 4789 is taken by the interface ${name} of this host: ` +
          "remove that, or create the network again with agent.min-vni above its VNIs, or with another agent.vxlan-port",
      }));
    const elsewhere = lab.target();
    await run(["ip", "link", "set", name, "netns", elsewhere.name]);
    await assert.rejects(add, {
      name: "Refusal",
      message: new RegExp(`is taken by the interface ${name} in the network namespace ${elsewhere.path}: `),
    });
    await run(["ip", "-n", elsewhere.name, "link", "del", name]);
  } finally {
    await run(["ip", "link", "del", name], { mayFail: true });
  }
  await add();
});

Deno.test("a device that a killed agent left under its first name is replaced", async () => {
  using lab = new KernelLab();
  const network = lab.network();
  const wanted = network.desired();
  await network.settle(wanted);
  await network.ip(
    "link set vxlan0 down",
    `link set vxlan0 name sandvx${network.vni.toString(16).padStart(6, "0")}`,
  );
  await network.settle(wanted);
});

Deno.test("a vxlan0 of another kind, VTEP, underlay, port or VNI gives way to ours", async () => {
  using lab = new KernelLab();
  const network = lab.network(), wanted = network.desired(remote([2, 2]));
  await network.settle(wanted);
  const add = (rest: string) => ["link del vxlan0", `link add vxlan0 type ${rest}`];
  const vxlan = `vxlan id ${network.vni} dstport 4789 proxy`;
  for (
    const commands of [
      add("bridge"),
      add(`${vxlan} local ${VTEP}`),
      add(`vxlan external dstport 4789`),
      add(`vxlan id ${network.vni + 500} dstport 4789 proxy`),
    ]
  ) {
    await network.ip(...commands);
    assert.equal((await network.settle(wanted, commands[1]))[0]?.op, "vxlan-remove");
  }
  const name = `skx${Deno.pid}`;
  for (
    const rest of [
      "dstport 4789 proxy local 192.0.2.77",
      `dstport 4790 proxy local ${VTEP}`,
      `dstport 4789 noproxy local ${VTEP}`,
    ]
  ) {
    await network.ip("link del vxlan0");
    const make = `link add ${name} netns ${network.name} type vxlan id ${network.vni} ${rest}`;
    await run(["ip", ...make.split(" ")]);
    await network.ip(`link set ${name} name vxlan0`);
    assert.equal((await network.settle(wanted, rest))[0]?.op, "vxlan-remove");
  }
});

Deno.test("checksum offload is turned off where it is not wanted, at every comparison", async () => {
  using lab = new KernelLab({ checksumOffload: false });
  const network = lab.network(), target = lab.target();
  const wanted = network.desired({ veths: new Map([["sand0001", veth(target.path, 9)]]) });
  await network.settle(wanted);
  using plain = new KernelLab();
  const other = plain.network();
  await other.settle(other.desired());
  assert.equal(await offload(other.name, "br0"), true);
  for (const name of ["br0", "vxlan0", "sand0001"]) {
    assert.equal(await offload(network.name, name), false, name);
  }
  assert.equal(await offload(target.name, "sand1009"), false);
});

/** NETIF_F_HW_CSUM, which sysfs does not show: a packet that leaves without a checksum, or with one. */
async function offload(namespace: string, name: string): Promise<boolean> {
  const script = `
import fcntl, socket, struct, array
value = array.array("I", [0x16, 0])
request = struct.pack("16sP16x", b"${name}", value.buffer_info()[0])
fcntl.ioctl(socket.socket(), 0x8946, request)
print(value[1])`;
  return (await run(["ip", "netns", "exec", namespace, "python3", "-c", script])).stdout.trim() === "1";
}

Deno.test("inspect() tells of a namespace, and refuses what is none in one sentence", async () => {
  using lab = new KernelLab();
  const target = lab.target();
  await run(["ip", "-n", target.name, "link", "add", "sand0001", "type", "bridge"]);
  using found = lab.host.inspect(target.path);
  assert.deepEqual(["lo", "sand0001", "sand0002"].filter((name) => found.has(name)), ["lo", "sand0001"]);
  assert.equal(found.isHome, false);
  assert.equal(found.identity, lab.host.identity(target.path));
  using own = lab.host.inspect("/proc/self/ns/net");
  assert.equal(own.isHome, true);
  for (
    const [path, reason] of [
      ["/run/netns/nothing", "no such file"],
      ["/etc/passwd", "not a network namespace"],
      ["/etc/passwd/x", "not a directory"],
      ["", "not the path of a file"],
      ["/proc/self/ns/uts", "a namespace, but not a network namespace"],
    ] as const
  ) {
    assert.throws(() => lab.host.inspect(path), {
      code: "invalid",
      message:
        `ns_handle_path: "${path}" (${reason}): name the path of a network namespace, like /var/run/netns/NAME`,
    });
    assert.equal(lab.host.identity(path), undefined);
  }
});

Deno.test("no descriptor is left after 200 rounds, failed ones too", async () => {
  using lab = new KernelLab();
  const network = lab.network(), target = lab.target();
  const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
  const wanted = network.desired({ ...remote([2, 2]), veths: new Map([["sand0001", veth(target.path, 9)]]) });
  await network.settle(wanted);
  const before = descriptors();
  const bad: NetworkState = { ...wanted, veths: new Map([["sand0002", veth("/run/netns/nothing", 8)]]) };
  for (let round = 0; round < 200; round++) {
    await network.read(wanted);
    await network.read(bad);
    await network.kernel.readVeth("sand0001", target.path);
    await assert.rejects(
      network.kernel.carryOut([{ op: "arp-set", entries: wanted.arp }, {
        op: "veth-add",
        name: "sand0002",
        mtu: 1450,
        peer: bad.veths.get("sand0002")!.peer!,
      }]),
    );
    lab.host.inspect(target.path)[Symbol.dispose]();
  }
  await until("as many descriptors as before", (see) => see(descriptors()) <= before);
});

Deno.test("no descriptor of a namespace outlives a call: deleted by hand, it is gone with its VNI", async () => {
  using lab = new KernelLab();
  const network = lab.network(), wanted = network.desired(remote([2, 2]));
  for (let round = 0; round < 3; round++) {
    await network.settle(wanted);
    await run(["ip", "netns", "del", network.name]);
  }
  using other = new TestNamespace();
  assert.equal(await network.kernel.read(new Map([["sand0001", other.path]])), undefined);
  const vxlan = ["type", "vxlan", "id", `${network.vni}`, "dstport", "4789"];
  const name = `skw${Deno.pid}`;
  await until(
    "the VNI is free",
    async () => (await run(["ip", "link", "add", name, ...vxlan], { mayFail: true })).code === 0,
  );
  await run(["ip", "link", "del", name]);
});
