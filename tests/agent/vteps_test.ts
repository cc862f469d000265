/** From which hosts VXLAN is taken, as a strange host, a process without rights and a container behind NAT try it; checked by nft. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { putBehind } from "../lab/behind.ts";
import { type LabHost, run } from "../lab/host.ts";
import { OverlayLab } from "../lab/overlay.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";
import { pings, reaches } from "../lab/overlay_traffic.ts";
import { until } from "../lab/until.ts";

const WITHOUT = new URL("../lab/without_netfilter.py", import.meta.url);
const NOBODY = 65534, STRANGE = "02:00:00:00:00:aa";

/** Sends VXLAN packets in one UDP datagram, or by UDP_SEGMENT in one that the kernel cuts apart; each has a broadcast frame of {@link STRANGE}. */
const SEND = `
import socket, sys
to, *vnis = sys.argv[1:]
def packet(vni):
    frame = bytes.fromhex("ffffffffffff" + "${STRANGE.replaceAll(":", "")}" + "88b5") + b"x" * 78
    return b"\\x08\\0\\0\\0" + int(vni).to_bytes(3, "big") + b"\\0" + frame
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
packets = [packet(vni) for vni in vnis]
if len(packets) > 1: s.setsockopt(socket.IPPROTO_UDP, 103, len(packets[0]))
try: s.sendto(b"".join(packets), (to, 4789))
except PermissionError: print("refused")
`;

/** Sends one such packet with any source. */
const SPOOF = `
import socket, struct, sys
source, to, vni = sys.argv[1:]
frame = bytes.fromhex("ffffffffffff" + "${STRANGE.replaceAll(":", "")}" + "88b5") + b"x" * 78
data = b"\\x08\\0\\0\\0" + int(vni).to_bytes(3, "big") + b"\\0" + frame
udp = struct.pack("!HHHH", 40000, 4789, 8 + len(data), 0) + data
head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0, socket.inet_aton(source), socket.inet_aton(to))
socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW).sendto(head + udp, (to, 0))
`;

/** @param user The process's user; 0: root. */
async function send(from: LabHost, to: OverlayHost, vnis: readonly number[], user = 0): Promise<void> {
  const as = user ? ["setpriv", `--reuid=${user}`, "--clear-groups"] : [];
  await from.run([...as, "/usr/bin/python3", "-c", SEND, to.ip, ...vnis.map(String)]);
}

/** Counts what arrives in a network on a host from {@link STRANGE}. */
async function watch(host: OverlayHost, network: string): Promise<() => Promise<number>> {
  const inside = ["nsenter", `--net=${host.namespaceOf(network)}`, "nft"];
  await run([...inside, "-f", "-"], {
    stdin: `table netdev reference {
      counter got { }
      chain in {
        type filter hook ingress device vxlan0 priority 0;
        ether saddr ${STRANGE} counter name got
      }
    }`,
  });
  return async () => {
    const { stdout } = await run([...inside, "-j", "list", "counters", "table", "netdev", "reference"]);
    return JSON.parse(stdout).nftables.find(({ counter }: { counter?: object }) => counter).counter.packets;
  };
}

function nft(host: OverlayHost, command: string) {
  return run(host.host.enter(["nft", ...command.split(" ")]), { mayFail: true });
}

/** The table as nft lists it, without its counts. */
async function table(host: OverlayHost): Promise<string> {
  return (await nft(host, "list table ip strand")).stdout.replace(/packets \d+ bytes \d+/g, "");
}

/** What has been refused, by the table's own counters. */
async function refused(host: OverlayHost): Promise<Record<string, number>> {
  const { stdout } = await nft(host, "-j list counters table ip strand");
  const found: Record<string, number> = {};
  for (const { counter } of JSON.parse(stdout).nftables) {
    if (counter?.packets) found[counter.name] = counter.packets;
  }
  return found;
}

Deno.test("from which hosts VXLAN is taken", async (t) => {
  await using lab = await OverlayLab.started({ hosts: 3, env: { STRAND_AGENT_CHECK_EVERY: "1" } });
  const [h1, h2, h3] = [lab.host(1), lab.host(2), lab.host(3)];
  const { id, vxlan_vni: vni } = await h1.api.createNetwork({});
  const contain = (on: boolean) =>
    lab.kv.write({
      [`/sc-net/strand/net/${id}/settings`]: JSON.stringify({
        network: { name: "blue" },
        overlay: { contain: on },
      }),
    });
  const [one, two] = [await h1.attach(id), await h2.attach(id)];
  await lab.agree();
  const got = await watch(h2, id);
  const stranger = await lab.lab.host("stranger", { segment: lab.underlay, address: "10.99.0.99/24" });

  await t.step("a network of SAND's or Docker's counts, and drops nothing", async () => {
    await send(stranger, h2, [vni]);
    await until("it has arrived", async () => await got() === 1);
    assert.deepEqual(await refused(h2), { "unknown-host-counted": 1 });
    await send(h1.host, h2, [vni], NOBODY);
    await until("it has arrived", async () => await got() === 2);
    assert.deepEqual(await refused(h1), { "unprivileged-counted": 1 });
  });

  await t.step("with contain: true, a strange host's is dropped, and a host's own passes", async () => {
    await contain(true);
    for (const host of [h1, h2]) {
      await until(
        "it drops",
        async () => (await table(host)).includes(`contained {\n\t\ttypeof @th,96,24\n\t\telements`),
      );
    }
    const before = await got();
    await send(stranger, h2, [vni]);
    await until("it is counted", async (see) => {
      const found = await refused(h2);
      see(found);
      return found["unknown-host-dropped"] === 1;
    });
    assert.ok(await pings(one.container, two.address));
    assert.equal(await got(), before);
    const told = /agent_refused_vxlan_total\{reason="unknown-host",verdict="dropped"\} 1/;
    await until("the metrics say so", async (see) => told.test(see((await h2.api.status("/metrics")).body)));
    await h2.saysInStatus(/refused VXLAN .*1 unknown-host dropped/);
    // Root of a host of the network may: it could send by the network's own device.
    await send(h1.host, h2, [vni]);
    await until("it has arrived", async () => await got() === before + 1);
  });

  await t.step("a process without rights cannot send it from a host of the network", async () => {
    const before = await got();
    await send(h1.host, h2, [vni], NOBODY);
    await send(h1.host, h2, [999, vni, vni], NOBODY);
    await until("it is counted", async (see) => see(await refused(h1))["unprivileged-dropped"] === 2);
    assert.ok(await pings(one.container, two.address));
    assert.equal(await got(), before);
  });

  const guest = await lab.lab.host("guest");
  let refusals: Record<string, number> = {};
  await t.step("nor can a container behind the host, with or without the host's address", async () => {
    const before = await got();
    await putBehind(h2.host, guest, "vg", "172.31.0");
    await h2.host.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"]);
    // Behind another VNI, the network's is in what the kernel cuts off after the rules.
    await send(guest, h2, [999, vni, vni]);
    await until("it is counted", async (see) => see(await refused(h2))["hidden-dropped"] === 1);
    assert.equal(await got(), before);
    // The host gives it its own address, as Docker does.
    const gotBefore = await watch(h1, id);
    await run(h2.host.enter(["nft", "-f", "-"]), {
      stdin:
        "table ip nat { chain post { type nat hook postrouting priority srcnat; oifname eth0 masquerade; }\n}",
    });
    await send(guest, h1, [vni]);
    await until("it is counted", async (see) => see(await refused(h2))["forwarded-dropped"] === 1);
    assert.equal(await gotBefore(), 0);
    await nft(h2, "delete table ip nat");
    refusals = await refused(h1);
    assert.ok(await pings(one.container, two.address));
  });

  await t.step("nor with another host's address, as this host does not check sources itself", async () => {
    const spoof = (source: OverlayHost, to: OverlayHost) =>
      guest.run(["/usr/bin/python3", "-c", SPOOF, source.ip, to.ip, `${vni}`]);
    const counted = (count: number) =>
      until("it is counted", async (see) => see(await refused(h2))["spoofed-dropped"] === count);
    const before = await got();
    let count = 0;
    for (const filter of [0, 2]) {
      for (const at of ["all", "vg"]) {
        await h2.host.run(["sysctl", "-qw", `net.ipv4.conf.${at}.rp_filter=${filter}`]);
      }
      await spoof(h1, h2);
      await counted(++count);
      // The third host has nothing in the network yet, and none of this host's rules knows it.
      await spoof(h3, h1);
      await counted(++count);
    }
    assert.equal(await got(), before);
    assert.deepEqual(await refused(h1), refusals);
    const told = /agent_refused_vxlan_total\{reason="spoofed",verdict="dropped"\} 4/;
    await until("the metrics say so", async (see) => told.test(see((await h2.api.status("/metrics")).body)));
    assert.ok(await pings(one.container, two.address));
  });

  await t.step("hosts with two ways to one another are taken from by each of them", async () => {
    // By h2's routes all goes by eth0, but h1's packets come by the other one.
    await run([
      "ip",
      "-n",
      h1.host.netns,
      "link",
      "add",
      "w0",
      "type",
      "veth",
      "peer",
      "name",
      "w0",
      "netns",
      h2.host.netns,
    ]);
    for (const [host, address] of [[h1, "10.98.0.1"], [h2, "10.98.0.2"]] as const) {
      for (
        const command of [
          `ip address add ${address}/24 dev w0`,
          "ip link set w0 up",
          "sysctl -qw net.ipv4.conf.all.rp_filter=0",
          "sysctl -qw net.ipv4.conf.w0.rp_filter=0",
        ]
      ) await host.host.run(command.split(" "));
    }
    await h2.host.run(["ip", "route", "add", `${h1.ip}/32`, "via", "10.98.0.1", "dev", "w0", "table", "99"]);
    await until("the way is known", async (see) => see(await table(h2)).includes(`"w0"`));
    const before = await refused(h2);
    await h1.host.run(["ip", "route", "add", `${h2.ip}/32`, "via", "10.98.0.2", "dev", "w0"]);
    assert.ok(await pings(one.container, two.address));
    assert.deepEqual(await refused(h2), before);
    // A route that the agent has not seen yet counts at once.
    await h2.host.run(["ip", "route", "add", `${h1.ip}/32`, "via", "10.98.0.1", "dev", "w0"]);
    await h2.host.run(["ip", "route", "del", `${h1.ip}/32`, "dev", "w0", "table", "99"]);
    await nft(h2, `delete element ip strand underlay { "w0" }`);
    assert.ok(await pings(one.container, two.address));
    assert.deepEqual(await refused(h2), before);
    await h1.host.run(["ip", "link", "del", "w0"]);
    for (const host of [h1, h2]) {
      await until("it is gone", async (see) => !see(await table(host)).includes(`"w0"`));
    }
    assert.ok(await pings(one.container, two.address));
  });

  await t.step("a host is taken from while it has something in the network", async () => {
    const has = async () => (await table(h1)).includes(`. ${h3.ip}`);
    assert.equal(await has(), false);
    const three = await h3.attach(id);
    await reaches(three.container, one.address);
    assert.ok(await has());
    await h3.api.deleteEndpoint(three.endpoint.id);
    await until("it is no longer taken from", async () => !await has());
  });

  await t.step("what others remove or edit is mended, and a restarted agent keeps it", async () => {
    const whole = await table(h1);
    for (
      const edit of [
        "flush ruleset",
        "flush chain ip strand input",
        "insert rule ip strand input accept",
        `delete element ip strand vteps { ${vni} . ${h2.ip} }`,
        `add element ip strand vteps { ${vni} . 10.99.0.99 }`,
        "add table ip strand { flags dormant; }",
      ]
    ) {
      assert.equal((await nft(h1, edit)).code, 0, edit);
      await until(`mended: ${edit}`, async (see) => {
        const now = await table(h1);
        see(now);
        return now === whole;
      });
    }
    assert.match(
      (await h1.api.status("/metrics")).body,
      /agent_drift_repaired_total\{op="vxlan-rules"\} [1-9]/,
    );
    await send(h1.host, h2, [vni], NOBODY);
    const before = await refused(h1);
    await h1.kill();
    await h1.start();
    assert.deepEqual(await refused(h1), before);
    assert.equal(await table(h1), whole);
  });

  await t.step(
    "what is flushed is made again within seconds, and the agent's own changes are no drift",
    async () => {
      await h1.stop();
      await h1.start({ STRAND_AGENT_CHECK_EVERY: "3600" });
      const drift = async () =>
        Number(
          /repaired_total\{op="vxlan-rules"\} (\d+)/.exec((await h1.api.status("/metrics")).body)?.[1] ?? 0,
        );
      const whole = await table(h1), three = await h3.attach(id);
      await until("it has the third", async (see) => see(await table(h1)) !== whole);
      await h3.api.deleteEndpoint(three.endpoint.id);
      await until("it is gone", async () => await table(h1) === whole);
      // Another table's changes are none of ours.
      await nft(h1, "add table ip other");
      await nft(h1, "delete table ip other");
      await nft(h1, "flush ruleset");
      await until("it is there again", async () => await table(h1) === whole);
      await until("it is counted", async (see) => see(await drift()) === 1);
    },
  );

  await t.step("a kernel without nf_tables: it is said once, and all else works", async () => {
    await h2.stop();
    // Such a kernel has no rules of an earlier agent either.
    await run(["nsenter", `--net=${h2.namespaceOf(id)}`, "nft", "flush", "ruleset"]);
    await nft(h2, "flush ruleset");
    await h2.start({}, ["/usr/bin/python3", fileURLToPath(WITHOUT)]);
    const more = await h2.attach(id);
    await reaches(more.container, one.address);
    await h2.agent.line(/VXLAN is taken from any host/);
    const said = h2.agent.lines.filter((line) => line.includes("VXLAN is taken from any host"));
    assert.equal(said.length, 1, said.join("\n"));
    await h2.saysInStatus(/VXLAN is taken from any host/);
    await h2.api.deleteEndpoint(more.endpoint.id);
    await h2.stop();
    await h2.start();
  });

  await t.step("a host without networks has no table", async () => {
    await h1.api.deleteEndpoint(one.endpoint.id);
    await until("the table is gone", async () => await table(h1) === "");
  });
});
