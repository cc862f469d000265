/** Changes that other programs make to a network in the kernel are found and repaired by one comparison. */
import assert from "node:assert/strict";
import { readKernel } from "../lab/overlay_kernel.ts";
import { run } from "../lab/host.ts";
import { KernelLab, type LabNetwork, remote, veth, VTEP } from "./kernel_lab.ts";

/** Changes that are made to a network by hand. */
interface Drift {
  readonly what: string;
  /** In the network's namespace. */
  readonly ip?: readonly string[];
  readonly bridge?: readonly string[];
  /** In the namespace of the container that has sand0001's other end. */
  readonly target?: readonly string[];
  readonly command?: (network: LabNetwork, elsewhere: string) => readonly string[];
  /** What is done about it. */
  readonly ops: readonly string[];
}

const rebuilt = ["veth-add", "veth-set", "peer-set"];
const drifts: readonly Drift[] = [
  {
    what: "FDB entry removed",
    bridge: ["fdb del 02:84:0a:00:00:02 dev vxlan0 dst 192.0.2.2"],
    ops: ["fdb-set"],
  },
  {
    what: "FDB entry moved",
    bridge: ["fdb replace 02:84:0a:00:00:02 dev vxlan0 dst 192.0.2.9"],
    ops: ["fdb-set"],
  },
  {
    what: "foreign FDB entry",
    bridge: ["fdb add 02:00:00:00:00:99 dev vxlan0 dst 192.0.2.9"],
    ops: ["fdb-remove"],
  },
  { what: "ARP entry removed", ip: ["neigh del 10.0.0.2 dev vxlan0"], ops: ["arp-set"] },
  {
    what: "foreign neighbour",
    ip: ["neigh add 10.0.0.99 lladdr 02:00:00:00:00:99 dev vxlan0"],
    ops: ["arp-remove"],
  },
  {
    what: "flooding",
    bridge: ["fdb append 00:00:00:00:00:00 dev vxlan0 dst 192.0.2.9"],
    ops: ["flood-remove"],
  },
  { what: "learning on", ip: ["link set vxlan0 type vxlan learning"], ops: ["vxlan-set"] },
  { what: "vxlan0 deleted", ip: ["link del vxlan0"], ops: ["vxlan-add", "vxlan-set", "fdb-set", "arp-set"] },
  { what: "vxlan0 out of the bridge", ip: ["link set vxlan0 nomaster"], ops: ["vxlan-set"] },
  // The kernel drops its ARP entries then.
  { what: "vxlan0 down", ip: ["link set vxlan0 down"], ops: ["vxlan-set", "arp-set"] },
  // The bridge follows its ports as long as its own was not set.
  { what: "vxlan0 MTU", ip: ["link set vxlan0 mtu 1400"], ops: ["bridge-set", "vxlan-set"] },
  {
    what: "br0 deleted",
    ip: ["link del br0"],
    ops: ["bridge-add", "bridge-address-add", "bridge-set", "vxlan-set", "veth-set", "veth-set"],
  },
  {
    what: "br0 of another kind",
    ip: ["link del br0", "link add br0 type veth peer name sand0fff"],
    ops: [
      "veth-remove",
      "bridge-add",
      "bridge-address-add",
      "bridge-set",
      "vxlan-set",
      "veth-set",
      "veth-set",
    ],
  },
  { what: "br0 down", ip: ["link set br0 down"], ops: ["bridge-set"] },
  { what: "br0 MTU", ip: ["link set br0 mtu 1300"], ops: ["bridge-set"] },
  { what: "gateway address removed", ip: ["address del 10.0.0.1/24 dev br0"], ops: ["bridge-address-add"] },
  {
    what: "foreign address behind ours",
    ip: ["address add 10.0.0.77/24 dev br0"],
    ops: ["bridge-address-remove"],
  },
  {
    what: "foreign address before ours",
    ip: ["address flush dev br0", "address add 10.0.0.77/24 dev br0", "address add 10.0.0.1/24 dev br0"],
    ops: ["bridge-address-remove"],
  },
  {
    what: "another prefix length",
    ip: ["address flush dev br0", "address add 10.0.0.1/25 dev br0"],
    ops: ["bridge-address-remove", "bridge-address-add"],
  },
  { what: "lo down", ip: ["link set lo down"], ops: ["loopback-up"] },
  { what: "veth out of the bridge", ip: ["link set sand0001 nomaster"], ops: ["veth-set"] },
  { what: "veth down", ip: ["link set sand0001 down"], ops: ["veth-set"] },
  {
    what: "veth MTU and MAC",
    ip: ["link set sand0001 mtu 1400 address 02:00:00:00:00:01"],
    ops: ["veth-set"],
  },
  { what: "veth deleted", ip: ["link del sand0001"], ops: rebuilt },
  { what: "foreign veth", ip: ["link add sandffff type veth peer name foreign0"], ops: ["veth-remove"] },
  {
    what: "other end down, without address",
    target: ["address flush dev sand100b", "link set sand100b down"],
    ops: ["peer-set"],
  },
  { what: "other end renamed", target: ["link set sand100b name eth0"], ops: ["peer-set"] },
  {
    what: "other end's MAC and MTU",
    target: ["link set sand100b mtu 1400 address 02:00:00:00:00:02"],
    ops: ["peer-set"],
  },
  {
    what: "other end moved",
    command: (
      _,
      elsewhere,
    ) => [
      "ip",
      "-n",
      elsewhere,
      "link",
      "set",
      "sand100b",
      "netns",
      elsewhere.replace(/\d+$/, (n) => `${Number(n) + 1}`),
    ],
    ops: ["veth-remove", ...rebuilt],
  },
  {
    what: "namespace deleted",
    command: ({ name }) => ["ip", "netns", "del", name],
    ops: [
      "namespace-add",
      "loopback-up",
      "bridge-add",
      "bridge-address-add",
      "bridge-set",
      "vxlan-add",
      "vxlan-set",
      "fdb-set",
      "arp-set",
      ...rebuilt,
      ...rebuilt,
    ],
  },
];

Deno.test("drift of every kind is put right by one look and one apply, with no more than it takes", async (t) => {
  using lab = new KernelLab();
  const network = lab.network(), target = lab.target(), other = lab.target();
  assert.equal(Number(other.name.match(/\d+$/)), Number(target.name.match(/\d+$/)) + 1);
  const wanted = network.desired({
    ...remote([2, 2], [3, 2], [4, 3]),
    veths: new Map([["sand0001", veth(target.path, 11)], ["sand0002", veth(other.path, 12)]]),
  });
  await network.settle(wanted);
  for (const { what, ip, bridge, target: inTarget, command, ops } of drifts) {
    await t.step(what, async () => {
      if (ip) await network.ip(...ip);
      if (bridge) await network.bridge(...bridge);
      if (inTarget) await run(["ip", "-n", target.name, "-batch", "-"], { stdin: inTarget.join("\n") });
      if (command) await run(command(network, target.name));
      const done = await network.settle(wanted, what);
      assert.deepEqual(done.map(({ op }) => op), ops);
    });
  }
});

/** Entries for 10.0.0.2 or its MAC that are not just as ours. */
const oddArp = [
  "lladdr 02:84:0a:00:00:02 nud stale",
  "lladdr 02:84:0a:00:00:02 nud reachable",
  "lladdr 02:84:0a:00:00:02 nud noarp",
  "lladdr 02:84:0a:00:00:02 nud permanent router",
  "lladdr 02:84:0a:00:00:02 nud permanent extern_learn",
  "lladdr 02:84:0a:00:00:09 nud noarp",
  "nud failed",
];
const nexthop = Deno.pid * 2, group = nexthop + 1;
const oddFdb = [
  "dst 192.0.2.2 dynamic",
  "dst 192.0.2.9 dynamic",
  "dst 192.0.2.2 static",
  "dst 192.0.2.2 permanent router",
  "dst 192.0.2.2 permanent extern_learn",
  "dst 192.0.2.2 port 99",
  "dst 192.0.2.2 vni 99",
  "dst 192.0.2.2 via lo",
  `nhid ${group}`,
];

Deno.test("entries that are not just as ours are after one apply, wanted or not", async (t) => {
  using lab = new KernelLab();
  const network = lab.network(), wanted = network.desired(remote([2, 2], [3, 3])), none = network.desired();
  await network.settle(wanted);
  // Those of the underlay count.
  await run(["ip", "nexthop", "add", "id", `${nexthop}`, "via", "192.0.2.9", "fdb"]);
  using _gone = {
    [Symbol.dispose]: () =>
      void new Deno.Command("ip", { args: ["nexthop", "del", "id", `${nexthop}`] }).outputSync(),
  };
  await run(["ip", "nexthop", "add", "id", `${group}`, "group", `${nexthop}`, "fdb"]);
  for (const [state, name] of [[wanted, "wanted"], [none, "not wanted"]] as const) {
    for (const odd of oddArp) {
      await t.step(`ARP ${odd}, ${name}`, async () => {
        await network.settle(none);
        await network.ip(`neigh add 10.0.0.2 dev vxlan0 ${odd}`);
        await network.settle(state, odd);
      });
    }
    for (const odd of oddFdb) {
      await t.step(`FDB ${odd}, ${name}`, async () => {
        await network.settle(none);
        const command = `fdb add 02:84:0a:00:00:02 dev vxlan0 self ${odd}`;
        const { code, stderr } = await run(["bridge", "-n", network.name, ...command.split(" ")], {
          mayFail: true,
        });
        if (code) console.log(`not to be had: ${odd}: ${stderr.trim()}`);
        await network.settle(state, odd);
      });
    }
    await t.step(`FDB with several destinations, ${name}`, async () => {
      await network.settle(wanted);
      await network.bridge(
        "fdb append 02:84:0a:00:00:02 dev vxlan0 dst 192.0.2.7 self permanent",
        "fdb append 02:84:0a:00:00:02 dev vxlan0 dst 192.0.2.8 port 99 self permanent",
        "fdb append 00:00:00:00:00:00 dev vxlan0 dst 192.0.2.7 self permanent",
        "fdb append 00:00:00:00:00:00 dev vxlan0 dst 192.0.2.8 port 99 vni 7 self permanent",
      );
      await network.settle(state);
    });
  }
});

Deno.test("an old agent's vxlan0 is taken over as it is, learned entries and all", async () => {
  using lab = new KernelLab();
  const network = lab.network(), wanted = network.desired(remote([2, 2], [3, 3]));
  await network.settle(wanted);
  const before = (await readKernel(network.path)).devices.get("vxlan0")?.index;
  await network.ip("link set vxlan0 type vxlan learning");
  await network.bridge(
    // A wanted MAC that was learned at another port, and a MAC that no endpoint has any more.
    "fdb replace 02:84:0a:00:00:02 dev vxlan0 dst 192.0.2.9 self dynamic",
    "fdb add 02:84:0a:00:00:63 dev vxlan0 dst 192.0.2.9 self dynamic",
  );
  const ops = await network.settle(wanted);
  assert.deepEqual(ops.map(({ op }) => op), ["vxlan-set", "fdb-remove", "fdb-set"]);
  const { devices } = await readKernel(network.path);
  assert.deepEqual([devices.get("vxlan0")?.index, devices.get("vxlan0")?.data.local], [before, VTEP]);
});

Deno.test("a check reads rules again when they were changed, also when that was taken back, and not else", async () => {
  using lab = new KernelLab();
  const network = lab.network(), { containment } = lab.host, read = containment.read.bind(containment);
  let reads = 0;
  containment.read = (namespace) => (reads++, read(namespace));
  const readsOf = async (work: () => Promise<unknown>) => {
    const before = reads;
    await work();
    return reads - before;
  };
  const wanted = network.desired({ containment: { rules: "drop", own: new Set(["sand0001"]) } });
  const nft = (text: string) => run(["ip", "netns", "exec", network.name, "nft", ...text.split(" ")]);
  await network.settle(wanted);
  const look = async () => assert.deepEqual((await network.read(wanted))?.containment, wanted.containment);
  assert.equal(await readsOf(look), 0);
  await nft("add element bridge strand ports { sand0002 }");
  await nft("delete element bridge strand ports { sand0002 }");
  assert.equal(await readsOf(look), 1);
  await nft("add rule bridge strand prerouting accept");
  assert.equal((await network.read(wanted))?.containment?.rules, "edited");
  assert.deepEqual((await network.settle(wanted)).map(({ op }) => op), ["containment-add"]);
  assert.equal(await readsOf(look), 0);
  // Another namespace at the path may have as many changes behind it.
  await run(["ip", "netns", "del", network.name]);
  await run(["ip", "netns", "add", network.name]);
  assert.equal((await network.read(wanted))?.containment, undefined);
});
