/**
 * From random kernel states, and after random interruptions, one application of the difference reaches the desired
 * state.
 */
import { randomFrom } from "../lab/dice.ts";
import { Ip } from "../../services/common/ip.ts";
import { diff } from "../../services/overlay/diff.ts";
import { BRIDGE_MAC } from "../../services/overlay/proxy.ts";
import type { NetworkState } from "../../services/overlay/state.ts";
import { singly } from "../../services/overlay/testing_kernel.ts";
import type { TestNamespace } from "../ffi/namespaces.ts";
import { run } from "../lab/host.ts";
import { KernelLab, type LabNetwork, remote, veth } from "./kernel_lab.ts";

const ROUNDS = 25;

Deno.test("from any state one apply reaches what is wanted, also when it is cut short and begun again", async () => {
  const seed = Number(Deno.env.get("STRAND_SEED") ?? Date.now() % 2 ** 31);
  const random = randomFrom(seed);
  using lab = new KernelLab(), restarted = new KernelLab();
  const networks = [lab.network(), lab.network(), lab.network()];
  const targets = [lab.target(), lab.target()];
  for (let round = 0; round < ROUNDS; round++) {
    const wanted = networks.map((network) => randomState(random, network, targets));
    const messes = networks.map(() => mess(random, targets));
    const cuts = networks.map(() => random(4) === 0 ? 0 : random(40));
    // Work on one network goes on beside work on the others.
    await Promise.all(networks.map(async (network, i) => {
      const desired = wanted[i], what = `seed ${seed}, round ${round}, network ${i}`;
      for (const command of messes[i] ?? []) {
        const [program = "", ...args] = command;
        const where = args[0] === "netns" ? [] : ["-n", network.name];
        await run([program, ...where, ...args.map((arg) => arg === "NETWORK" ? network.name : arg)], {
          mayFail: true,
        });
      }
      const other = random(3) === 0 ? restarted.host.network(network.path) : network.kernel;
      const ops = singly(diff(await network.read(desired), desired));
      await other.carryOut(ops.slice(0, cuts[i]));
      await network.settle(desired, what);
    }));
  }
});

function randomState(
  random: (n: number) => number,
  network: LabNetwork,
  targets: readonly TestNamespace[],
): NetworkState | undefined {
  if (random(6) === 0) return undefined;
  const mtu = [1450, 8950][random(2)]!;
  const entries = Array.from(
    { length: random(9) },
    (): [number, number] => [100 + random(12), 2 + random(3)],
  );
  const proxied = random(2) === 0;
  const veths = Array.from({ length: random(4) }, () => {
    const i = random(4);
    // Names of their own in targets that networks share.
    const last = 1 + i + 4 * (network.number % 3);
    const end = veth(targets[random(targets.length)]!.path, last, mtu), { peer } = end;
    return [`sand000${i}`, { ...end, ...proxied && peer ? { pinned: peer.mac } : {} }] as const;
  });
  const bridge = { up: true, mtu, addresses: [["10.0.0.1/24", "10.0.0.254/16"][random(2)]!] };
  const tables = remote(...entries);
  const proxy = {
    port: true,
    arp: new Map([[Ip.parse(bridge.addresses[0]!.split("/")[0]!).u32, BRIDGE_MAC], ...tables.arp]),
    fdb: new Set(tables.fdb.keys()),
  };
  const own = veths.flatMap(([name, { peer }]) =>
    peer
      ? [
        name,
        `${name} ${peer.mac}`,
        ...peer.addresses.map((cidr) => `${name} ${peer.mac} ${cidr.split("/")[0]}`),
      ]
      : []
  );
  const rules = (["drop", "count", undefined] as const)[random(3)];
  const containment = rules ? { containment: { rules, own: new Set(own) } } : {};
  const parts = { ...tables, ...proxied ? { proxy } : {}, ...containment, veths: new Map(veths), bridge };
  return network.desired(parts, mtu);
}

/** Some of what others may do to a network; what is not possible just now fails. */
function mess(random: (n: number) => number, targets: readonly TestNamespace[]): string[][] {
  const target = () => targets[random(targets.length)]!.name;
  const name = () => `sand000${random(4)}`;
  const kinds: (() => string)[] = [
    () => "ip link del vxlan0",
    () => "ip link set vxlan0 nomaster",
    () => "ip link set vxlan0 down mtu 1400",
    () => "ip link set vxlan0 type vxlan learning",
    () => "ip link del br0",
    () => "ip link set br0 down mtu 1300",
    () => "ip address flush dev br0",
    () => "ip address add 10.0.0.77/24 dev br0",
    () => "ip link set lo down",
    () => `ip link del ${name()}`,
    () => `ip link set ${name()} nomaster down`,
    () => `ip link set ${name()} mtu 1400 address 02:00:00:00:00:01`,
    () => `ip link set ${name()} netns ${target()}`,
    () => `ip link add ${name()} type veth peer name sandeeee`,
    () => `ip link add ${name()} type bridge`,
    () => `ip neigh replace 10.0.0.${100 + random(14)} lladdr 02:00:00:00:00:99 dev vxlan0`,
    () => `ip neigh del 10.0.0.${100 + random(12)} dev vxlan0`,
    () => `bridge fdb replace 02:84:0a:00:00:${64 + random(9)} dev vxlan0 dst 192.0.2.9 self dynamic`,
    () => `bridge fdb append 02:84:0a:00:00:${64 + random(9)} dev vxlan0 dst 192.0.2.8 port 7 self`,
    () => `bridge fdb append 00:00:00:00:00:00 dev vxlan0 dst 192.0.2.${9 + random(3)} self`,
    () => `bridge fdb del 02:84:0a:00:00:${64 + random(9)} dev vxlan0`,
    () => `ip neigh replace 10.0.0.${100 + random(14)} lladdr 02:00:00:00:00:99 dev br0 nud permanent`,
    () => `ip neigh del 10.0.0.${[1, 254, 100][random(3)]} dev br0`,
    () => `ip link set br0 address 02:00:00:00:00:0${random(9)}`,
    () => `ip link set vxlan0 type bridge_slave proxy_arp_wifi ${["on", "off"][random(2)]}`,
    () => `ip link set ${name()} type bridge_slave flood ${["on", "off"][random(2)]}`,
    () => `ip link set ${name()} type bridge_slave proxy_arp_wifi ${["on", "off"][random(2)]}`,
    () => `bridge fdb replace 02:84:0a:00:00:${64 + random(9)} dev vxlan0 master static`,
    () => `bridge fdb del 02:84:0a:00:00:0${1 + random(9)} dev ${name()} master`,
    () => "ip netns exec NETWORK nft flush ruleset",
    () => "ip netns exec NETWORK nft flush chain bridge strand prerouting",
    () => "ip netns exec NETWORK nft add rule bridge strand prerouting accept",
    () => `ip netns exec NETWORK nft flush set bridge strand ${["ports", "macs", "addresses"][random(3)]}`,
    () => `ip netns exec NETWORK nft add element bridge strand ports {${name()}}`,
    () => "ip netns del NETWORK",
  ];
  return Array.from({ length: random(5) }, () => kinds[random(kinds.length)]!().split(" "));
}
