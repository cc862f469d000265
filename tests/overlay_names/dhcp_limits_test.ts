import assert from "node:assert/strict";
import { libc } from "../../ffi/libc.ts";
import { openNamespace } from "../../ffi/netns.ts";
import { sendFrames } from "../../ffi/packet.ts";
import { Ip } from "../../services/common/ip.ts";
import { macToBytes } from "../../services/common/mac.ts";
import { type ClientMessage, clientMessage } from "../../services/dhcpd/client_message.ts";
import { PAYLOAD_AT, writeFrame } from "../../services/dhcpd/frame.ts";
import { CLIENT_PORT, Opt, SERVER_PORT, Type } from "../../services/dhcpd/numbers.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { LeaseClient } from "../bench/lease_client.ts";
import { until } from "../lab/until.ts";
import { dig, GatewayLab } from "./gateway_lab.ts";
import { ipIn, Machine } from "./ports.ts";

const mac = (number: number) => `52:54:00:00:00:${number.toString(16).padStart(2, "0")}`;

/** A DISCOVER as a machine sends it; `to`: the frame's destination. */
function discover(from: string, to?: string): Uint8Array<ArrayBuffer> {
  return framed({ type: Type.discover, mac: from }, to);
}

function framed(message: ClientMessage, to = "ff:ff:ff:ff:ff:ff"): Uint8Array<ArrayBuffer> {
  const payload = clientMessage(message), from = message.mac;
  const out = new Uint8Array(2048);
  out.set(payload, PAYLOAD_AT);
  const addresses = {
    source: 0,
    destination: 0xffffffff,
    sourcePort: CLIENT_PORT,
    destinationPort: SERVER_PORT,
  };
  const macs = { sourceMac: macToBytes(from), destinationMac: macToBytes(to) };
  return out.slice(0, writeFrame(out, 0, payload.length, { ...addresses, ...macs }));
}

/** Sends frames out of a link of a namespace, some at a time. */
function send(path: string, link: string, frames: readonly Uint8Array<ArrayBuffer>[]): void {
  const namespace = openNamespace(path);
  try {
    sendFrames(namespace, link, frames);
  } finally {
    libc.close(namespace);
  }
}

/** A counter of gatewayd's or the agent's. */
async function count(it: GatewayLab, host: OverlayHost, name: string, label: string): Promise<number> {
  const own = name.startsWith("gatewayd")
    ? await it.status(host, "/metrics")
    : await host.api.status("/metrics");
  const line = own.body.split("\n").find((line) =>
    line.startsWith(`${name}{`) && line.includes(`"${label}"`)
  );
  return Number(line?.split(" ").at(-1) ?? NaN);
}

/** Waits until the agent has counted two messages that it ignored for that reason. */
function counted(it: GatewayLab, host: OverlayHost, reason: string): Promise<void> {
  const ignored = () => count(it, host, "agent_dhcp_ignored_total", reason);
  return until(`two are ignored: ${reason}`, async (see) => see(await ignored()) >= 2);
}

/** Each begins without a network. */
const cases: readonly (readonly [name: string, holds: (it: GatewayLab) => Promise<void>])[] = [
  [
    "DHCP that is switched off, comes from another host, or asks for what others need, and machines that move",
    limits,
  ],
  ["a reply waits until its client's port can send", waits],
  ["machines behind one port decline and renew no more than their share", shares],
  [
    "etcd and hosts go away: known machines renew, names resolve, and leases of a host that is gone end",
    away,
  ],
];

Deno.test("DHCP where it is refused, limited, or cut off", async (t) => {
  await using it = await GatewayLab.started({ hosts: 2 });
  for (const [name, holds] of cases) {
    await t.step(name, async () => {
      await it.lab.clear();
      await holds(it);
    });
  }
});

async function limits(it: GatewayLab) {
  const [one, two] = [it.host(1), it.host(2)];
  const blue = await it.network("blue", { network: { lease_duration: 3600 } });
  const web = await one.attach(blue, { name: "web" });
  await two.attach(blue);
  const vm = await Machine.on(one, blue, mac(1));

  // Switched off, and on again; a range of MACs.
  await it.settings(blue, { network: { name: "blue" }, overlay: { dhcp: false } });
  await until("DHCP is off", async () => (await vm.lease("-t", "1")).address === "");
  assert.deepEqual((await dig(vm.host, "web")).lines, []);
  const begin = "52:54:00:00:00:00", end = "52:54:00:00:00:7f";
  await it.settings(blue, { network: { name: "blue", macRange: { begin, end } } });
  let address = "";
  await until("DHCP is on", async () => (address = (await vm.lease("-x", "hostname:vm")).address) !== "");
  const stranger = await Machine.on(one, blue, mac(0x80));
  assert.equal((await stranger.lease("-t", "2")).address, "");
  await counted(it, one, "unknown-client");
  await it.settings(blue, { network: { name: "blue" } });

  // Without a domain a single label is a name, and a machine of agents' own MACs gets nothing.
  await until("vm resolves", async (see) => see(await dig(web.container, "vm")).lines.join() === address);
  const posing = await Machine.on(one, blue, "02:84:0a:00:00:63");
  assert.equal((await posing.lease("-t", "2")).address, "");

  // The same MAC on another host gets nothing while its lease runs, and that address once it is given back.
  const moved = await Machine.on(two, blue, mac(1));
  assert.equal((await moved.lease("-t", "2")).address, "");
  await counted(it, two, "elsewhere");
  await two.agent.line(new RegExp(`${mac(1)} asks for an address here, and has ${address} on h1`));
  assert.deepEqual((await it.leases(blue)).map(({ hostname }) => hostname), ["h1"]);
  const client = vm.client();
  await client.line(/lease of .* obtained/);
  await client.stop();
  await until("it is given back", async () => (await it.leases(blue)).length === 0);
  assert.equal((await moved.lease()).address, address);

  // What comes over VXLAN is counted, and not answered.
  const before = await count(it, one, "gatewayd_dhcp_events_total", "asked");
  send(two.namespaceOf(blue), "vxlan0", [discover(mac(9), web.endpoint.target_veth_mac)]);
  await until(
    "the frame has come over VXLAN",
    async () => await count(it, one, "gatewayd_dhcp_events_total", "tunnel") === 1,
  );
  assert.equal(await count(it, one, "gatewayd_dhcp_events_total", "asked"), before);

  // A port that asks for thousands of machines leaves addresses for the others.
  const flood = Array.from(
    { length: 4000 },
    (_, i) => discover(`52:54:00:01:${hex(i >> 8)}:${hex(i & 0xff)}`),
  );
  await ipIn(vm.host.path, "link set eth0 up");
  for (const part of chunks(flood, 100)) {
    send(vm.host.path, "eth0", part);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await until(
    "some are dropped",
    async () => await count(it, one, "gatewayd_dhcp_events_total", "limited") > 0,
  );
  assert.notEqual((await stranger.lease()).address, "");
  assert.equal((await it.leases(blue)).length, 2);
}

function hex(octet: number): string {
  return octet.toString(16).padStart(2, "0");
}

function chunks<T>(list: readonly T[], size: number): T[][] {
  return Array.from(
    { length: Math.ceil(list.length / size) },
    (_, i) => list.slice(i * size, (i + 1) * size),
  );
}

async function away(it: GatewayLab) {
  const [one, two] = [it.host(1), it.host(2)];
  const blue = await it.network("blue", { network: { lease_duration: 60 } });
  const web = await one.attach(blue, { name: "web" });
  await two.attach(blue);
  const vm = await Machine.on(one, blue, mac(1)), other = await Machine.on(one, blue, mac(2));
  const { address } = await vm.lease("-x", "hostname:vm"), client = vm.client("-x", "hostname:vm");
  await client.line(/lease of .* obtained/);

  // etcd is away.
  const obtained = () => client.lines.filter((line) => line.includes("obtained")).length;
  await it.lab.etcd.kill();
  const before = obtained();
  // A second signal would make it begin again, for which it needs etcd.
  client.signal("SIGUSR1");
  await until("it is renewed without etcd", () => obtained() > before);
  assert.deepEqual((await dig(web.container, "vm")).lines, [address]);
  assert.equal((await other.lease("-t", "2")).address, "");
  await it.lab.etcd.start();
  await until("etcd is followed again", async () => (await other.lease("-t", "2")).address !== "");

  // The agent and gatewayd are started again while a machine asks.
  await one.kill();
  await one.start();
  assert.equal((await vm.lease()).address, address);
  await it.gatewayd(one).stop("SIGKILL");
  const leasing = other.lease("-t", "30");
  await it.start(one);
  assert.notEqual((await leasing).address, "");

  // The other host's kernel has what etcd has.
  await client.stop("SIGKILL");
  await it.lab.agree({ hosts: [two] });

  // A host's leases are its own while it is there, however wrong another one's clock is; when it is gone, others end them.
  await two.kill();
  await two.start({ STRAND_TEST_CLOCK_OFFSET: "600" });
  assert.notEqual((await vm.lease()).address, "");
  await one.kill();
  await until(
    "the leases of the host that is gone are gone",
    async () => (await it.leases(blue)).length === 0,
  );
  await it.lab.agree({ hosts: [two] });
}

async function waits(it: GatewayLab) {
  const one = it.host(1), blue = await it.network("blue");
  await one.attach(blue);
  const vm = await Machine.on(one, blue, mac(1)), port = "port000001";
  using client = new LeaseClient(vm.host.path, 60_000);
  await client.exchange(mac(1));
  const requested = () => count(it, one, "gatewayd_dhcp_events_total", "asked");
  const offered = () => count(it, one, "agent_dhcp_messages_total", "offer");
  const before = { asked: await requested(), offered: await offered() };
  let lease: Promise<number>;
  Deno.kill(one.agent.pid, "SIGSTOP");
  try {
    lease = client.exchange(mac(2));
    lease.catch(() => {});
    await until("gatewayd asks the agent", async (see) => see(await requested()) > before.asked);
    await ipIn(one.namespaceOf(blue), `link set ${port} down`);
  } finally {
    Deno.kill(one.agent.pid, "SIGCONT");
  }
  await until("the agent has answered", async (see) => see(await offered()) > before.offered);
  await ipIn(one.namespaceOf(blue), `link set ${port} up`);
  assert.ok(await lease > 0);
}

async function shares(it: GatewayLab) {
  const one = it.host(1), blue = await it.network("blue");
  await one.attach(blue);
  const vm = await Machine.on(one, blue, mac(1)), other = await Machine.on(one, blue, mac(2));
  using client = new LeaseClient(vm.host.path, 60_000);
  for (let n = 0x10; n < 0x1b; n++) await client.exchange(mac(n));
  const leases = (await it.leases(blue)).map(({ target_veth_mac, target_veth_ip }) => ({
    mac: String(target_veth_mac),
    address: Ip.parse(String(target_veth_ip).split("/")[0] ?? ""),
  }));
  assert.equal(leases.length, 11);

  // Machines that renew hundreds of times a second have some of that written.
  const renewals = leases.flatMap(({ mac, address }) =>
    Array.from({ length: 40 }, (_, xid) => framed({ type: Type.request, mac, xid, ciaddr: address.u32 }))
  );
  const revision = await it.lab.kv.revision();
  for (const part of chunks(renewals, 44)) {
    send(vm.host.path, "eth0", part);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await counted(it, one, "port-writes");
  assert.notEqual((await other.lease()).address, "");
  assert.ok(await it.lab.kv.revision() - revision < 250);

  // The share of writes is there again, and eight of eleven declined addresses are put aside.
  const decline = ({ mac, address }: typeof leases[number]) =>
    framed({ type: Type.decline, mac, options: [[Opt.requestedAddress, address.bytes]] });
  await until("as many are put aside as may be", async (see) => {
    send(vm.host.path, "eth0", leases.map(decline));
    return see([...await it.lab.kv.under(`/sc-net/strand/net/${blue}/withheld/`)].length) === 8;
  });
  await counted(it, one, "port-declines");
  assert.match(
    (await one.api.status("/readyz")).body,
    /port\d+, a port of network blue, has declined 8 addresses/,
  );
  assert.equal([...await it.lab.kv.under(`/sc-net/strand/net/${blue}/withheld/`)].length, 8);
}
