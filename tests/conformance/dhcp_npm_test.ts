/**
 * npm's `dhcp`, an odd client: its messages are as short as can be, its client identifier is text, its REQUESTs name no
 * server, and the first of them no address either. What it sends is read as it is meant, and it reads the replies so too.
 */
import assert from "node:assert/strict";
import protocol from "dhcp/lib/protocol.js";
import { Ip } from "../../services/common/ip.ts";
import { Message } from "../../services/dhcpd/message.ts";
import { Type } from "../../services/dhcpd/numbers.ts";
import { Offers } from "../../services/dhcpd/offers.ts";
import { handle } from "../../services/dhcpd/protocol.ts";
import { ReplyWriter } from "../../services/dhcpd/reply.ts";
import { openMini } from "../../services/nex/testing.ts";
import { NexView } from "../../services/nex/view.ts";
import { MemoryStore } from "../../services/store/memory_store.ts";
import { nexSchema } from "../../services/store/records.ts";

const mac = "00:00:99:00:00:01";

/** A message as npm's package has it. */
interface Packet {
  readonly op: number;
  readonly xid: number;
  readonly yiaddr: string;
  readonly chaddr: string;
  readonly options: Readonly<Record<number, unknown>>;
}

/** What its client sends: the fields that are always the same, and the options that it has by itself. */
function packet(type: number, xid: number, options: Record<number, unknown> = {}) {
  const none = "0.0.0.0", addresses = { ciaddr: none, yiaddr: none, siaddr: none, giaddr: none };
  const own = { 57: 1500, 53: type, 61: mac, 55: [1, 3, 51, 54, 6, 15] };
  const header = { op: 1, htype: 1, hlen: 6, hops: 0, xid, secs: 0, flags: 0, sname: "", file: "" };
  return { ...header, ...addresses, chaddr: mac, options: { ...own, ...options } };
}

/** A server of one network, without sockets. */
class Server {
  readonly #store = new MemoryStore(nexSchema, { "/net/mini": JSON.stringify(openMini("00:00:99")) });
  readonly #view = new NexView(this.#store.mirror);
  readonly #offers = new Offers();

  /** The reply, as npm's package reads it, or why there is none. */
  take(sent: ReturnType<typeof packet>): Packet | string {
    const formatted = protocol.format(sent),
      bytes = new Uint8Array(formatted._data.subarray(0, formatted._w));
    const message = new Message();
    assert.ok(message.read(bytes, 0, bytes.length));
    assert.deepEqual([message.xid, message.type], [sent.xid, sent.options[53]]);
    const decision = handle(this.#view, this.#offers, {
      message,
      mac,
      unicast: false,
      source: 0,
      ownFrame: true,
      received: 1e9,
      addresses: [Ip.parse("10.0.0.1").u32],
      attached: () => true,
      now: 1e6,
      storeAway: false,
      registerNames: true,
    });
    if (decision.do === "ignore") return decision.why;
    if (decision.do === "commit") assert.ok(this.#store.write(decision.plan).committed);
    assert.ok(decision.reply);
    const out = new Uint8Array(1500), length = new ReplyWriter().write(out, 0, message, decision.reply);
    return protocol.parse(Buffer.from(out.subarray(0, length)));
  }
}

Deno.test("npm's dhcp gets an offer and a lease, and reads both as they are meant", () => {
  const server = new Server();
  const offer = server.take(packet(Type.discover, 7));
  assert.ok(typeof offer === "object");
  assert.deepEqual([offer.op, offer.xid, offer.yiaddr, offer.chaddr], [
    2,
    7,
    "10.0.0.10",
    "00-00-99-00-00-01",
  ]);
  const ack = server.take(packet(Type.request, 8, { 50: offer.yiaddr }));
  assert.ok(typeof ack === "object");
  assert.deepEqual([ack.xid, ack.yiaddr], [8, "10.0.0.10"]);
  const { 53: type, 54: from, 51: seconds, 1: mask, 3: routers, 6: resolvers, 15: domain } = ack.options;
  assert.deepEqual([type, from, mask, routers, resolvers], [
    Type.ack,
    "10.0.0.1",
    "255.255.255.0",
    ["10.0.0.1"],
    ["10.0.0.1"],
  ]);
  assert.deepEqual([domain, typeof seconds], ["mini.net", "number"]);
});

Deno.test("npm's dhcp gets no lease for a REQUEST without an address, as it sends it first, and nothing is written", () => {
  const server = new Server();
  server.take(packet(Type.discover, 1));
  assert.equal(server.take(packet(Type.request, 2)), "malformed");
  const again = server.take(packet(Type.request, 3, { 50: "10.0.0.10" }));
  assert.equal(typeof again === "object" && again.yiaddr, "10.0.0.10");
});
