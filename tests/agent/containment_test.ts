/** Containment: frames that are not a port's own, as the other machines' ARP tables, tcpdump's counters and nft show them. */
import assert from "node:assert/strict";
import { libc } from "../../ffi/libc.ts";
import { openNamespace } from "../../ffi/netns.ts";
import { sendFrames } from "../../ffi/packet.ts";
import { fileURLToPath } from "node:url";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { Attached, OverlayHost } from "../lab/overlay_host.ts";
import { pings, reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

const GATEWAY = "10.0.0.1", OTHER = "10.0.0.77", OTHER_MAC = "02:00:00:00:00:77", ALL = "ff:ff:ff:ff:ff:ff";

const WITHOUT = new URL("../lab/without_netfilter.py", import.meta.url);

const mac = (text: string) => text.split(":").map((octet) => parseInt(octet, 16));
const ip = (text: string) => text.split(".").map(Number);
const frame = (to: string, from: string, type: number[], ...payload: number[]) =>
  Uint8Array.from([...mac(to), ...mac(from), ...type, ...payload]);

/** An unsolicited ARP reply. */
function arp(from: string, to: string, sender: [mac: string, ip: string], target: string) {
  const body = [0, 1, 8, 0, 6, 4, 0, 2, ...mac(sender[0]), ...ip(sender[1]), ...mac(to), ...ip(target)];
  return frame(to, from, [8, 6], ...body);
}

function udp(to: string, from: string, source: string, target: string, ports: [number, number]) {
  const header = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, ...ip(source), ...ip(target)];
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += (header[i] ?? 0) << 8 | (header[i + 1] ?? 0);
  sum = ~(sum % 0xffff) & 0xffff;
  header[10] = sum >> 8, header[11] = sum & 0xff;
  return frame(to, from, [8, 0], ...header, ...ports.flatMap((port) => [port >> 8, port & 0xff]), 0, 8, 0, 0);
}

/** A frame with tags, or what stands for them, before its type. */
const tagged = (plain: Uint8Array, ...tags: number[]) =>
  Uint8Array.from([...plain.slice(0, 12), ...tags, ...plain.slice(12)]);
/** Tags of VLAN 0: a machine takes out two, and a bridge one. */
const TWO = [0x81, 0, 0, 0, 0x81, 0, 0, 0];

/** A router advertisement (RFC 4861 §4.2) that offers a default route. */
const advertisement = (from: string) =>
  toAllNodes(from, 58, [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0], 2);
/** UDP over IPv6 as DHCPv6's, from a server to a client (RFC 8415 §7.2). */
const toDhcpv6Client = (from: string) => toAllNodes(from, 17, [2, 35, 2, 34, 0, 8, 0, 0], 6);

/** @param sumAt Where the checksum stands in the body. */
function toAllNodes(from: string, protocol: number, body: number[], sumAt: number) {
  const source = [0xfe, 0x80, ...Array(13).fill(0), 0x99], target = [0xff, 2, ...Array(13).fill(0), 1];
  const words = [...source, ...target, 0, 0, 0, body.length, 0, 0, 0, protocol, ...body];
  let sum = 0;
  for (let i = 0; i < words.length; i += 2) sum += (words[i] ?? 0) << 8 | (words[i + 1] ?? 0);
  sum = ~(sum % 0xffff) & 0xffff;
  body[sumAt] = sum >> 8, body[sumAt + 1] = sum & 0xff;
  return frame(
    "33:33:00:00:00:01",
    from,
    [0x86, 0xdd],
    0x60,
    0,
    0,
    0,
    0,
    body.length,
    protocol,
    255,
    ...source,
    ...target,
    ...body,
  );
}

function send({ container, endpoint }: Attached, ...frames: Uint8Array<ArrayBuffer>[]): void {
  const namespace = openNamespace(container.path);
  try {
    sendFrames(namespace, endpoint.target_veth_name, frames);
  } finally {
    libc.close(namespace);
  }
}

/** What the rules in a network's namespace have counted, by nft. */
async function counted(host: OverlayHost, network: string): Promise<Record<string, number>> {
  const { stdout } = await nft(host, network, "-j list counters table bridge strand");
  const found: Record<string, number> = {};
  for (const { counter } of JSON.parse(stdout).nftables) {
    if (counter?.packets) found[counter.name.replace("-spoofed", "")] = counter.packets;
  }
  return found;
}

function nft(host: OverlayHost, network: string, command: string) {
  return run(["nsenter", `--net=${host.namespaceOf(network)}`, "nft", ...command.split(" ")]);
}

/** Differences in containment that the agent has found and mended. */
async function repaired(host: OverlayHost): Promise<number> {
  const { body } = await host.api.status("/metrics");
  const found = body.matchAll(/^agent_drift_repaired_total\{.*op="containment-.*\} (\d+)$/gm);
  return [...found].reduce((sum, [, value]) => sum + Number(value), 0);
}

/** A container's ARP entry of an address. */
async function neighbour({ container }: Attached, address: string): Promise<string | undefined> {
  const { stdout } = await container.run(["ip", "neigh", "show", address]);
  return /lladdr (\S+)/.exec(stdout)?.[1];
}

Deno.test("what a port may send of an overlay network", async (t) => {
  await using lab = await OverlayLab.started({ env: { STRAND_AGENT_CHECK_EVERY: "1" } });
  const [h1, h2] = [lab.host(1), lab.host(2)];
  const { id } = await h1.api.createNetwork({});
  const settings = (overlay: object) =>
    lab.kv.write({
      [`/sc-net/strand/net/${id}/settings`]: JSON.stringify({ network: { name: "blue" }, overlay }),
    });
  const rules = (verdict: string) =>
    until(`${verdict} is what the rules do`, async (see) => {
      for (const host of [h1, h2]) {
        const { stdout } = await nft(host, id, "list ruleset");
        see(stdout);
        if (/name "arp-spoofed" (\w+)/.exec(stdout)?.[1] !== verdict) return false;
      }
      return true;
    });
  const [web, db, far] = [await h1.attach(id), await h1.attach(id), await h2.attach(id)];
  await lab.agree();
  const own = web.endpoint.target_veth_mac, victim = db.endpoint.target_veth_mac;
  /** One frame of each kind, to its neighbour and to all. */
  const spoofed = {
    mac: udp(victim, OTHER_MAC, web.address, db.address, [1, 2]),
    arp: arp(own, victim, [own, far.address], db.address),
    ipv4: udp(victim, own, OTHER, db.address, [1, 2]),
    "dhcp-server": udp(ALL, own, web.address, "255.255.255.255", [67, 68]),
    "router-advertisement": advertisement(own),
    encapsulated: tagged(arp(own, victim, [own, far.address], db.address), ...TWO),
  };
  /** What deceives a machine of another host about its gateway, and what else hides from rules for ARP and IPv4. */
  const hidden = [
    tagged(arp(own, far.endpoint.target_veth_mac, [own, GATEWAY], far.address), ...TWO),
    tagged(advertisement(own), ...TWO),
    ...[[0x81, 0, 0, 0], [0x91, 0], [0x88, 0xa8, 0, 0]].map((tag) =>
      tagged(spoofed.arp, 0x88, 0xa8, 0, 0, ...tag, ...tag.length === 2 ? [0, 0] : [])
    ),
    // ARP behind LLC and SNAP, a spanning tree's message, and another frame to the address of these.
    tagged(spoofed.arp, 0, 36, 0xaa, 0xaa, 3, 0, 0, 0),
    frame("01:80:c2:00:00:00", own, [0, 38], 0x42, 0x42, 3, ...Array(43).fill(0)),
    frame("01:80:c2:00:00:00", own, [0x88, 0xb5], ...Array(46).fill(0)),
  ];
  const rogue = [
    udp(ALL, own, web.address, "255.255.255.255", [1067, 68]),
    udp(victim, own, web.address, db.address, [1067, 68]),
    toDhcpv6Client(own),
  ];
  /** From clients: the gateway alone hears them. */
  const clients = [
    udp(ALL, own, "0.0.0.0", "255.255.255.255", [68, 67]),
    udp(ALL, own, web.address, "255.255.255.255", [68, 67]),
  ];
  /** How many frames of such kinds a machine has got of web. */
  const got = async ({ container, endpoint }: Attached) => {
    const judge = (command: string, mayFail = false) =>
      run(["nsenter", `--net=${container.path}`, "nft", "-f", "-"], { mayFail, stdin: command });
    const { stdout } = await judge("list counters table netdev judge\n", true);
    if (stdout) return Number(/packets (\d+)/.exec(stdout)?.[1]);
    await judge(`table netdev judge {
      counter got { }
      chain in {
        type filter hook ingress device "${endpoint.target_veth_name}" priority 0;
        ether saddr != ${own} accept
        udp dport { 67, 68, 546 } counter name got accept
        meta protocol { 0x8100, 0x88a8, 0x9100 } counter name got accept
        meta protocol < 0x600 counter name got accept
        ether daddr 01:80:c2:00:00:00 counter name got accept
      }
    }\n`);
    return 0;
  };
  const seen = async (kinds: Record<string, number>) =>
    await until("it is counted", async (see) => {
      const found = await counted(h1, id);
      see(found);
      return JSON.stringify(Object.entries(found).sort()) === JSON.stringify(Object.entries(kinds).sort());
    });
  /** What the metrics are to say: a look at the counters that was under way before does not have it yet. */
  const told = (pattern: RegExp) =>
    until(
      `the metrics say ${pattern}`,
      async (see) => pattern.test(see((await h1.api.status("/metrics")).body)),
    );
  const once = Object.fromEntries(Object.keys(spoofed).map((kind) => [kind, 1]));

  await t.step("a network of SAND's or Docker's counts and drops nothing", async () => {
    await rules("accept");
    assert.ok(await pings(db.container, far.address));
    assert.equal(await neighbour(db, far.address), far.endpoint.target_veth_mac);
    send(web, ...Object.values(spoofed));
    await seen(once);
    // A router advertisement that passes changes nothing on the host's own end.
    const inside = ["nsenter", `--net=${h1.namespaceOf(id)}`];
    assert.equal((await run([...inside, "ip", "-6", "route", "show", "default"])).stdout, "");
    assert.equal((await run([...inside, "sysctl", "-n", "net.ipv6.conf.br0.accept_ra"])).stdout.trim(), "0");
    // The frames are right: without the rules, an ARP answer deceives the other machine.
    await told(/agent_foreign_frames_total\{kind="arp",verdict="counted"\} 1/);
    await until("db is deceived", async () => {
      send(web, spoofed.arp);
      return await neighbour(db, far.address) === own;
    });
    // By two tags of VLAN 0 it deceives a machine of another host, too.
    assert.ok(await pings(far.container, GATEWAY));
    await until("far is deceived", async () => {
      send(web, ...hidden);
      return await neighbour(far, GATEWAY) === own;
    });
    // And those who judge below see all of it.
    const before = [await got(db), await got(far)] as const;
    send(web, ...hidden, ...rogue, ...clients);
    await until("db got it", async (see) => see(await got(db)) - before[0] === see(hidden.length + 4));
    await until("far got it", async (see) => see(await got(far)) - before[1] > 0);
  });

  await t.step("with contain: true, all of it is dropped and what is its own passes", async () => {
    await settings({ contain: true });
    await rules("drop");
    await db.container.run(["ip", "neigh", "flush", "all"]);
    assert.ok(await pings(db.container, far.address));
    const before = await neighbour(db, far.address);
    assert.equal(before, far.endpoint.target_veth_mac);
    await far.container.run(["ip", "neigh", "flush", "all"]);
    assert.ok(await pings(far.container, GATEWAY));
    const [gateway, got1, got2] = [await neighbour(far, GATEWAY), await got(db), await got(far)];
    // A VLAN's tag does not get it past the rules.
    const inVlan = tagged(spoofed.arp, 0x81, 0, 0, 5);
    send(web, ...Object.values(spoofed), arp(own, victim, [OTHER_MAC, web.address], db.address), inVlan);
    send(web, ...hidden, ...rogue, ...clients);
    const all = { ...once, arp: 3, "dhcp-server": 1 + rogue.length, encapsulated: 1 + hidden.length };
    await seen(all);
    assert.notEqual(gateway, own);
    assert.equal(await neighbour(far, GATEWAY), gateway);
    assert.deepEqual([await got(db), await got(far)], [got1, got2]);
    assert.ok(await pings(web.container, db.address));
    assert.equal(await neighbour(db, far.address), before);
    // Its own: answers, a probe, a client of DHCP, IPv6 between two ports.
    assert.ok(await pings(web.container, far.address));
    assert.ok(await pings(web.container, GATEWAY));
    send(web, arp(own, ALL, [own, "0.0.0.0"], OTHER), arp(own, victim, [own, web.address], db.address));
    send(web, udp(ALL, own, "0.0.0.0", "255.255.255.255", [68, 67]));
    const { stdout } = await db.container.run(["ip", "-6", "-o", "address", "show", "scope", "link"]);
    const local = /inet6 (\S+)\//.exec(stdout)?.[1] ?? "";
    await until("it has IPv6", () => pings(web.container, `${local}%${web.endpoint.target_veth_name}`));
    assert.deepEqual(await counted(h1, id), all);
    await told(/agent_foreign_frames_total\{kind="mac",verdict="dropped"\} 1/);
    await told(/agent_foreign_frames_total\{kind="mac",verdict="counted"\} 1/);
    await told(/agent_foreign_frames_total\{kind="arp",verdict="dropped"\} 3/);
    const status = await h1.strand(["status"]);
    assert.match(status.stdout, /frames not their port's own .*1 mac dropped/);
  });

  await t.step(
    "what others remove or edit is mended and counted, and a restarted agent keeps it",
    async () => {
      const list = async () =>
        (await nft(h1, id, "list table bridge strand")).stdout.replace(/packets \d+ bytes \d+/g, "");
      const whole = await list(), port = web.endpoint.overlay_veth_name;
      const edits = [
        "flush ruleset",
        "flush chain bridge strand prerouting",
        "insert rule bridge strand prerouting accept",
        `delete element bridge strand macs { "${port}" . ${own} }`,
        `add element bridge strand addresses { "${port}" . ${own} . ${OTHER} }`,
        'add element bridge strand ports { "eth7" }',
        "add table bridge strand { flags dormant; }",
      ];
      for (const edit of edits) {
        const before = await repaired(h1);
        await nft(h1, id, edit);
        await until(`counted: ${edit}`, async () => await repaired(h1) > before);
        await until(`mended: ${edit}`, async (see) => {
          const now = await list();
          see(now);
          return now === whole;
        });
      }
      const before = await counted(h1, id);
      send(web, spoofed.arp);
      await seen({ ...before, arp: (before.arp ?? 0) + 1 });
      await h1.kill();
      await h1.start();
      assert.deepEqual(await counted(h1, id), { ...before, arp: (before.arp ?? 0) + 1 });
    },
  );

  await t.step("what comes and goes is in the sets", async () => {
    const more = await h1.attach(id);
    await reaches(more.container, far.address);
    const { stdout } = await nft(h1, id, "list set bridge strand addresses");
    assert.match(
      stdout,
      new RegExp(`"${more.endpoint.overlay_veth_name}" . ${more.endpoint.target_veth_mac} . ${more.address}`),
    );
    await h1.api.deleteEndpoint(more.endpoint.id);
    await until("it is gone", async () => {
      const { stdout } = await nft(h1, id, "list table bridge strand");
      return !stdout.includes(more.endpoint.overlay_veth_name);
    });
  });

  await t.step("a second address, as keepalived's, is dropped until the network is trusted", async () => {
    await web.container.run(["ip", "address", "add", `${OTHER}/24`, "dev", web.endpoint.target_veth_name]);
    const isReached = () => pings(web.container, db.address, ["-I", OTHER]);
    assert.equal(await isReached(), false);
    await settings({ contain: true, trusted: true });
    await until(
      "the rules are gone",
      async () => !(await nft(h1, id, "list ruleset")).stdout.includes('spoofed" drop'),
    );
    assert.ok(await isReached());
  });

  await t.step("a kernel without nf_tables: it is said once, and all else works", async () => {
    await settings({ contain: true });
    await h2.stop();
    await h2.start({}, ["/usr/bin/python3", fileURLToPath(WITHOUT)]);
    const more = await h2.attach(id);
    await reaches(more.container, db.address);
    await until("it has compared some more", async () => {
      const { body } = await h2.api.status("/metrics");
      return Number(/^agent_reconcile_seconds_count\{.*kind="all".*\} (\d+)$/m.exec(body)?.[1]) > 2;
    });
    await h2.agent.line(/frames from ports are not checked/);
    const said = h2.agent.lines.filter((line) => line.includes("frames from ports are not checked"));
    assert.equal(said.length, 1, said.join("\n"));
    const status = await h2.strand(["status"]);
    assert.match(status.stdout, /containment is off: this kernel has no nf_tables for bridges/);
    assert.equal((await h2.api.status("/readyz")).status, 200);
    await h2.api.deleteEndpoint(more.endpoint.id);
    await h2.stop();
    await h2.start();
    await lab.agree({ hosts: [h2] });
  });
});
