/** Containment: frames that are not a port's own, as the other machines' ARP tables, tcpdump's counters and nft show them. */
import assert from "node:assert/strict";
import { libc } from "../../ffi/libc.ts";
import { openNamespace } from "../../ffi/netns.ts";
import { sendFrames } from "../../ffi/packet.ts";
import { fileURLToPath } from "node:url";
import { advertisement, arp, frame, mac, tagged, toDhcpv6Client, TWO, udp } from "../lab/forged_frames.ts";
import { run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { Attached, OverlayHost } from "../lab/overlay_host.ts";
import { pings, reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";
import { Machine } from "../overlay_names/ports.ts";

const GATEWAY = "10.0.0.1", OTHER = "10.0.0.77", OTHER_MAC = "02:00:00:00:00:77", ALL = "ff:ff:ff:ff:ff:ff";

const WITHOUT = new URL("../lab/without_netfilter.py", import.meta.url);

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
    const nft = (command: string, mayFail = false) =>
      run(["nsenter", `--net=${container.path}`, "nft", "-f", "-"], { mayFail, stdin: command });
    const { stdout } = await nft("list counters table netdev reference\n", true);
    if (stdout) return Number(/packets (\d+)/.exec(stdout)?.[1]);
    await nft(`table netdev reference {
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
    await reaches(db.container, far.address);
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
    await reaches(far.container, GATEWAY);
    await until("far is deceived", async () => {
      send(web, ...hidden);
      return await neighbour(far, GATEWAY) === own;
    });
    // And the check below sees all of it.
    const before = [await got(db), await got(far)] as const;
    send(web, ...hidden, ...rogue, ...clients);
    await until("db got it", async (see) => see(await got(db)) - before[0] === see(hidden.length + 4));
    await until("far got it", async (see) => see(await got(far)) - before[1] > 0);
  });

  await t.step("with contain: true, all of it is dropped and what is its own passes", async () => {
    await settings({ contain: true });
    await rules("drop");
    await db.container.run(["ip", "neigh", "flush", "all"]);
    await reaches(db.container, far.address);
    const before = await neighbour(db, far.address);
    assert.equal(before, far.endpoint.target_veth_mac);
    await far.container.run(["ip", "neigh", "flush", "all"]);
    await reaches(far.container, GATEWAY);
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
    await reaches(web.container, db.address);
    assert.equal(await neighbour(db, far.address), before);
    // Its own: answers, a probe, a client of DHCP, IPv6 between two ports.
    await reaches(web.container, far.address);
    await reaches(web.container, GATEWAY);
    send(web, arp(own, ALL, [own, "0.0.0.0"], OTHER), arp(own, victim, [own, web.address], db.address));
    send(web, udp(ALL, own, "0.0.0.0", "255.255.255.255", [68, 67]));
    const { stdout } = await db.container.run(["ip", "-6", "-o", "address", "show", "scope", "link"]);
    const local = /inet6 (\S+)\//.exec(stdout)?.[1] ?? "";
    await until("it has IPv6", () => pings(web.container, `${local}%${web.endpoint.target_veth_name}`));
    assert.deepEqual(await counted(h1, id), all);
    await told(/agent_foreign_frames_total\{kind="mac",verdict="dropped"\} 1/);
    await told(/agent_foreign_frames_total\{kind="mac",verdict="counted"\} 1/);
    await told(/agent_foreign_frames_total\{kind="arp",verdict="dropped"\} 3/);
    await h1.saysInStatus(/frames not their port's own .*1 mac dropped/);
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

  await t.step("what another program puts into the bridge sends nothing, and status names it", async () => {
    const vm = await Machine.on(h1, id, OTHER_MAC), eth0 = { endpoint: { target_veth_name: "eth0" } };
    await vm.host.run(["ip", "address", "add", "10.0.0.78/24", "dev", "eth0"]);
    // Its own kernel may have sent by now.
    const attacker = { container: vm.host, ...eth0 } as Attached,
      { "unknown-port": _, ...before } = await counted(h1, id);
    const gatewayOf = await neighbour(db, far.address);
    await reaches(db.container, web.address);
    const learned = await neighbour(db, web.address);
    // As itself, as a machine that is known at another port, and what else rules are for.
    const frames = [arp(OTHER_MAC, victim, [OTHER_MAC, web.address], db.address), ...Object.values(spoofed)];
    send(attacker, ...frames, ...hidden, ...rogue, ...clients);
    assert.equal(await pings(vm.host, db.address, ["-W", "1"]), false);
    assert.equal(await neighbour(db, web.address), learned);
    assert.equal(await neighbour(db, far.address), gatewayOf);
    await reaches(db.container, web.address);
    const more = await counted(h1, id), { "unknown-port": dropped = 0, ...others } = more;
    assert.ok(dropped >= frames.length + hidden.length + rogue.length + clients.length, `${dropped}`);
    assert.deepEqual({ ...others }, before);
    await h1.saysInStatus(
      /port000077 is a port of network \S+ that another program has made: its frames are dropped/,
    );
    await told(/agent_foreign_frames_total\{kind="unknown-port",verdict="dropped"\} [1-9]/);
    for (const overlay of [{ contain: false }, { contain: true, trusted: true }]) {
      await settings(overlay);
      await until("its machine is reached", () => pings(vm.host, db.address, ["-W", "1"]));
      await h1.saysInStatus(/ports of other programs, not checked .*port000077 of /);
    }
    await settings({ contain: true });
    await rules("drop");
    assert.equal(await pings(vm.host, db.address, ["-W", "1"]), false);
    await vm.remove();
    await h1.saysInStatus(/port000077/, false);
  });

  await t.step("a second address, as keepalived's, is dropped until the network is trusted", async () => {
    await web.container.run(["ip", "address", "add", `${OTHER}/24`, "dev", web.endpoint.target_veth_name]);
    const fromOther = ["-I", OTHER];
    assert.equal(await pings(web.container, db.address, fromOther), false);
    await settings({ contain: true, trusted: true });
    await until(
      "the rules are gone",
      async () => !(await nft(h1, id, "list ruleset")).stdout.includes('spoofed" drop'),
    );
    await reaches(web.container, db.address, fromOther);
  });

  await t.step(
    "DHCP's answers and router advertisements of other hosts are refused, also where ports are trusted",
    async () => {
      const toFar = far.endpoint.target_veth_mac;
      const unicast = (frame: Uint8Array) => Uint8Array.from([...mac(toFar), ...frame.slice(6)]);
      const priority = [0x81, 0, 0, 0];
      const gatewayArp = arp(own, toFar, [own, GATEWAY], far.address);
      const bad = [
        udp(toFar, own, web.address, far.address, [67, 68]),
        udp(toFar, own, web.address, far.address, [1067, 68]),
        unicast(toDhcpv6Client(own)),
        unicast(advertisement(own)),
        tagged(udp(toFar, own, web.address, far.address, [1067, 68]), ...priority),
        tagged(gatewayArp, ...priority),
        ...hidden.slice(0, 1),
      ];
      const arriving = async () =>
        (await nft(h2, id, "list chain bridge strand arriving")).stdout.includes("drop");
      const advertised = async () =>
        (await far.container.run(["ip", "-6", "route", "show", "default"])).stdout.includes("proto ra");
      for (const overlay of [{ contain: true, trusted: true }, { contain: false }, {}]) {
        await settings(overlay);
        const verdict = "trusted" in overlay ? undefined : "accept";
        await until("both hosts have the rules", async (see) => {
          if (!await arriving()) return false;
          const { stdout } = await nft(h1, id, "list chain bridge strand prerouting");
          see(stdout);
          return /name "arp-spoofed" (\w+)/.exec(stdout)?.[1] === verdict;
        });
        await far.container.run(["ip", "neigh", "flush", "all"]);
        await reaches(far.container, GATEWAY);
        const gateway = await neighbour(far, GATEWAY), before = await got(far);
        send(web, ...bad);
        await reaches(web.container, far.address);
        assert.equal(await got(far), before);
        assert.equal(await neighbour(far, GATEWAY), gateway);
        assert.notEqual(gateway, own);
      }
      assert.equal(await advertised(), false);
      await web.container.run(["ip", "address", "del", `${OTHER}/24`, "dev", web.endpoint.target_veth_name]);
      // Without settings no gateway answers, and nothing is refused.
      await lab.kv.write({ [`/sc-net/strand/net/${id}/settings`]: undefined });
      await until("the rules are gone", async () => !await arriving());
      const before = await got(far);
      send(web, ...bad);
      await until("far gets it", async (see) => see(await got(far)) - before === 5);
      await lab.agree();
    },
  );

  await t.step("a kernel without nf_tables: it is said once, and all else works", async () => {
    await settings({ contain: true });
    await h2.stop();
    // Such a kernel has no rules of an earlier one either.
    await nft(h2, id, "delete table bridge strand");
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
    await h2.saysInStatus(/containment is off: this kernel has no nf_tables for bridges/);
    assert.equal((await h2.api.status("/readyz")).status, 200);
    await h2.api.deleteEndpoint(more.endpoint.id);
    await h2.stop();
    await h2.start();
    await lab.agree({ hosts: [h2] });
  });
});
