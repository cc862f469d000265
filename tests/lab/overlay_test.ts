/** The overlay lab itself: its check finds each kind of fault, and nothing is left after it. */
import assert from "node:assert/strict";
import { run } from "./host.ts";
import { reaches } from "./overlay_traffic.ts";
import { until } from "./until.ts";
import { OverlayLab } from "./overlay.ts";
import { endpointByHand, makeByHand, networkByHand, recordsByHand } from "./overlay_by_hand.ts";
import type { ApiNetwork } from "./overlay_api.ts";
import type { OverlayHost } from "./overlay_host.ts";
import { encodeBits } from "./overlay_store.ts";

/** A network made by hand on two hosts, in store and kernel, as an agent is to make it. */
async function handMade(lab: OverlayLab) {
  const network = networkByHand(7, "10.0.0.0/24", "10.0.0.1/24");
  const [a, b] = [await lab.host(1).container(), await lab.host(2).container()];
  const endpoints = [
    endpointByHand(network, lab.host(1), "10.0.0.2", a.path),
    endpointByHand(network, lab.host(2), "10.0.0.3", b.path),
  ];
  // A network that is trusted has no rules of ports.
  const settings = JSON.stringify({ network: { name: "blue" }, overlay: { trusted: true } });
  await lab.kv.write({
    ...recordsByHand(network, endpoints, encodeBits(256, [0, 1, 2, 3, 255])),
    [`/sc-net/strand/net/${network.id}/settings`]: settings,
  });
  for (const host of lab.hosts) {
    await makeByHand(host, network, endpoints, { learning: false });
    await rulesByHand(host, network, lab.hosts.filter((other) => other !== host));
  }
  return { network, endpoints, a, b };
}

/** What the host's rules for VXLAN and the network's have of it, as far as it is checked. */
async function rulesByHand(
  host: OverlayHost,
  { id, vxlan_vni: vni }: ApiNetwork,
  others: readonly OverlayHost[],
) {
  const leaving = `table bridge strand {
    chain arriving {
      type filter hook prerouting priority -301;
      iifname != vxlan0 accept
      udp dport 68 drop
      udp dport 546 drop
      icmpv6 type nd-router-advert drop
      ether type 0x8100 drop
      ether type 0x88a8 drop
      ether type 0x9100 drop
    }
    chain prerouting {
      type filter hook prerouting priority -300;
    }
    chain postrouting {
      type filter hook postrouting priority 0;
      oifname vxlan0 meta priority set 5374:0
    }
  }`;
  const vteps = `table ip strand {
    set counted { typeof @th,96,24; elements = { ${vni} }; }
    set vteps { typeof @th,96,24 . ip saddr; elements = { ${others.map(({ ip }) => `${vni} . ${ip}`)} }; }
  }`;
  await run(["nsenter", `--net=${host.namespaceOf(id)}`, "nft", "-f", "-"], { stdin: leaving });
  await run(host.host.enter(["nft", "-f", "-"]), { stdin: vteps });
}

Deno.test("OverlayLab: the check finds nothing in a network that is right, and each thing that is wrong", async () => {
  await using lab = await OverlayLab.create();
  const { network, endpoints, a } = await handMade(lab);
  assert.deepEqual(await lab.differences(), []);
  await reaches(a, "10.0.0.3");

  const h1 = lab.host(1), namespace = h1.namespaceOf(network.id);
  const veth = endpoints[0]?.overlay_veth_name;
  /** What the check says after a change, which is then taken back. */
  const after = async (change: string, back: string) => {
    const inside = (command: string) => run(["nsenter", `--net=${namespace}`, "sh", "-ec", command]);
    await inside(change);
    const found = await lab.differences();
    await inside(back);
    assert.deepEqual(await lab.differences(), [], back);
    return found.map((line) => line.replace(`h1: ${network.name} (${network.id}): `, "")).join("\n");
  };
  const learning = "ip link set vxlan0 type vxlan";
  assert.match(await after(`${learning} learning`, `${learning} nolearning`), /^vxlan0: learning is true/);
  assert.match(
    await after("ip link set br0 mtu 1400", "ip link set br0 mtu 1450"),
    /^br0: mtu is 1400, not 1450$/,
  );
  assert.match(
    await after(`ip link set ${veth} nomaster`, `ip link set ${veth} master br0`),
    /master is "", not "br0"$/,
  );
  assert.match(
    await after(
      "bridge fdb append 00:00:00:00:00:00 dev vxlan0 dst 10.99.0.12 self permanent",
      "bridge fdb del 00:00:00:00:00:00 dev vxlan0 dst 10.99.0.12 self",
    ),
    /^FDB: 00:00:00:00:00:00 → 10.99.0.12 should not be there$/,
  );
  assert.match(
    await after(
      "bridge fdb replace 02:84:0a:00:00:03 dev vxlan0 dst 10.99.0.12 self dynamic",
      "bridge fdb replace 02:84:0a:00:00:03 dev vxlan0 dst 10.99.0.12 self permanent",
    ),
    /^FDB: .* is not permanent$/,
  );
  assert.match(
    await after(
      "ip neighbour del 10.0.0.3 dev vxlan0",
      "ip neighbour add 10.0.0.3 lladdr 02:84:0a:00:00:03 dev vxlan0 nud permanent",
    ),
    /^ARP: 10.0.0.3 → 02:84:0a:00:00:03 is missing$/,
  );
  assert.match(
    await after(
      "ip link add sandffff type veth peer name sandfffe",
      "ip link del sandffff",
    ),
    /sandffff belongs to no endpoint/,
  );
  const key = `/sc-net/ipalloc/${network.id}`, record = await lab.kv.get(key);
  const bits = { ...JSON.parse(record ?? ""), bit_set: encodeBits(256, [0, 1, 2, 77, 255]) };
  await lab.kv.write({ [key]: JSON.stringify(bits) });
  assert.deepEqual(await lab.differences(), [
    `network ${network.name} (${network.id}): bit 77 is set without an endpoint`,
    `network ${network.name} (${network.id}): bit 3 is not set`,
  ]);
  await lab.kv.write({ [key]: record });
  await lab.kv.removeUnder(`/sc-net/node-endpoints/h1/`);
  assert.equal((await lab.differences()).length, 1);
  await lab.kv.removeUnder(`/sc-net/network-endpoints/`);
  const left = (await lab.differences()).join("\n");
  assert.match(left, /h1: sc-ns-\S+ is there for no network/);
  assert.match(left, /h2: container \S+: sand\w+ belongs to no endpoint/);
});

Deno.test("OverlayLab: a lab leaves nothing behind, nor does one whose process was killed", async () => {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--cached-only",
      "--no-check",
      `
      import { OverlayLab } from "${new URL("overlay.ts", import.meta.url)}";
      import { makeByHand, networkByHand } from "${new URL("overlay_by_hand.ts", import.meta.url)}";
      const lab = await OverlayLab.create({ hosts: 1 });
      await makeByHand(lab.host(1), networkByHand(3, "10.0.0.0/24", "10.0.0.1/24"), []);
      await lab.host(1).container();
      console.log(lab.host(1).directory);
      await new Promise((resolve) => setTimeout(resolve, 1e6));`,
    ],
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const directory = (await reader.read()).value?.trim() ?? "";
  // Once it is killed, any other test that makes a lab may be the one that removes what it left.
  assert.equal((await namespaces(child.pid)).length, 4);
  assert.match(await Deno.readTextFile("/proc/self/mountinfo"), new RegExp(directory));
  child.kill("SIGKILL");
  await reader.cancel();
  await child.status;
  {
    await using _lab = await OverlayLab.create({ hosts: 1 });
    // Another test that has made a lab at the same time may have begun to remove it.
    await until("it is gone", async (see) => see(await leftOf(child.pid, directory)).length === 0);
  }
  assert.deepEqual(await namespaces(Deno.pid), []);
});

/** What there is of a lab: its namespaces, mounts and directory. */
async function leftOf(pid: number, directory: string): Promise<string[]> {
  const mounts = (await Deno.readTextFile("/proc/self/mountinfo")).split("\n");
  const exists = await Deno.stat(directory).then(() => true, (error) => {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  });
  return [
    ...await namespaces(pid),
    ...mounts.filter((line) => line.includes(directory)),
    ...exists ? [directory] : [],
  ];
}

async function namespaces(pid: number): Promise<string[]> {
  const { stdout } = await run(["ip", "netns", "list"]);
  return stdout.split("\n").filter((line) => line.startsWith(`strand-overlay-${pid}-`));
}
