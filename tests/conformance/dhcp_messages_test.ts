/** dhcpd's messages as scapy reads them: options, destinations, and messages that get no answer. */
import assert from "node:assert/strict";
import { openMini } from "../../services/nex/testing.ts";
import type { NexNetworkRecord } from "../../services/store/records.ts";
import { quickly } from "../lab/quickly.ts";
import { until } from "../lab/until.ts";
import { DhcpLab, type Replica } from "./dhcp_lab.ts";
import { option, scapy, type ScapyMessage } from "./dhcp_scapy.ts";

const mac = "00:00:99:00:00:01", stranger = "00:00:77:00:00:01";
const ALL_STATIONS = "ff:ff:ff:ff:ff:ff";
const hex = (text: string) => new TextEncoder().encode(text).toHex();

const mini: NexNetworkRecord = {
  ...openMini("00:00:99:00:00"),
  nameservers: ["10.0.0.1", "10.0.0.2"],
  siaddr: "10.0.0.5",
  leaseDuration: 3600,
  options: [
    { number: 26, value: "1450" },
    { number: 42, value: "10.0.0.3, 10.0.0.4" },
    { number: 43, value: "0x" + "ab".repeat(300) },
    { number: 66, value: "boot.mini.net" },
    { number: 67, value: "pxelinux.0" },
    { number: 121, value: "10.9.0.0/16 10.0.0.254, 0.0.0.0/0 10.0.0.1" },
  ],
};

/** One server on 10.0.0.1, and a host to send from. */
async function station(address?: string) {
  const lab = await DhcpLab.create(mini);
  const replica = await lab.replica(await lab.server("server", "10.0.0.1/24"));
  const host = await lab.client("client", mac);
  if (address) await host.run(["ip", "address", "add", address, "dev", "eth0"]);
  return { lab, replica, exchange: (...messages: ScapyMessage[]) => scapy(host, messages) };
}

Deno.test("scapy reads each option as the network has it, in the order asked for", async () => {
  const { lab, exchange } = await station();
  await using _ = lab;
  const wanted = [121, 42, 26, 119, 15, 6, 3, 1, 28, 66, 67, 33];
  const [offer] = await exchange({
    type: "discover",
    mac,
    options: [["param_req_list", wanted], ["client_id", "0x01000099000001"], ["max_dhcp_size", 1500]],
  });
  assert(offer);
  assert.deepEqual(offer.options, [
    ["message-type", 2],
    ["server_id", "10.0.0.1"],
    ["lease_time", 3600],
    ["renewal_time", 1800],
    ["rebinding_time", 3150],
    ["client_id", "01000099000001"],
    ["subnet_mask", "255.255.255.0"],
    ["classless_static_routes", ["10.9.0.0/16:10.0.0.254", "0.0.0.0/0:10.0.0.1"]],
    ["NTP_server", "10.0.0.3", "10.0.0.4"],
    ["interface-mtu", 1450],
    ["119", "046d696e69036e657400"],
    ["domain", hex("mini.net")],
    ["name_server", "10.0.0.1", "10.0.0.2"],
    ["router", "10.0.0.1"],
    ["broadcast_address", "10.0.0.255"],
    ["tftp_server_name", hex("boot.mini.net")],
    ["boot-file-name", hex("pxelinux.0")],
  ]);
  assert.equal(offer.siaddr, "10.0.0.5");
  assert.equal(offer.sname, "boot.mini.net");
  assert.equal(offer.file, "pxelinux.0");
  assert.equal(offer.yiaddr, "10.0.0.10");
});

Deno.test("a client's first DISCOVER is answered, and its first REQUEST: it need not send them again", async () => {
  const { lab, exchange } = await station();
  await using _ = lab;
  let client = 0;
  // Each try is a new client's. One that gets no answer takes longer than a try may take.
  const answers = await quickly(10_000, () => {
    const first = { mac: `00:00:99:00:00:1${client++}`, flags: 0x8000, tries: 1, timeout: 10 };
    return exchange(
      { ...first, type: "discover" },
      { ...first, type: "request", options: [["requested_addr", "192.168.1.1"]] },
    );
  });
  assert.deepEqual(answers.map((answer) => option(answer, "message-type")), [[2], [6]]);
});

Deno.test("long options come in pieces, and in file and sname where the client takes no more", async () => {
  const { lab, exchange } = await station();
  await using _ = lab;
  const discover = { type: "discover", mac };
  const [large, small] = await exchange(
    { ...discover, options: [["param_req_list", [43]], ["max_dhcp_size", 1500]] },
    { ...discover, options: [["param_req_list", [43, 66, 67, 42, 121]]] },
  );
  // RFC 3396: two pieces of 255 and 45 bytes.
  assert(large?.raw.includes("2bff" + "ab".repeat(255) + "2b2d" + "ab".repeat(45)));
  assert(small && small.length <= 548, `${small?.length} bytes`);
  assert(option(small, "dhcp-option-overload") ?? option(small, "52"), JSON.stringify(small.options));
});

Deno.test("replies go to the relay, to the broadcast address, or to the address that the client is about to have", async () => {
  const { lab, exchange } = await station("10.0.0.200/24");
  await using _ = lab;
  const discover = { type: "discover", mac };
  const [unicast, broadcast, relayed, nak, relayedNak] = await exchange(
    discover,
    { ...discover, flags: 0x8000 },
    { ...discover, giaddr: "10.0.0.200", from: "10.0.0.200" },
    { type: "request", mac, options: [["requested_addr", "192.168.1.1"]] },
    { type: "request", mac, giaddr: "10.0.0.200", options: [["requested_addr", "192.168.1.1"]] },
  );
  const where = (answer: typeof unicast) => answer && [answer.toMac, answer.to, answer.port];
  assert.deepEqual(where(unicast ?? null), [mac, "10.0.0.10", 68]);
  assert.deepEqual(where(broadcast ?? null), [ALL_STATIONS, "255.255.255.255", 68]);
  assert.deepEqual(where(relayed ?? null), [mac, "10.0.0.200", 67]);
  assert.deepEqual(where(nak ?? null), [ALL_STATIONS, "255.255.255.255", 68]);
  assert.deepEqual(where(relayedNak ?? null), [mac, "10.0.0.200", 67]);
  assert.deepEqual(option(nak ?? null, "message-type"), [6]);
  assert.equal(relayedNak?.flags, 0x8000);
  for (const answer of [unicast, broadcast, nak]) assert(answer?.checksums);
  assert.equal(unicast?.from, "10.0.0.1");
});

Deno.test("strangers, requests to another server and datagrams that pass by get silence", async () => {
  const { lab, replica, exchange } = await station();
  await using _ = lab;
  const silent = true, request = { type: "request", mac, silent };
  const toReplica = await macOf(replica), { ignored } = replica.server.counts;
  const counts = (["unknown-client", "other-server", "not-for-us", "late"] as const).map((why) => () =>
    ignored[why]
  );
  for (let tries = 1;; tries++) {
    const before = counts.map((count) => count());
    const since = () => counts.map((count, i) => count() - (before[i] ?? 0));
    const answers = await exchange(
      { type: "discover", mac: stranger, silent },
      { type: "request", mac: stranger, silent, options: [["requested_addr", "10.0.0.10"]] },
      { ...request, options: [["requested_addr", "10.0.0.10"], ["server_id", "10.0.0.9"]] },
      { ...request, to: "10.0.0.77", options: [["requested_addr", "10.0.0.10"]], toMac: toReplica },
      { ...request, toMac: "02:00:00:00:00:99", options: [["requested_addr", "10.0.0.10"]] },
    );
    assert.deepEqual(answers, [null, null, null, null, null]);
    await until("each is counted", (see) => see(since()).reduce((sum, count) => sum + count) === 4);
    if (since()[3] === 0) {
      assert.deepEqual(since(), [2, 1, 1, 0]);
      break;
    }
    assert.ok(tries < 5, "on a busy machine some waited too long in the socket, each time");
  }
  assert.equal(lab.view.member(mac), undefined);
});

async function macOf({ host }: Replica): Promise<string> {
  const { stdout } = await host.run(["ip", "-br", "link", "show", "eth0"]);
  return /([0-9a-f]{2}:){5}[0-9a-f]{2}/.exec(stdout)?.[0] ?? "";
}

Deno.test("INFORM from a host that has its address; rapid commit; option 82 comes back last", async () => {
  const { lab, exchange } = await station("10.0.0.10/24");
  await using _ = lab;
  const relay = "0x0104deadbeef";
  const [ack, informed, offer] = await exchange(
    { type: "discover", mac, options: [["80", "0x"]] },
    { type: "inform", mac, ciaddr: "10.0.0.10", from: "10.0.0.10", options: [["param_req_list", [6]]] },
    { type: "discover", mac, giaddr: "10.0.0.10", options: [["82", relay], ["param_req_list", [3, 82]]] },
  );
  assert.deepEqual(option(ack ?? null, "message-type"), [5]);
  assert.equal(ack?.raw.includes("5000"), true);
  await until("the lease is in etcd", (see) => see(lab.view.member(mac)?.ip4) === "10.0.0.10");
  assert.equal(informed?.to, "10.0.0.10");
  assert.equal(informed?.yiaddr, "0.0.0.0");
  assert.equal(option(informed ?? null, "lease_time"), undefined);
  assert.deepEqual(option(informed ?? null, "name_server"), ["10.0.0.1", "10.0.0.2"]);
  assert.equal(offer?.raw.replace(/(00)*$/, "").endsWith("5206" + relay.slice(2) + "ff"), true);
});

Deno.test("DECLINE: the address is put aside, and the client gets another", async () => {
  const { lab, replica, exchange } = await station();
  await using _ = lab;
  const server = ["server_id", "10.0.0.1"] as const;
  const options = [["requested_addr", "10.0.0.10"], server] as const;
  await exchange({ type: "request", mac, options });
  await until("dhcpd shows the lease", (see) => see(replica.view.member(mac)?.ip4) === "10.0.0.10");
  const isPutAside = () => replica.view.withheld.has("10.0.0.10");
  // It has no answer, and is dropped where it waits for long: it is sent again then.
  await until("dhcpd has put it aside", async () => {
    await exchange({ type: "decline", mac, options });
    return await until("it is aside", isPutAside, 5_000).then(() => true, () => false);
  });
  const [offer] = await exchange({ type: "discover", mac });
  assert.equal(offer?.yiaddr, "10.0.0.11");
  await until("it is in quarantine", () => lab.view.withheld.has("10.0.0.10"));
  assert.equal(replica.lines.filter((line) => line.includes("in use by another machine")).length, 1);
});

Deno.test("one replica sees the DISCOVER, another the REQUEST", async () => {
  await using lab = await DhcpLab.create(mini);
  const hosts = [
    await lab.server("s1", "10.0.0.2/24", "10.0.0.1/32"),
    await lab.server("s2", "10.0.0.3/24", "10.0.0.1/32"),
  ];
  const replicas = [];
  for (const host of hosts) replicas.push(await lab.replica(host));
  const [first, second] = replicas;
  assert(first && second);
  const host = await lab.client("client", mac);
  const [offer, ack] = await scapy(host, [
    { type: "discover", mac, to: "10.0.0.1", toMac: await macOf(first) },
    {
      type: "request",
      mac,
      to: "10.0.0.1",
      toMac: await macOf(second),
      options: [["requested_addr", "10.0.0.10"], ["server_id", "10.0.0.1"]],
    },
  ]);
  assert.equal(offer?.yiaddr, "10.0.0.10");
  assert.deepEqual(option(ack ?? null, "message-type"), [5]);
  assert.deepEqual([first.server.counts.offer, first.server.counts.ack], [1, 0]);
  assert.deepEqual([second.server.counts.offer, second.server.counts.ack], [0, 1]);
});

Deno.test("nmap's dhcp-discover is informed", async () => {
  await using lab = await DhcpLab.create({
    ...mini,
    macRange: { begin: "00:00:00:00:00:00", end: "ff:ff:ff:ff:ff:ff" },
  });
  await lab.replica(await lab.server("server", "10.0.0.1/24"));
  const host = await lab.client("client", mac);
  await host.run(["ip", "address", "add", "10.0.0.200/24", "dev", "eth0"]);
  const nmap = (...args: string[]) => host.run(["nmap", "-n", "-e", "eth0", ...args]);
  // Each script waits for some seconds, in which a busy machine may not answer.
  let stdout = "";
  await until("it is informed", async (see) => {
    stdout = see((await nmap("-sU", "-p", "67", "-Pn", "--script", "dhcp-discover", "10.0.0.1")).stdout);
    return /DHCP Message Type: DHCPACK/.test(stdout);
  });
  assert.match(stdout, /Router: 10\.0\.0\.1/);
  const args = ["--script", "broadcast-dhcp-discover", "--script-args", "broadcast-dhcp-discover.timeout=2"];
  let broadcast = "";
  await until("it is offered an address", async (see) => {
    broadcast = see((await nmap(...args)).stdout);
    return /IP Offered: 10\.0\.0\.\d+/.test(broadcast);
  });
  assert.match(broadcast, /Domain Name: mini\.net/);
});

Deno.test("an interface that is deleted and made again is served again, with a line for each", async () => {
  await using lab = await DhcpLab.create(mini);
  const server = await lab.server("server", "10.0.0.1/24");
  const replica = await lab.replica(server, ["eth0", "eth1"]);
  assert.deepEqual(replica.server.missing, ["eth1"]);
  const host = await lab.client("client", mac);
  const offered = async (more: Partial<ScapyMessage> = {}) =>
    (await scapy(host, [{ type: "discover", mac, ...more }]))[0]?.yiaddr;
  assert.equal(await offered(), "10.0.0.10");
  await server.run(["ip", "link", "set", "eth0", "down"]);
  await server.run(["ip", "link", "set", "eth0", "up"]);
  assert.equal(await offered(), "10.0.0.10");
  await server.run(["ip", "link", "del", "eth0"]);
  await until("it is missed", (see) => see(replica.server.missing.length) === 2);
  assert.equal(await offered({ silent: true }), undefined);
  await lab.lab.join(server, lab.lan, { name: "eth0", address: "10.0.0.1/24" });
  await until("it is back", (see) => see(replica.server.missing.length) === 1);
  assert.equal(await offered(), "10.0.0.10");
  const lines = () => replica.lines.filter((line) => line.includes("interface=eth0"));
  await until("each is in the log", (see) => see(lines()).length >= 3);
  assert.equal(lines().length, 3, replica.lines.join(""));
});
