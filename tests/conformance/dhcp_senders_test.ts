/** Whose word ends a lease, and when: releases and declines of others, late ones, and the end of a lease's time. */
import assert from "node:assert/strict";
import { listInterfaces } from "../../ffi/interfaces.ts";
import { libc } from "../../ffi/libc.ts";
import { inNamespace, openNamespace } from "../../ffi/netns.ts";
import { FrameBatch, openPacket, udpFilter } from "../../ffi/packet.ts";
import { Ip } from "../../services/common/ip.ts";
import { macToBytes } from "../../services/common/mac.ts";
import { clientMessage } from "../../services/dhcpd/client_message.ts";
import { PAYLOAD_AT, writeFrame } from "../../services/dhcpd/frame.ts";
import { Type } from "../../services/dhcpd/numbers.ts";
import { Nex } from "../../services/nex/nex.ts";
import { runSweeper } from "../../services/nex/sweeper.ts";
import { createLog } from "../../services/common/log.ts";
import { openMini } from "../../services/nex/testing.ts";
import type { LabHost } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { DhcpLab } from "./dhcp_lab.ts";
import { option, scapy } from "./dhcp_scapy.ts";

const mac = "00:00:99:00:00:01", thief = "00:00:77:00:00:01";
const server = ["server_id", "10.0.0.1"] as const;

const mini = openMini("00:00:99:00:00");

Deno.test("a neighbour's RELEASE or DECLINE in a client's name is ignored and counted; the client's own counts", async () => {
  await using lab = await DhcpLab.create(mini);
  const replica = await lab.replica(await lab.server("server", "10.0.0.1/24"));
  const client = await lab.client("client", mac), neighbour = await lab.client("neighbour", thief);
  await scapy(client, [{ type: "request", mac, options: [["requested_addr", "10.0.0.10"], server] }]);
  await until("it has its lease", (see) => see(lab.view.member(mac)?.ip4) === "10.0.0.10");
  const release = { type: "release", mac, ciaddr: "10.0.0.10", to: "10.0.0.1", options: [server] };
  const decline = { type: "decline", mac, options: [["requested_addr", "10.0.0.10"] as const, server] };
  const { counts } = replica.server;
  const seen = () =>
    [counts.release + counts.decline, counts.ignored["wrong-sender"], counts.ignored.late] as const;
  for (let tries = 1;; tries++) {
    const before = seen();
    const since = () => seen().map((count, i) => count - (before[i] ?? 0));
    await scapy(neighbour, [
      { ...release, from: "10.0.0.66", fromMac: thief },
      { ...release, from: "10.0.0.10", fromMac: thief },
      { ...release, from: "10.0.0.66" },
      { ...release, giaddr: "10.0.0.1", fromMac: thief },
      { ...decline, fromMac: thief },
      { ...decline, giaddr: "10.0.0.1", fromMac: thief },
    ]);
    await until("all have come", (see) => {
      const [taken = 0, , late = 0] = see(since());
      return taken + late === 6;
    });
    if (since()[2] === 0) {
      assert.deepEqual(since(), [6, 6, 0]);
      break;
    }
    assert.ok(tries < 5, "on a busy machine some waited too long in the socket, each time");
  }
  assert.equal(lab.view.member(mac)?.ip4, "10.0.0.10");
  await released(lab, () => scapy(client, [{ ...release, from: "10.0.0.10" }]));
});

/** Sends a RELEASE until it counts: it has no answer, and dhcpd drops one that has waited for long. */
async function released(lab: DhcpLab, send: () => unknown): Promise<void> {
  const isFree = () => lab.view.member(mac) === undefined;
  await until("the release counts", async () => {
    await send();
    return await until("it is free", isFree, 5_000).then(() => true, () => false);
  });
}

/** Sends a client's RELEASE of 10.0.0.10 from a host, at once: nothing is awaited. */
function sendRelease(host: LabHost): void {
  const namespace = openNamespace(`/run/netns/${host.netns}`);
  try {
    const fd = inNamespace(namespace, () => {
      return openPacket(listInterfaces().get("eth0")?.index ?? 0, udpFilter(68), "eth0");
    });
    const address = Ip.parse("10.0.0.10").u32, batch = new FrameBatch(1, 2048);
    const message = clientMessage({ type: Type.release, mac, ciaddr: address });
    batch.buffer.set(message, PAYLOAD_AT);
    const length = writeFrame(batch.buffer, 0, message.length, {
      sourceMac: macToBytes(mac),
      destinationMac: new Uint8Array(6).fill(0xff),
      source: address,
      destination: 0xffffffff,
      sourcePort: 68,
      destinationPort: 67,
    });
    batch.setLength(0, length);
    assert.equal(batch.send(fd, 1), 0);
    libc.close(fd);
  } finally {
    libc.close(namespace);
  }
}

Deno.test("a RELEASE that waited for more than 2 s in a stopped dhcpd's socket is dropped and counted", async () => {
  await using lab = await DhcpLab.create(mini);
  const replica = await lab.replica(await lab.server("server", "10.0.0.1/24"));
  const client = await lab.client("client", mac);
  await scapy(client, [{ type: "request", mac, options: [["requested_addr", "10.0.0.10"], server] }]);
  await until("it has its lease", (see) => see(lab.view.member(mac)?.ip4) === "10.0.0.10");
  sendRelease(client);
  // dhcpd runs in this process: it stands still with it.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
  await until("it has come", (see) => see(replica.server.counts.ignored.late) === 1);
  assert.equal(replica.server.counts.release, 0);
  await released(lab, () => sendRelease(client));
});

Deno.test("an address is given to another client a second or more after the end of the lease that was told", async () => {
  await using lab = await DhcpLab.create({
    ...mini,
    leaseDuration: 3,
    Range4: { begin: "10.0.0.10", end: "10.0.0.10" },
  });
  await lab.replica(await lab.server("server", "10.0.0.1/24"));
  const nex = new Nex(lab.store);
  const sweeper = runSweeper(nex, {
    log: createLog("nexd", { level: "error", format: "text" }),
    clock: {
      now: Date.now,
      get latest() {
        return Date.now();
      },
      get earliest() {
        return Date.now();
      },
      verdict: "right",
    },
  });
  try {
    const client = await lab.client("client", mac), next = await lab.client("next", "00:00:99:00:00:02");
    const options = [["requested_addr", "10.0.0.10"], server] as const;
    const [ack] = await scapy(client, [{ type: "request", mac, options }]);
    // dhcpd takes off the seconds that its write to etcd has taken.
    const seconds = Number(option(ack ?? null, "lease_time")?.[0]);
    assert(seconds >= 1 && seconds <= 3, `${seconds} s`);
    const discover = { type: "discover", mac: "00:00:99:00:00:02", timeout: 0.5, tries: 1 };
    const offers = await scapy(next, Array.from({ length: 40 }, () => discover));
    const first = offers.find((offer) => offer !== null);
    assert(first && ack);
    assert(first.at - ack.at >= seconds + 1, `${first.at - ack.at} s after an ACK of ${seconds} s`);
  } finally {
    await sweeper.stop();
  }
});
