/** What machines behind a device may send and ask for, as the other machines, dig, nft and etcd show it. */
import assert from "node:assert/strict";
import { libc } from "../../ffi/libc.ts";
import { openNamespace } from "../../ffi/netns.ts";
import { sendFrames } from "../../ffi/packet.ts";
import { macToBytes } from "../../services/common/mac.ts";
import { clientMessage } from "../../services/dhcpd/client_message.ts";
import { PAYLOAD_AT, writeFrame } from "../../services/dhcpd/frame.ts";
import { CLIENT_PORT, SERVER_PORT, Type } from "../../services/dhcpd/numbers.ts";
import { Dice } from "../lab/dice.ts";
import { run } from "../lab/host.ts";
import type { ApiEndpoint } from "../lab/overlay_api.ts";
import { compareContainment } from "../lab/overlay_containment.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { pings, reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";
import { GatewayLab } from "../overlay_names/gateway_lab.ts";
import { udhcpc } from "../lab/udhcpc.ts";
import { Machine } from "../overlay_names/ports.ts";
import { at } from "./attached.ts";

const ALL = "ff:ff:ff:ff:ff:ff", VM = "52:54:00:00:00:05", STRANGER = "52:54:00:00:00:99";

type Frame = Uint8Array<ArrayBuffer>;

/** A DISCOVER, or an empty datagram between two ports. */
function datagram(
  { from, to = ALL, source = 0, target = 0xffffffff, ports = [CLIENT_PORT, SERVER_PORT] }: {
    from: string;
    to?: string;
    source?: number;
    target?: number;
    ports?: readonly [number, number];
  },
): Frame {
  const payload = clientMessage({ type: Type.discover, mac: from }), out = new Uint8Array(2048);
  out.set(payload, PAYLOAD_AT);
  const length = writeFrame(out, 0, payload.length, {
    ...{ source, destination: target, sourcePort: ports[0], destinationPort: ports[1] },
    ...{ sourceMac: macToBytes(from), destinationMac: macToBytes(to) },
  });
  return out.slice(0, length);
}

/** An unsolicited ARP reply. */
function arp(from: string, sender: readonly [mac: string, ip: string]): Frame {
  const ip = sender[1].split(".").map(Number);
  const body = [0, 1, 8, 0, 6, 4, 0, 2, ...macToBytes(sender[0]), ...ip, ...macToBytes(ALL), ...ip];
  return Uint8Array.from([...macToBytes(ALL), ...macToBytes(from), 8, 6, ...body]);
}

function send(machine: Machine, frames: readonly Frame[]): void {
  const namespace = openNamespace(machine.host.path);
  try {
    sendFrames(namespace, "eth0", frames);
  } finally {
    libc.close(namespace);
  }
}

/** What the rules in the network's namespace have counted, by nft; frames that a machine's own kernel sends are among it. */
async function counted(host: OverlayHost, network: string): Promise<Record<string, number>> {
  const list = "nft -j list counters table bridge strand".split(" ");
  const { stdout } = await run(["nsenter", `--net=${host.namespaceOf(network)}`, ...list]);
  const found: Record<string, number> = {};
  for (const { counter } of JSON.parse(stdout).nftables) {
    if (counter) found[counter.name.replace("-spoofed", "")] = counter.packets;
  }
  return found;
}

async function ignored(host: OverlayHost, reason: string): Promise<number> {
  const { body } = await host.api.status("/metrics");
  return Number(new RegExp(`^agent_dhcp_ignored_total\\{reason="${reason}"\\} (\\d+)$`, "m").exec(body)?.[1]);
}

/** The port at which the network's bridge on a host has a MAC. */
async function learnedAt(host: OverlayHost, network: string, mac: string): Promise<string | undefined> {
  const list = ["nsenter", `--net=${host.namespaceOf(network)}`, "bridge", "-j", "fdb", "show", "br", "br0"];
  const entries: { mac: string; ifname: string; flags: string[] }[] = JSON.parse((await run(list)).stdout);
  return entries.find((entry) => entry.mac === mac && !entry.flags.includes("self"))?.ifname;
}

const number = (address: string) =>
  address.split(".").reduce((sum, octet) => (sum * 256 + Number(octet)) >>> 0, 0);

Deno.test("a machine behind a device sends with its own MAC and address alone", async (t) => {
  await using it = await GatewayLab.started({ hosts: 2 });
  const [one, two] = [it.host(1), it.host(2)];
  const blue = await it.network("blue", { overlay: { contain: true } });
  const [web, far] = [await one.attach(blue, { name: "web" }), await two.attach(blue, { name: "far" })];
  const vm = await Machine.behind(one, "vm0", VM);
  const setMac = (mac: string) => vm.host.run(["ip", "link", "set", "eth0", "address", mac]);
  assert.deepEqual((await at(one, "attach", "blue", "--device", "vm0", "--leases", "3"))[2], "");
  let address = "";

  await t.step("a machine that poses as an endpoint of this host or another gets no address", async () => {
    for (const [posing, reason] of [[web, "posing"], [far, "elsewhere"]] as const) {
      const mac = posing.endpoint.target_veth_mac, before = await ignored(one, reason);
      const frames = (await counted(one, blue)).unleased ?? 0;
      assert.ok(await pings(far.container, web.address));
      await setMac(mac);
      assert.equal((await vm.lease("-t", "2")).address, "");
      await until("both are counted", async (see) => see(await ignored(one, reason)) >= before + 2);
      send(vm, [arp(mac, [mac, posing.address]), datagram({ from: mac, source: number(posing.address) })]);
      await until(
        "its frames are counted",
        async (see) => see((await counted(one, blue)).unleased ?? 0) >= frames + 2,
      );
      assert.notEqual(await learnedAt(one, blue, mac), "vm0");
      assert.ok(await pings(far.container, web.address));
    }
    await setMac(VM);
  });

  await t.step("its lease is with its port in etcd, and it is reached from both hosts", async () => {
    address = (await vm.lease()).address;
    assert.notEqual(address, "");
    await reaches(vm.host, web.address);
    await reaches(far.container, address);
    const [lease] = await it.leases(blue);
    assert.deepEqual([lease?.strand_port, lease?.target_veth_mac], ["vm0", VM]);
  });

  await t.step("a container asks by DHCP too, and the gateway alone hears it", async () => {
    const heard = vm.host.spawn(["tcpdump", "-nlUi", "eth0", "udp port 67 or ether proto 0x88b5"]);
    try {
      await heard.line(/listening on/);
      const port = web.endpoint.target_veth_name,
        command = udhcpc.map((word) => word === "eth0" ? port : word);
      const { stderr } = await web.container.run(command);
      assert.match(stderr, new RegExp(`lease of ${web.address} obtained from 10\\.0\\.0\\.1,`));
      // A frame of no protocol, sent after it, has arrived.
      const last = `${VM}${web.endpoint.target_veth_mac}88b5`.replaceAll(":", "").padEnd(120, "0");
      const namespace = openNamespace(web.container.path);
      try {
        sendFrames(namespace, port, [Uint8Array.fromHex(last)]);
      } finally {
        libc.close(namespace);
      }
      await heard.line(/0x88b5/);
      assert.deepEqual(heard.lines.filter((line) => line.includes("BOOTP/DHCP")), []);
    } finally {
      await heard.stop("SIGKILL");
    }
  });

  await t.step("another address and another MAC are dropped and counted", async () => {
    const before = await counted(one, blue);
    await web.container.run(["ip", "neigh", "flush", "all"]);
    assert.ok(await pings(web.container, far.address));
    send(vm, [
      arp(VM, [VM, far.address]),
      arp(VM, [STRANGER, address]),
      datagram({ from: VM, source: number(far.address), ports: [1, 2] }),
      datagram({ from: VM, source: number(address), ports: [67, 68] }),
      datagram({ from: STRANGER, source: number(address), ports: [1, 2] }),
    ]);
    const wanted = {
      ...before,
      arp: (before.arp ?? 0) + 2,
      ipv4: (before.ipv4 ?? 0) + 1,
      "dhcp-server": (before["dhcp-server"] ?? 0) + 1,
      unleased: (before.unleased ?? 0) + 1,
    };
    await until("they are counted", async (see) => {
      const now = await counted(one, blue);
      see(now);
      return Object.entries(wanted).every(([kind, count]) => (now[kind] ?? 0) >= count);
    });
    const { stdout } = await web.container.run(["ip", "neigh", "show", far.address]);
    assert.match(stdout, new RegExp(far.endpoint.target_veth_mac));
    const { body } = await one.api.status("/metrics");
    assert.match(body, /agent_foreign_frames_total\{kind="unleased",verdict="dropped"\} [1-9]/);
  });

  await t.step("a port has no more leases than it may have, and status says so", async () => {
    for (const i of [6, 7]) {
      await setMac(`52:54:00:00:00:0${i}`);
      assert.notEqual((await vm.lease()).address, "");
    }
    await setMac("52:54:00:00:00:08");
    assert.equal((await vm.lease("-t", "2")).address, "");
    await until("both are counted", async (see) => see(await ignored(one, "port-full")) >= 2);
    const full = /vm0, a port of network blue, has 3 leases, as many as it may have, and more are asked for/;
    await until("status says so", async (see) => full.test(see((await one.api.status("/readyz")).body)));
    assert.match((await one.api.status("/readyz")).body, /strand attach blue --device vm0 --leases N/);
    assert.deepEqual((await at(one, "attach", "blue", "--device", "vm0", "--leases", "4"))[2], "");
    assert.notEqual((await vm.lease()).address, "");
    await until(
      "status says it no more",
      async (see) => !see((await one.api.status("/readyz")).body).includes("more are asked for"),
    );
    for (const wrong of ["0", "-1", "many", "70000"]) {
      const [code] = await at(one, "attach", "blue", "--device", "vm0", "--leases", wrong);
      assert.ok(code !== 0, wrong);
    }
  });

  await t.step("machines behind one device do not speak for each other", async () => {
    // The lease of the machine that had another MAC before goes on.
    const mac = "52:54:00:00:00:08", { address: its } = await vm.lease(), before = await counted(one, blue);
    send(vm, [
      arp(mac, [mac, address]),
      datagram({ from: mac, source: number(address), ports: [1, 2] }),
      arp(mac, [mac, its]),
      datagram({ from: mac, source: number(its), ports: [1, 2] }),
    ]);
    await until("they are counted", async (see) => {
      const now = await counted(one, blue);
      see(now);
      return (now.arp ?? 0) > (before.arp ?? 0) && (now.ipv4 ?? 0) > (before.ipv4 ?? 0);
    });
  });

  await t.step("frames of chance change nothing for others", async () => {
    const seed = Number(Deno.env.get("SEED") ?? Math.floor(Math.random() * 2 ** 32)), dice = new Dice(seed);
    console.log(`SEED=${seed}`);
    const known = [web.endpoint.target_veth_mac, far.endpoint.target_veth_mac],
      own = [...known, VM, "52:54:00:00:00:08"];
    const macs = [...own, STRANGER, ALL, "01:00:5e:00:00:12", "00:00:00:00:00:00"];
    const addresses = [
      web.address,
      far.address,
      address,
      "10.0.0.1",
      "0.0.0.0",
      "10.0.0.99",
      "255.255.255.255",
    ];
    const ports = [1, 53, 67, 68];
    const frame = () => {
      const from = dice.one(macs), to = dice.one(macs), ip = dice.one(addresses);
      const made = dice.between(0, 2) ? arp(from, [dice.one(macs), ip]) : datagram({
        from,
        to,
        source: number(ip),
        target: number(dice.one(addresses)),
        ports: [dice.one(ports), dice.one(ports)],
      });
      // Some have a VLAN's tag, another type, or an octet that is not right, or are cut off.
      const kind = dice.between(0, 8);
      if (kind === 0) return Uint8Array.from([...made.slice(0, 12), 0x81, 0, 0, 5, ...made.slice(12)]);
      if (kind === 1) made.set([dice.between(0, 256), dice.between(0, 256)], 12);
      if (kind === 2) made[dice.between(0, made.length)] = dice.between(0, 256);
      return kind === 3 ? made.slice(0, dice.between(14, made.length)) : made;
    };
    const before = await it.leases(blue),
      sum = async () => Object.values(await counted(one, blue)).reduce((a, b) => a + b);
    const dropped = await sum();
    for (let i = 0; i < 20; i++) send(vm, Array.from({ length: 50 }, frame));
    await until("most are dropped", async (see) => see(await sum()) > dropped + 300);
    for (const [client, it] of [[web.container, far], [far.container, web]] as const) {
      assert.ok(await pings(client, it.address));
      const { stdout } = await client.run(["ip", "neigh", "show", it.address]);
      assert.match(stdout, new RegExp(it.endpoint.target_veth_mac));
    }
    for (const mac of known) assert.notEqual(await learnedAt(one, blue, mac), "vm0");
    assert.equal((await one.api.status("/readyz")).status, 200);
    assert.equal((await it.leases(blue)).length, before.length);
  });

  await t.step("thousands of DISCOVERs from MACs of chance leave the others their leases", async () => {
    const dice = new Dice(4000), known = await it.leases(blue);
    const random = () => [0x52, ...Array.from({ length: 5 }, () => dice.between(0, 256))];
    const mac = () => random().map((octet) => octet.toString(16).padStart(2, "0")).join(":");
    for (let sent = 0; sent < 4000; sent += 200) {
      send(vm, Array.from({ length: 200 }, () => datagram({ from: mac() })));
    }
    await setMac(VM);
    await until("vm has its lease", async (see) => see((await vm.lease()).address) === address);
    await reaches(vm.host, far.address);
    assert.equal((await it.leases(blue)).length, known.length);
    const other = await Machine.behind(one, "vm1", "52:54:00:00:01:01");
    assert.deepEqual((await at(one, "attach", "blue", "--device", "vm1"))[2], "");
    assert.notEqual((await other.lease()).address, "");
    await reaches(other.host, address);
  });

  await t.step(
    "a machine at a port that another program has made gets no lease, until that is a device",
    async () => {
      const other = await Machine.on(one, blue, "52:54:00:00:02:01"), port = "port000201";
      const before = await ignored(one, "no-port");
      assert.equal((await other.lease("-t", "2")).address, "");
      await until("it is counted", async (see) => see(await ignored(one, "no-port")) >= before + 2);
      assert.equal(await learnedAt(one, blue, other.mac), undefined);
      assert.deepEqual((await at(one, "attach", "blue", "--device", port))[2], "");
      assert.notEqual((await other.lease()).address, "");
      await reaches(other.host, far.address);
      assert.deepEqual((await at(one, "detach", "blue", "--device", port))[2], "");
    },
  );

  await t.step("a killed agent and a detached device: the rules stay, and go", async () => {
    await one.kill();
    await setMac(STRANGER);
    const before = (await counted(one, blue)).unleased ?? 0;
    send(vm, [arp(STRANGER, [STRANGER, web.address])]);
    await until("it is dropped", async (see) => (see((await counted(one, blue)).unleased) ?? 0) > before);
    await one.start();
    await setMac(VM);
    assert.ok(await pings(vm.host, far.address));
    const records = await it.lab.kv.under("/sc-net/");
    const here = [...await it.lab.kv.under(`/sc-net/network-endpoints/${blue}/`)].map(([, text]) =>
      JSON.parse(text) as ApiEndpoint
    ).filter(({ hostname }) => hostname === "h1");
    const devices = ["vm0", "vm1"];
    assert.deepEqual(
      await compareContainment(records, blue, one.namespaceOf(blue), here, devices),
      [],
    );
    assert.deepEqual((await at(one, "detach", "blue", "--device", "vm0"))[2], "");
    const { stdout } = await run([
      ...[
        "nsenter",
        `--net=${one.namespaceOf(blue)}`,
        "nft",
        "list",
        "set",
        "bridge",
        "strand",
        "host-devices",
      ],
    ]);
    assert.doesNotMatch(stdout, /vm0/);
  });
});
