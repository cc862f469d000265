/** Hosts with as many endpoints of one network as a bridge has ports. */
import assert from "node:assert/strict";
import { Ip } from "../../services/common/ip.ts";
import { diff, diffVeth } from "../../services/overlay/diff.ts";
import { BRIDGE_MAC, MOST_PORTS } from "../../services/overlay/proxy.ts";
import { macNumber, type NetworkState, type VethState } from "../../services/overlay/state.ts";
import type { TestNamespace } from "../ffi/namespaces.ts";
import { Process, run } from "../lab/host.ts";
import { SteadyPing } from "../lab/overlay_traffic.ts";
import { KernelLab, type LabNetwork } from "./kernel_lab.ts";

const FIRST = Ip.parse("10.0.0.0").u32, MACS = macNumber("02:84:0a:00:00:00");
const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
const macOf = (n: number) => `02:84:0a:00:${hex(n >> 8, 2)}:${hex(n & 255, 2)}`;
const addressOf = (n: number) => `${Ip.from4(FIRST + n)}`;

/** The endpoint at 10.0.0.0 + n, with its other end in a namespace. */
function veth(n: number, netns: string, addresses: readonly string[], pinned: boolean): VethState {
  return {
    mac: `06:00:00:00:${hex(n >> 8, 2)}:${hex(n & 255, 2)}`,
    mtu: 1450,
    inBridge: true,
    up: true,
    ...pinned ? { pinned: macOf(n) } : {},
    peer: { netns, name: `e${n}`, mac: macOf(n), addresses, mtu: 1450, up: true },
  };
}

interface Crowd {
  readonly network: LabNetwork;
  readonly desired: (proxied: boolean) => NetworkState;
  /** Two containers with an endpoint each, at 10.0.0.2 and .3. */
  readonly client: TestNamespace;
  readonly other: TestNamespace;
}

/** So many endpoints here, most of them silent, and 64 elsewhere from 10.0.16.0 on. */
async function crowd(lab: KernelLab, size: number): Promise<Crowd> {
  const network = lab.network(), [client, other, silent] = [lab.target(), lab.target(), lab.target()];
  // Of a thousand, each would otherwise tell all others of its link-local address.
  for (const { name } of [client, other, silent]) {
    await run(["ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv6.conf.default.disable_ipv6=1"]);
  }
  const remote = Array.from({ length: 64 }, (_, i) => 4096 + i);
  const desired = (proxied: boolean) => {
    const veths = new Map<string, VethState>();
    for (let n = 2; n < size + 2; n++) {
      const container = [client, other][n - 2];
      const addresses = container ? [`${addressOf(n)}/16`] : [];
      veths.set(`sand${hex(n, 4)}`, veth(n, (container ?? silent).path, addresses, proxied));
    }
    const here = Array.from(veths.keys(), (name) => parseInt(name.slice(4), 16));
    return network.desired({
      bridge: { up: true, mtu: 1450, addresses: ["10.0.0.1/16"] },
      veths,
      arp: new Map(remote.map((n) => [FIRST + n, MACS + n])),
      fdb: new Map(remote.map((n) => [MACS + n, Ip.parse("192.0.2.2").u32])),
      ...proxied
        ? {
          proxy: {
            port: true,
            arp: new Map([
              [FIRST + 1, BRIDGE_MAC],
              ...[...here, ...remote].map((n) => [FIRST + n, MACS + n] as const),
            ]),
            fdb: new Set(remote.map((n) => MACS + n)),
          },
        }
        : {},
    });
  };
  return { network, desired, client, other };
}

/** Brings the kernel there, and sees that it is. @returns what was done */
async function settle(network: LabNetwork, wanted: NetworkState): Promise<string[]> {
  const ops = diff(await read(network, wanted), wanted);
  await network.kernel.carryOut(ops);
  assert.deepEqual(await read(network, wanted), wanted);
  return ops.map(({ op }) => op);
}

function read(network: LabNetwork, { veths }: NetworkState): Promise<NetworkState | undefined> {
  const of = <T>(value: (veth: VethState) => T | undefined) =>
    new Map([...veths].flatMap(([name, veth]) => {
      const found = value(veth);
      return found === undefined ? [] : [[name, found] as const];
    }));
  return network.kernel.read(of(({ peer }) => peer?.netns), of(({ peer }) => peer?.mac));
}

/** Asks for addresses with one ARP request each, all at once. @returns those that were not answered in a minute */
async function unanswered(from: TestNamespace, addresses: readonly string[]): Promise<string[]> {
  const script = `
import socket, struct, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
s.bind(("e2", 0x0806))
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
mac = bytes.fromhex("02840a000002")
asked = {socket.inet_aton(a) for a in sys.argv[1:]}
for a in asked:
    s.send(b"\\xff" * 6 + mac + b"\\x08\\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + mac + socket.inet_aton("10.0.0.2") + bytes(6) + a)
end = time.time() + 60
while asked and time.time() < end:
    s.settimeout(max(0.01, end - time.time()))
    try: frame = s.recv(100)
    except TimeoutError: break
    if frame[20:22] == b"\\x00\\x02" and frame[:6] == mac: asked.discard(frame[28:32])
print(*sorted(socket.inet_ntoa(a) for a in asked))`;
  const { stdout } = await run(["ip", "netns", "exec", from.name, "python3", "-c", script, ...addresses]);
  return stdout.trim().split(" ").filter(Boolean);
}

const within = ({ name }: TestNamespace) => ({
  inside: (command: readonly string[]) => ["ip", "netns", "exec", name, ...command],
});

const inside = (place: TestNamespace, command: string) =>
  run(within(place).inside(command.split(" ")), { mayFail: true });

const pings = async (from: TestNamespace, address: string) =>
  (await inside(from, `ping -n -c 1 -W 5 ${address}`)).code === 0;

Deno.test("with every port of a bridge taken ARP is answered for endpoints here, elsewhere and the gateway, in a burst too", async () => {
  using lab = new KernelLab();
  const { network, desired, client, other } = await crowd(lab, MOST_PORTS);
  const wanted = desired(true);
  await network.kernel.carryOut(diff(undefined, wanted));
  const elsewhere = Array.from({ length: 64 }, (_, i) => addressOf(4096 + i));
  const here = Array.from({ length: 64 }, (_, i) => addressOf(3 + i * 10));
  assert.deepEqual(await unanswered(client, [...elsewhere, ...here, "10.0.0.1"]), []);
  assert.ok(await pings(client, "10.0.0.3"));
  assert.ok(await pings(other, "10.0.0.1"));
  const more = diffVeth("sandffff", undefined, veth(5000, other.path, [], true));
  await assert.rejects(network.kernel.carryOut(more), {
    name: "Refusal",
    code: "exhausted",
    message: `the bridge br0 in ${network.path} has no port left, of 1022 for endpoints`,
  });
  // What could not be a port is not left behind.
  assert.equal(await network.kernel.readVeth("sandffff", other.path), undefined);
});

Deno.test("a host becomes crowded and is so no longer, as an agent of SAND's left it too, without a packet lost", async () => {
  using lab = new KernelLab();
  const { network, desired, client, other } = await crowd(lab, 20);
  const [plain, proxied] = [desired(false), desired(true)];
  // As SAND's agents make it: a bridge with the MAC of one of its ports, the lowest, and learning on vxlan0.
  await network.kernel.carryOut([{ op: "namespace-add" }]);
  await network.ip("link add br0 type bridge");
  await settle(network, plain);
  await network.ip("link set vxlan0 type vxlan learning");
  await using steady = new SteadyPing(within(client), "10.0.0.3");
  await using gateway = new SteadyPing(within(other), "10.0.0.1");
  for (let round = 0; round < 3; round++) {
    const there = await settle(network, proxied), back = await settle(network, plain);
    assert.deepEqual([...new Set(there)], [...round ? [] : ["vxlan-set"], "proxy-set", "veth-set"]);
    assert.deepEqual([...new Set(back)], ["proxy-remove", "veth-unpin"]);
  }
  await settle(network, proxied);
  // A port with a lower MAC than the others' does not change the bridge's any more.
  const mac = async () =>
    JSON.parse((await run(["ip", "-n", network.name, "-j", "link", "show", "br0"])).stdout)[0].address;
  const before = await mac();
  await network.ip(
    "link add low0 address 02:00:00:00:00:01 type veth peer name low1",
    "link set low0 master br0",
  );
  assert.equal(await mac(), before);
  for (const ping of [steady, gateway]) await ping.noneLost(10);
  assert.deepEqual(await unanswered(client, [addressOf(4096), "10.0.0.1", "10.0.0.3"]), []);
});

Deno.test("on a crowded host broadcasts, multicasts, gratuitous ARP and MACs that are no endpoint's arrive as ever", async () => {
  using lab = new KernelLab();
  const { network, desired, client, other } = await crowd(lab, 10);
  await settle(network, desired(true));
  // A second MAC behind an endpoint's port, as of a nested container or of VRRP, with an address that no endpoint has.
  const second = [
    "link add vip0 link e3 address 00:00:5e:00:01:07 type macvlan mode bridge",
    "link set vip0 up",
    "address add 10.0.0.200/16 dev vip0",
  ];
  await run(["ip", "-n", other.name, "-batch", "-"], { stdin: second.join("\n") });
  await inside(other, "sysctl -qw net.ipv4.conf.all.arp_ignore=1");
  assert.ok(await pings(client, "10.0.0.200"));
  assert.match((await inside(client, "ip neigh show 10.0.0.200")).stdout, /00:00:5e:00:01:07/);
  const script = `
import socket, sys, time
to = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
to.bind((sys.argv[1], 0))
to.settimeout(60)
frames = [bytes.fromhex(text) for text in sys.argv[2:]]
print("ready", flush=True)
while frames:
    frame = to.recv(2000)
    frames = [wanted for wanted in frames if frame[:len(wanted)] != wanted]
print("all")`;
  const arp = (op: number, mac: string, address: string) =>
    `ffffffffffff${mac}0806000108000604000${op}${mac}${address}ffffffffffff${address}`;
  const mac = "02840a000002";
  const frames = [
    // A broadcast and a multicast of any kind, and the two forms of gratuitous ARP, for an address that no endpoint has.
    `ffffffffffff${mac}88b5aa`,
    `01005e0000fb${mac}88b5bb`,
    arp(1, mac, "0a0000c8"),
    arp(2, mac, "0a0000c8"),
  ];
  const listening = new Process([
    "ip",
    "netns",
    "exec",
    other.name,
    "python3",
    "-c",
    script,
    "e3",
    ...frames,
  ]);
  try {
    await listening.line(/ready/);
    const send = `
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("e2", 0))
for text in sys.argv[1:]: s.send(bytes.fromhex(text).ljust(60, b"\\0"))`;
    await run(["ip", "netns", "exec", client.name, "python3", "-c", send, ...frames]);
    await listening.line(/all/);
  } finally {
    await listening.stop("SIGKILL");
  }
  // A guest that sends as another endpoint does not get that endpoint's packets.
  const spoof = `
import socket
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("e3", 0))
s.send(bytes.fromhex("ffffffffffff02840a00000288b5").ljust(60, b"\\0"))`;
  await run(["ip", "netns", "exec", other.name, "python3", "-c", spoof]);
  assert.ok(await pings(client, "10.0.0.1"));
});

const rebuilt = ["proxy-set"];
for (
  const [what, command, ops] of [
    ["flooding on", "ip link set sand0002 type bridge_slave flood on", ["veth-set"]],
    ["a port that is not answered for", "ip link set sand0002 type bridge_slave proxy_arp_wifi off", [
      "veth-set",
    ]],
    ["an endpoint's MAC forgotten", "bridge fdb del 02:84:0a:00:00:02 dev sand0002 master", ["veth-set"]],
    [
      "an endpoint's MAC behind another port",
      "bridge fdb replace 02:84:0a:00:00:02 dev sand0003 master static sticky",
      [
        "veth-set",
      ],
    ],
    ["an ARP entry of br0 gone", "ip neigh del 10.0.0.3 dev br0", rebuilt],
    ["a foreign ARP entry of br0", "ip neigh add 10.0.9.9 lladdr 02:00:00:00:00:99 dev br0", [
      "proxy-remove",
    ]],
    ["the gateway's gone", "ip neigh del 10.0.0.1 dev br0", rebuilt],
    ["vxlan0 not answered for", "ip link set vxlan0 type bridge_slave proxy_arp_wifi off", rebuilt],
    ["a MAC elsewhere forgotten", "bridge fdb del 02:84:0a:00:10:00 dev vxlan0 master", rebuilt],
    ["br0 with another MAC", "ip link set br0 address 02:00:00:00:00:42", rebuilt],
  ] as const
) {
  Deno.test(`on a crowded host drift is put right: ${what}`, async () => {
    using lab = new KernelLab();
    const { network, desired, client } = await crowd(lab, 4);
    const wanted = desired(true);
    await settle(network, wanted);
    const [program = "", ...args] = command.split(" ");
    await run([program, "-n", network.name, ...args]);
    assert.deepEqual(await settle(network, wanted), ops);
    assert.deepEqual(await unanswered(client, [addressOf(4096), "10.0.0.1", "10.0.0.3"]), []);
  });
}

for (
  const [what, ...commands] of [
    [
      "vxlan0 not answered for, and br0 without an address",
      "ip link set vxlan0 type bridge_slave proxy_arp_wifi off",
      "ip address flush dev br0",
    ],
    ["a port that is flooded to", "ip link set sand0002 type bridge_slave flood on"],
    ["a port that is not answered for", "ip link set sand0002 type bridge_slave proxy_arp_wifi off"],
    // An agent that is killed before it has forgotten the MAC leaves this.
    ["a port with nothing but its MAC", "ip link set sand0002 type bridge_slave flood on proxy_arp_wifi off"],
    ["a port without its MAC", "bridge fdb del 02:84:0a:00:00:02 dev sand0002 master"],
  ]
) {
  Deno.test(`a host that is no longer crowded keeps no pinned entry after changes by other programs: ${what}`, async () => {
    using lab = new KernelLab();
    const { network, desired, client } = await crowd(lab, 4);
    await settle(network, desired(true));
    for (const command of commands) {
      const [program = "", ...args] = command.split(" ");
      await run([program, "-n", network.name, ...args]);
    }
    await network.settle(desired(false));
    assert.deepEqual(await unanswered(client, [addressOf(4096), "10.0.0.1", "10.0.0.3"]), []);
  });
}
