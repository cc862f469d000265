/** Networks of a host's kernel for tests: namespaces of their own, removed also when a test fails, checked by iproute2. */
import assert from "node:assert/strict";
import { removeNamespace } from "../../ffi/netns.ts";
import { HostKernel } from "../../services/agent/kernel/host.ts";
import type { NetworkKernel } from "../../services/agent/kernel/network.ts";
import { Ip } from "../../services/common/ip.ts";
import { macFromBytes } from "../../services/common/mac.ts";
import { diff } from "../../services/overlay/diff.ts";
import type { KernelOp } from "../../services/overlay/ops.ts";
import { macNumber, type NetworkState, type VethState } from "../../services/overlay/state.ts";
import { networkState } from "../../services/overlay/testing.ts";
import { TestNamespace } from "../ffi/namespaces.ts";
import { run } from "../lab/host.ts";
import { type Kernel, readKernel } from "../lab/overlay_kernel.ts";

export const VTEP = "192.0.2.1";

let serial = 0;

/** A host, its networks and the namespaces of containers. */
export class KernelLab implements Disposable {
  readonly host: HostKernel;
  readonly #networks: LabNetwork[] = [];
  readonly #targets: TestNamespace[] = [];

  constructor(options: { checksumOffload?: boolean } = {}) {
    this.host = new HostKernel({ vtep: Ip.parse(VTEP), ...options });
  }

  network(): LabNetwork {
    const network = new LabNetwork(this.host);
    this.#networks.push(network);
    return network;
  }

  target(): TestNamespace {
    const target = new TestNamespace();
    this.#targets.push(target);
    return target;
  }

  [Symbol.dispose](): void {
    for (const { path } of this.#networks) removeNamespace(path);
    for (const target of this.#targets) target[Symbol.dispose]();
    this.host[Symbol.dispose]();
  }
}

/** One network, with a VNI that no test in another process has. */
export class LabNetwork {
  readonly number = serial++;
  readonly name = `strand-kernel-${Deno.pid}-${this.number}`;
  readonly path = `/run/netns/${this.name}`;
  readonly vni = (Deno.pid % 16000) * 1000 + this.number + 1;
  readonly kernel: NetworkKernel;

  constructor(host: HostKernel) {
    this.kernel = host.network(this.path);
  }

  /** A whole network with these parts. */
  desired(parts: Partial<NetworkState> = {}, mtu = 1450): NetworkState {
    return networkState({ vni: this.vni, mtu }, parts);
  }

  /** As a periodic check does, which reads rules again only where the kernel says that they have changed. */
  read(desired: NetworkState | undefined): Promise<NetworkState | undefined> {
    const peers = [...desired?.veths ?? []].flatMap(([name, { peer }]) =>
      peer ? [[name, peer] as const] : []
    );
    return this.kernel.read(
      new Map(peers.map(([name, { netns }]) => [name, netns])),
      new Map(peers.map(([name, { mac }]) => [name, mac])),
      true,
    );
  }

  /** One look, one apply; the kernel is then as desired, by our look and by iproute2's. @returns what was done */
  async settle(desired: NetworkState | undefined, what = ""): Promise<KernelOp[]> {
    const ops = diff(await this.read(desired), desired);
    await this.kernel.carryOut(ops);
    const found = await this.read(desired);
    assert.deepEqual(found, desired, what);
    assert.deepEqual(diff(found, desired), [], what);
    if (desired) {
      checkState(await readKernel(this.path), desired, await kernelsOf(desired), what);
      await checkProxy(this.name, desired, what);
    } else assert.throws(() => Deno.lstatSync(this.path), Deno.errors.NotFound);
    return ops;
  }

  /** `ip` in the network's namespace, a command a line. */
  async ip(...commands: string[]): Promise<void> {
    await run(["ip", "-n", this.name, "-batch", "-"], { stdin: commands.join("\n") });
  }

  async bridge(...commands: string[]): Promise<void> {
    await run(["bridge", "-n", this.name, "-batch", "-"], { stdin: commands.join("\n") });
  }
}

/** An endpoint's veth, whose other end is in `netns`. */
export function veth(netns: string, last: number, mtu = 1450): VethState {
  const hex = last.toString(16).padStart(2, "0");
  return {
    mac: `06:00:00:00:00:${hex}`,
    mtu,
    inBridge: true,
    up: true,
    peer: {
      netns,
      name: `sand10${hex}`,
      mac: `02:84:0a:00:00:${hex}`,
      addresses: [`10.0.0.${last}/24`],
      mtu,
      up: true,
    },
  };
}

/** A remote endpoint's two entries: 10.0.0.N at host 192.0.2.H. */
export function remote(...endpoints: [last: number, host: number][]): Pick<NetworkState, "arp" | "fdb"> {
  const mac = (last: number) => macNumber("02:84:0a:00:00:00") + last;
  return {
    arp: new Map(endpoints.map(([last]) => [Ip.parse("10.0.0.0").u32 + last, mac(last)])),
    fdb: new Map(endpoints.map(([last, host]) => [mac(last), Ip.parse("192.0.2.0").u32 + host])),
  };
}

/** What iproute2 shows in the targets of a network. */
async function kernelsOf({ veths }: NetworkState): Promise<ReadonlyMap<string, Kernel>> {
  const paths = new Set([...veths.values()].flatMap(({ peer }) => peer?.netns ?? []));
  return new Map(
    await Promise.all([...paths].map(async (path) => [path, await readKernel(path)] as const)),
  );
}

/** What br0 answers ARP from, and what it knows to be behind which port, as iproute2 shows it. */
async function checkProxy(netns: string, { proxy, veths }: NetworkState, what: string): Promise<void> {
  const json = async (...command: string[]) => JSON.parse((await run(command)).stdout || "[]");
  const [neighbours, entries, links] = await Promise.all([
    json("ip", "-n", netns, "-j", "neigh", "show", "dev", "br0", "nud", "permanent"),
    json("bridge", "-n", netns, "-j", "fdb", "show", "br", "br0"),
    json("ip", "-n", netns, "-j", "-d", "link"),
  ]) as [
    { dst: string; lladdr: string }[],
    { mac: string; ifname: string; state?: string; flags?: string[] }[],
    {
      ifname: string;
      address: string;
      linkinfo?: { info_slave_data?: { flood: boolean; proxy_arp_wifi: boolean } };
    }[],
  ];
  const own = links.find(({ ifname }) => ifname === "br0")?.address ?? "";
  const text = (mac: number) =>
    mac ? macFromBytes(Uint8Array.fromHex(mac.toString(16).padStart(12, "0"))) : own;
  const arp = [...proxy?.arp ?? []].map(([address, mac]) => `${Ip.from4(address)} ${text(mac)}`);
  assert.deepEqual(neighbours.map(({ dst, lladdr }) => `${dst} ${lladdr}`).sort(), arp.sort(), what);
  const pinned = [
    ...[...proxy?.fdb ?? []].map((mac) => `${text(mac)} vxlan0`),
    ...[...veths].flatMap(([name, { pinned }]) => pinned ? [`${pinned} ${name}`] : []),
  ];
  const sticky = entries.filter(({ state, flags }) => state === "static" && flags?.includes("sticky"));
  assert.deepEqual(sticky.map(({ mac, ifname }) => `${mac} ${ifname}`).sort(), pinned.sort(), what);
  for (const { ifname, linkinfo } of links) {
    const port = linkinfo?.info_slave_data, isPinned = veths.get(ifname)?.pinned !== undefined;
    if (!port) continue;
    const answered = ifname === "vxlan0" ? proxy?.port === true : isPinned;
    assert.deepEqual([port.flood, port.proxy_arp_wifi], [!isPinned, answered], `${ifname} ${what}`);
  }
}

function checkState(
  found: Kernel,
  desired: NetworkState,
  targets: ReadonlyMap<string, Kernel>,
  what: string,
): void {
  const device = (kernel: Kernel | undefined, name: string, wanted: object) => {
    const seen = kernel?.devices.get(name);
    assert(seen, `${name} is missing: ${what}`);
    for (const [key, value] of Object.entries(wanted)) {
      assert.deepEqual(seen[key as keyof typeof seen], value, `${name}: ${key}: ${what}`);
    }
    return seen;
  };
  const { bridge, vxlan, veths, arp, fdb, loopbackUp } = desired;
  assert(bridge && vxlan);
  device(found, "lo", { up: loopbackUp });
  device(found, "br0", { kind: "bridge", up: bridge.up, mtu: bridge.mtu, addresses: bridge.addresses });
  const { mtu, up, vni: id, port, learning, proxy } = vxlan;
  const { data } = device(found, "vxlan0", { kind: "vxlan", mtu, up, master: "br0", elsewhere: true });
  const { l2miss, l3miss, local, id: i, port: p, learning: l, proxy: x } = data;
  assert.deepEqual([i, p, l, x, local, l2miss, l3miss], [id, port, learning, proxy, VTEP, true, true], what);
  for (const [name, { mac, mtu, up, peer }] of veths) {
    const near = device(found, name, { kind: "veth", mac, mtu, up, master: "br0" });
    if (!peer) continue;
    const { netns, name: far, mac: its, ...rest } = peer;
    const end = device(targets.get(netns), far, { kind: "veth", mac: its, ...rest });
    assert.deepEqual([near.peerIndex, end.peerIndex], [end.index, near.index], what);
  }
  assert.equal(found.devices.size, 3 + veths.size, [...found.devices.keys()].join());
  const ip = (value: number) => `${Ip.from4(value)}`;
  const mac = (value: number) => macFromBytes(Uint8Array.fromHex(value.toString(16).padStart(12, "0")));
  const texts = (entries: Kernel["arp"]) =>
    entries.map(({ from, to, permanent }) => `${from} ${to} ${permanent}`).sort();
  assert.deepEqual(texts(found.arp), [...arp].map(([a, m]) => `${ip(a)} ${mac(m)} true`).sort(), what);
  assert.deepEqual(texts(found.fdb), [...fdb].map(([m, v]) => `${mac(m)} ${ip(v)} true`).sort(), what);
}
