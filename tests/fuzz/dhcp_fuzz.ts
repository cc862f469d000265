/**
 * Fuzzes dhcpd without sockets and etcd: mutated packets go through frame, message, decision and reply.
 * `deno run -A tests/fuzz/dhcp_fuzz.ts [COUNT [SEED]]`; a failure is told with its seed and with the shortest series of packets.
 */
import assert from "node:assert/strict";
import { macFromBytes } from "../../services/common/mac.ts";
import { Offers } from "../../services/dhcpd/offers.ts";
import { clientMessage } from "../../services/dhcpd/client_message.ts";
import { Frame, PAYLOAD_AT, writeFrame } from "../../services/dhcpd/frame.ts";
import { Message } from "../../services/dhcpd/message.ts";
import { BOOTREPLY, CHADDR_AT, Opt, Type } from "../../services/dhcpd/numbers.ts";
import { handle } from "../../services/dhcpd/protocol.ts";
import { destination, ReplyWriter } from "../../services/dhcpd/reply.ts";
import { NexView } from "../../services/nex/view.ts";
import { MemoryStore } from "../../services/store/memory_store.ts";
import { type NexRecord, nexSchema } from "../../services/store/records.ts";
import { openMini } from "../../services/nex/testing.ts";
import { anySeed, forAll, type Random } from "../lab/property.ts";

const net = {
  ...openMini("00:00:99:00:00"),
  options: [{ number: 43, value: "0x" + "ab".repeat(300) }, { number: 67, value: "pxelinux.0" }],
};

/** Good messages of every type, from which the bad ones are made. */
function corpus(): Uint8Array[] {
  const address = Uint8Array.of(10, 0, 0, 10), server = Uint8Array.of(10, 0, 0, 1);
  const text = (value: string) => new TextEncoder().encode(value);
  const options = [
    [Opt.requestedAddress, address],
    [Opt.serverId, server],
    [Opt.maxSize, Uint8Array.of(2, 0x40)],
    [Opt.clientId, Uint8Array.of(1, 0, 0, 0x99, 0, 0, 1)],
    [Opt.parameterList, Uint8Array.of(1, 3, 6, 12, 15, 28, 42, 43, 66, 67, 119, 121)],
    [Opt.hostname, text("laptop")],
    [Opt.fqdn, Uint8Array.of(5, 0, 0, 2, 112, 99, 0)],
    [Opt.rapidCommit, new Uint8Array(0)],
    [Opt.relayAgent, Uint8Array.of(1, 2, 65, 66, 5, 4, 10, 0, 0, 1, 11, 4, 10, 0, 0, 1)],
  ] as const;
  const messages: Uint8Array[] = [];
  for (const type of Object.values(Type)) {
    for (let last = 0; last <= options.length; last++) {
      for (const place of [{}, { giaddr: 0x0a000001 }, { ciaddr: 0x0a00000a }]) {
        const mac = `00:00:99:00:00:${last.toString(16).padStart(2, "0")}`;
        messages.push(clientMessage({ type, mac, ...place, options: options.slice(0, last) }));
        messages.push(clientMessage({ type, mac, ...place, options: options.slice(last) }));
      }
    }
  }
  return messages;
}

/** A frame around a message, then one to four things wrong with either. */
function mutated(good: readonly Uint8Array[], random: Random): Uint8Array {
  const pick = () => good[random(good.length)] ?? new Uint8Array(0);
  let message: Uint8Array = pick().slice();
  for (let n = 1 + random(4); n > 0; n--) {
    const at = random(message.length), options = 236 + random(Math.max(1, message.length - 236));
    switch (random(8)) {
      case 0:
        message[at] = random(256);
        break;
      case 1:
        message[options] = random(256);
        break;
      case 2: // One option that says it is as long as can be.
        message[options] = 255 - random(3);
        break;
      case 3:
        message = message.slice(0, random(message.length + 1));
        break;
      case 4: // The end of another message.
        message = Uint8Array.from([...message.subarray(0, options), ...pick().subarray(options)]);
        break;
      case 5: // The same bytes again and again: many pieces of one option.
        message = Uint8Array.from([
          ...message.subarray(0, options),
          ...Array.from({ length: random(1000) }, (_, i) => [53 + random(2) * 29, i & 1][i & 1] ?? 0),
        ]);
        break;
      case 6: // Options in file and sname too.
        if (message.length > 243) message.set([Opt.overload, 1, 1 + random(3)], 240);
        break;
      default:
        for (let i = random(200); i > 0; i--) {
          const where = random(message.length << 8);
          message[where >> 8] = where & 255;
        }
    }
  }
  message = message.subarray(0, 1472);
  const frame = new Uint8Array(PAYLOAD_AT + message.length);
  frame.set(message, PAYLOAD_AT);
  writeFrame(frame, 0, message.length, {
    sourceMac: new Uint8Array(6),
    destinationMac: new Uint8Array(6).fill(255),
    source: 0,
    destination: 0xffffffff,
    sourcePort: 68,
    destinationPort: 67,
  });
  if (random(20) === 1) frame[14 + random(28)] = random(256);
  return random(20) === 1 ? frame.slice(0, random(frame.length)) : frame;
}

/** The most choices for one server, which another one follows, and how many packets they are enough for on average. */
const CHOICES = 2000, SERIES = 7;

/** Runs some `count` packets; throws at the first that does what it must not. Returns how many got which treatment. */
export function fuzz(count: number, seed: number): Record<string, number> {
  const good = corpus();
  const frame = new Frame(), message = new Message(), again = new Message();
  const writer = new ReplyWriter(), out = new Uint8Array(4096);
  const seen: Record<string, number> = {};
  forAll({ runs: Math.ceil(count / SERIES), choices: CHOICES, seed }, (random, isOver) => {
    const store = new MemoryStore(nexSchema, { "/net/fuzz": JSON.stringify(net) });
    const state = { store, view: new NexView(store.mirror), offers: new Offers() };
    for (let now = 1_000_000; !isOver(); now += random(2)) {
      const bytes = mutated(good, random);
      const before = bytes.slice();
      try {
        const what = one(bytes, state, now, random);
        seen[what] = (seen[what] ?? 0) + 1;
        assert.deepEqual(bytes, before, "the packet itself was written to");
      } catch (error) {
        throw new Error(`packet ${before.toHex()}`, { cause: error });
      }
    }
  });
  return seen;

  function one(
    bytes: Uint8Array,
    state: { store: MemoryStore<NexRecord>; view: NexView; offers: Offers },
    now: number,
    random: Random,
  ): string {
    if (!frame.read(bytes, 0, bytes.length)) return "bad frame";
    assert(frame.payloadAt + frame.payloadLength <= bytes.length);
    if (!message.read(bytes, frame.payloadAt, frame.payloadLength)) return "bad message";
    for (let number = 0; number < 256; number++) {
      assert((message.payload(number)?.length ?? 0) <= bytes.length);
      void [message.u8(number), message.u16(number), message.u32(number)];
    }
    const step = handle(state.view, state.offers, {
      message,
      mac: macFromBytes(bytes, frame.payloadAt + CHADDR_AT),
      unicast: random(2) === 0,
      source: frame.source,
      ownFrame: frame.isFrom(frame.payloadAt + CHADDR_AT),
      received: 1000 * now,
      addresses: [0x0a000001],
      attached: random(2) ? () => true : undefined,
      now,
      storeAway: random(10) === 1,
      registerNames: true,
    });
    if (step.do === "ignore") return step.why;
    if (step.do === "commit" && random(4) === 0) assert(state.store.write(step.plan).committed);
    if (!step.reply) return step.do;
    destination(message, step.reply);
    out.fill(0xee);
    const length = writer.write(out, 1000, message, step.reply);
    assert(length >= 300 && length <= 1472, `a reply of ${length} bytes`);
    assert(out[999] === 0xee && out[1000 + length] === 0xee, "written past its place");
    assert(again.read(out, 1000, length), "a reply that cannot be read");
    assert.equal(again.op, BOOTREPLY);
    assert.equal(again.type, step.reply.type);
    assert.equal(again.u32(Opt.serverId), step.reply.serverId);
    assert.equal(again.xid, message.xid);
    return step.do;
  }
}

if (import.meta.main) {
  const [count = "1000000", seed = String(anySeed())] = Deno.args;
  console.log(`${count} packets, seed ${seed}`);
  console.log(fuzz(Number(count), Number(seed)));
}
