/** Packet sockets, listed interfaces and namespaces of ffi/, between two hosts of a lab. */
import assert from "node:assert/strict";
import { Epoll } from "../../ffi/epoll.ts";
import { drainInterfaceWatch, listInterfaces, openInterfaceWatch } from "../../ffi/interfaces.ts";
import { libc } from "../../ffi/libc.ts";
import { inNamespace, openNamespace } from "../../ffi/netns.ts";
import { attachFilter, FrameBatch, nothing, openPacket, udpFilter } from "../../ffi/packet.ts";
import { readable } from "../../ffi/readable.ts";
import { type FrameAddresses, PAYLOAD_AT, writeFrame } from "../../services/dhcpd/frame.ts";
import { Lab, type LabHost } from "./host.ts";
import { reaches } from "./overlay_traffic.ts";
import { until } from "./until.ts";

const aMac = "02:00:00:00:00:0a", bMac = "02:00:00:00:00:0b";
const bytes = (mac: string) => Uint8Array.fromHex(mac.replaceAll(":", ""));

/** Two hosts on a segment, and their namespaces opened. */
async function pair() {
  const lab = await Lab.create("packet");
  const lan = await lab.segment("lan");
  const a = await lab.host("a", { segment: lan, address: "10.9.0.1/24", mac: aMac });
  const b = await lab.host("b", { segment: lan, address: "10.9.0.2/24", mac: bMac });
  const open = (host: LabHost) => openNamespace(`/run/netns/${host.netns}`);
  const namespaces = { a: open(a), b: open(b) };
  return {
    a,
    b,
    namespaces,
    async [Symbol.asyncDispose]() {
      libc.close(namespaces.a);
      libc.close(namespaces.b);
      await lab[Symbol.asyncDispose]();
    },
  };
}

/** A packet socket on eth0 of a namespace, for UDP to port 67. */
function socket(namespace: number): number {
  return inNamespace(namespace, () => {
    const index = listInterfaces().get("eth0")?.index ?? 0;
    return openPacket(index, udpFilter(67), "eth0");
  });
}

Deno.test("a packet socket takes what its filter lets pass, batch after batch", async () => {
  await using lab = await pair();
  const receiver = socket(lab.namespaces.a), sender = socket(lab.namespaces.b);
  const epoll = new Epoll();
  epoll.add(receiver, 7);
  const send = new FrameBatch(64, 2048), receive = new FrameBatch(64, 2048);
  const put = (slot: number, to: Partial<FrameAddresses>, change: (frame: Uint8Array) => void = () => {}) => {
    const at = slot * send.size;
    send.buffer[at + PAYLOAD_AT] = slot;
    const length = writeFrame(send.buffer, at, 300, {
      sourceMac: bytes(bMac),
      destinationMac: bytes("ff:ff:ff:ff:ff:ff"),
      source: 0x0a090002,
      destination: 0xffffffff,
      sourcePort: 68,
      destinationPort: 67,
      ...to,
    });
    change(send.buffer.subarray(at, at + length));
    send.setLength(slot, length);
  };
  put(0, {});
  put(1, { destinationPort: 68 });
  put(2, { destinationMac: bytes("02:00:00:00:00:cc") });
  put(3, {}, (frame) => frame[20] = 0x20);
  put(4, {}, (frame) => frame[23] = 6);
  put(5, { destinationMac: bytes(aMac), destination: 0x0a090001 });
  // Tagged for VLAN 5: the receiving kernel takes the tag out.
  put(6, {}, (frame) => {
    frame.copyWithin(16, 12);
    frame.set([0x81, 0, 0, 5], 12);
  });
  for (let slot = 7; slot < 64; slot++) put(slot, {});

  const got: [number, boolean][] = [];
  // The segment forwards from a moment after its hosts are made.
  await reaches(lab.b, "10.9.0.1");
  for (let round = 0; round < 3; round++) assert.equal(send.send(sender, 64), 0);
  while (got.length < 3 * 59) {
    await readable(epoll);
    assert.equal(epoll.wait(0), 1);
    assert.equal(epoll.token(0), 7);
    const count = receive.receive(receiver);
    for (let slot = 0; slot < count; slot++) {
      assert.equal(receive.length(slot), PAYLOAD_AT + 300);
      got.push([receive.buffer[slot * receive.size + PAYLOAD_AT] ?? -1, receive.broadcast(slot)]);
    }
  }
  assert.deepEqual(got.slice(0, 4), [[0, true], [5, false], [7, true], [8, true]]);
  assert.equal(receive.receive(receiver), 0);
  // What it sends itself, it does not hear.
  assert.equal(receive.receive(sender), 0);
  epoll.close();
  libc.close(receiver);
  libc.close(sender);
});

Deno.test("a locked filter can neither be removed nor replaced by a process that is handed the socket", () => {
  const detach = (fd: number) => libc.setsockopt(fd, 1, 27, Int32Array.of(0), 4);
  const open = openPacket(0, udpFilter(67), "all"),
    locked = openPacket(0, udpFilter(67), "all", { locked: true });
  try {
    attachFilter(open, nothing);
    assert.equal(detach(open), 0);
    assert.equal(detach(locked), -1);
    assert.throws(() => attachFilter(locked, nothing), /attach a packet filter: .*not permitted/);
    // Nor is the lock taken off.
    assert.equal(libc.setsockopt(locked, 1, 44, Int32Array.of(0), 4), -1);
  } finally {
    for (const fd of [open, locked]) libc.close(fd);
  }
});

Deno.test("interfaces are listed with their addresses, and changes make the watch readable", async () => {
  await using lab = await pair();
  const list = () => inNamespace(lab.namespaces.a, listInterfaces);
  const eth0 = list().get("eth0");
  assert.deepEqual(eth0?.mac, bytes(aMac));
  assert.equal(eth0?.up, true);
  const four = eth0?.addresses.filter((address) => address.bytes.length === 4);
  assert.deepEqual(four, [{ bytes: Uint8Array.of(10, 9, 0, 1), prefix: 24 }]);
  assert.equal(list().get("lo")?.addresses[0]?.prefix, 8);

  const watch = inNamespace(lab.namespaces.a, openInterfaceWatch);
  const epoll = new Epoll();
  epoll.add(watch, 1);
  // The kernel may still tell of the interface that was just made.
  await until("nothing is new", () => {
    drainInterfaceWatch(watch);
    return epoll.wait(0) === 0;
  });
  await lab.a.run(["ip", "address", "add", "10.9.1.1/16", "dev", "eth0"]);
  await readable(epoll);
  drainInterfaceWatch(watch);
  assert.equal(list().get("eth0")?.addresses.at(1)?.prefix, 16);
  await lab.a.run(["ip", "link", "del", "eth0"]);
  await readable(epoll);
  await until("eth0 is gone", () => !list().has("eth0"));
  epoll.close();
  libc.close(watch);
});

Deno.test("a packet socket says when its interface is down", async () => {
  await using lab = await pair();
  const fd = socket(lab.namespaces.a);
  await lab.a.run(["ip", "link", "set", "eth0", "down"]);
  const batch = new FrameBatch(4, 2048);
  assert.equal(batch.receive(fd), -1);
  assert.equal(batch.receive(fd), 0);
  libc.close(fd);
});

Deno.test("inNamespace() comes back, also from an error", async () => {
  await using lab = await pair();
  const here = Deno.readLinkSync("/proc/thread-self/ns/net");
  assert.throws(() =>
    inNamespace(lab.namespaces.a, () => {
      assert.notEqual(Deno.readLinkSync("/proc/thread-self/ns/net"), here);
      throw new Error("inside");
    }), /inside/);
  assert.throws(() => inNamespace(lab.namespaces.a, () => Promise.resolve()), TypeError);
  assert.equal(Deno.readLinkSync("/proc/thread-self/ns/net"), here);
});
