/** A reply whose UDP checksum computes to zero, which one of 65,536 does, at a client that verifies checksums itself. */
import assert from "node:assert/strict";
import { Epoll, EventFd } from "../../ffi/epoll.ts";
import { listInterfaces } from "../../ffi/interfaces.ts";
import { libc } from "../../ffi/libc.ts";
import { inNamespace, openNamespace } from "../../ffi/netns.ts";
import { FrameBatch, openPacket, udpFilter } from "../../ffi/packet.ts";
import { readable } from "../../ffi/readable.ts";
import { read16 } from "../../services/common/bytes.ts";
import { Ip } from "../../services/common/ip.ts";
import { macToBytes } from "../../services/common/mac.ts";
import { Frame, PAYLOAD_AT, UDP_HEADER, writeFrame } from "../../services/dhcpd/frame.ts";
import { Message } from "../../services/dhcpd/message.ts";
import { Type } from "../../services/dhcpd/numbers.ts";
import { type Reply, ReplyWriter } from "../../services/dhcpd/reply.ts";
import { Lab } from "../lab/host.ts";
import { udhcpc } from "../lab/udhcpc.ts";

const serverMac = macToBytes("02:00:00:00:00:0a"), serverId = Ip.parse("10.9.0.1").u32;
const CHECKSUM_AT = PAYLOAD_AT - UDP_HEADER + 6;

Deno.test("busybox's udhcpc takes an OFFER and an ACK whose checksum computes to zero", async () => {
  await using lab = await Lab.create("checksum");
  const lan = await lab.segment("lan");
  const server = await lab.host("server", { segment: lan, address: "10.9.0.1/24", mac: "02:00:00:00:00:0a" });
  const client = await lab.host("client", { segment: lan, mac: "02:00:00:00:00:0b" });
  const namespace = openNamespace(`/run/netns/${server.netns}`);
  const fd = inNamespace(
    namespace,
    () => openPacket(listInterfaces().get("eth0")?.index ?? 0, udpFilter(67), "eth0"),
  );
  const epoll = new Epoll(), stop = new EventFd();
  const received = new FrameBatch(8, 2048), sent = new FrameBatch(1, 2048), writer = new ReplyWriter();
  const checksums: number[] = [];
  const answer = (message: Message) => {
    const type = message.type === Type.discover ? Type.offer : Type.ack;
    const write = (siaddr: number) => {
      const reply: Reply = { type, serverId, yiaddr: Ip.parse("10.9.0.50").u32, seconds: 600, siaddr };
      const payload = writer.write(sent.buffer, PAYLOAD_AT, message, reply);
      const length = writeFrame(sent.buffer, 0, payload, {
        sourceMac: serverMac,
        destinationMac: message.chaddr.subarray(0, 6),
        source: serverId,
        destination: reply.yiaddr,
        sourcePort: 67,
        destinationPort: 68,
      });
      sent.setLength(0, length);
      return read16(sent.buffer, CHECKSUM_AT);
    };
    // A word that is what the sum lacks makes the sum 0xffff, of which the checksum is the complement (RFC 1071).
    checksums.push(write(write(0)));
    assert.equal(sent.send(fd, 1), 0);
  };
  let over = false;
  const serve = async () => {
    const frame = new Frame(), message = new Message();
    while (!over) {
      await readable(epoll);
      const count = received.receive(fd);
      for (let slot = 0; slot < count; slot++) {
        assert.ok(frame.read(received.buffer, slot * received.size, received.length(slot)));
        assert.ok(message.read(received.buffer, frame.payloadAt, frame.payloadLength));
        answer(message);
      }
    }
  };
  epoll.add(fd, 1);
  epoll.add(stop.fd, 2);
  const serving = serve();
  try {
    const { code, stderr } = await client.run(udhcpc, { mayFail: true });
    assert.equal(code, 0, stderr);
    // None was computed, that says (RFC 768).
    assert.deepEqual(new Set(checksums), new Set([0]));
  } finally {
    over = true;
    stop.signal();
    await serving;
    epoll.close();
    stop.close();
    for (const open of [fd, namespace]) libc.close(open);
  }
});
