import assert from "node:assert/strict";
import { readNetwork } from "../nex/network.ts";
import { mini } from "../nex/testing.ts";
import { type ClientMessage, clientMessage } from "./client_message.ts";
import { Message } from "./message.ts";
import { Opt, OPTIONS_AT, Type } from "./numbers.ts";
import { networkOptions } from "./options.ts";
import { destination, type Reply, ReplyWriter } from "./reply.ts";

const mac = "00:00:11:11:00:01";
const options = networkOptions(readNetwork("mini", { modRevision: 1 }, {
  ...mini,
  options: [
    { number: 26, value: "1450" },
    { number: 66, value: "boot.mini.net" },
    { number: 67, value: "pxelinux.0" },
  ],
}));
const offer: Reply = {
  type: Type.offer,
  serverId: 0x0a000001,
  options,
  yiaddr: 0x0a00000a,
  siaddr: 0x0a000002,
  seconds: 3600,
  name: "whiskey.mini.net",
};
const ack: Reply = { ...offer, type: Type.ack };
const nak: Reply = { type: Type.nak, serverId: 0x0a000001, yiaddr: 0, text: "no" };

function read(bytes: Uint8Array): Message {
  const message = new Message();
  assert(message.read(bytes, 0, bytes.length));
  return message;
}

const request = (message: Partial<ClientMessage> = {}) =>
  read(clientMessage({ type: Type.discover, mac, xid: 0x12345678, ...message }));

const writer = new ReplyWriter();

/** The reply as its client reads it. */
function answer(message: Partial<ClientMessage>, reply: Reply): Message {
  const out = new Uint8Array(1600);
  return read(out.slice(0, writer.write(out, 0, request(message), reply)));
}

function order(message: Message): number[] {
  const numbers: number[] = [];
  for (let i = OPTIONS_AT; message.bytes[i] !== Opt.end;) {
    numbers.push(message.bytes[i] ?? 0);
    i += 2 + (message.bytes[i + 1] ?? 0);
  }
  return numbers;
}

const parameterList = (...numbers: number[]) => [Opt.parameterList, Uint8Array.from(numbers)] as const;

Deno.test("a reply carries the client's own fields and the lease's times", () => {
  const reply = answer({ flags: 0x8000, giaddr: 0x0a000005 }, offer);
  assert.equal(reply.op, 2);
  assert.equal(reply.xid, 0x12345678);
  assert.equal(reply.flags, 0x8000);
  assert.equal(reply.giaddr, 0x0a000005);
  assert.equal(reply.yiaddr, 0x0a00000a);
  assert.equal(reply.siaddr, 0x0a000002);
  assert.equal(reply.chaddr.subarray(0, 6).toHex(), "000011110001");
  assert.equal(reply.u32(Opt.serverId), 0x0a000001);
  assert.equal(reply.u32(Opt.leaseTime), 3600);
  assert.equal(reply.u32(Opt.renewalTime), 1800);
  assert.equal(reply.u32(Opt.rebindingTime), 3150);
});

Deno.test("a client that asks for nothing gets all that the network says", () => {
  assert.deepEqual(order(answer({}, offer)), [53, 54, 51, 58, 59, 1, 12, 3, 6, 15, 26, 66, 67]);
});

Deno.test("a client gets what it asks for, once and in its order, and always the mask", () => {
  const list = parameterList(15, 6, 3, 15, 1, 200, 119, 51, 28);
  assert.deepEqual(order(answer({ options: [list] }, offer)), [53, 54, 51, 58, 59, 1, 15, 6, 3, 119, 28]);
  assert.equal(
    new TextDecoder().decode(answer({ options: [parameterList(12)] }, offer).payload(Opt.hostname)),
    "whiskey",
  );
});

Deno.test("boot server and file are in sname and file as well", () => {
  const { bytes } = answer({}, offer);
  assert.equal(new TextDecoder().decode(bytes.subarray(44, 57)), "boot.mini.net");
  assert.equal(new TextDecoder().decode(bytes.subarray(108, 118)), "pxelinux.0");
});

Deno.test("the client's id and the relay's option come back, option 82 last (RFC 6842, RFC 3046)", () => {
  const id = Uint8Array.of(1, 0, 0, 0x11, 0x11, 0, 1), relay = Uint8Array.of(1, 3, 1, 2, 3);
  for (const reply of [offer, nak]) {
    const message = answer({
      giaddr: 0x0a000005,
      options: [[Opt.relayAgent, relay], parameterList(3), [Opt.clientId, id]],
    }, reply);
    assert.deepEqual(message.payload(Opt.clientId), id);
    assert.deepEqual(message.payload(Opt.relayAgent), relay);
    assert.equal(order(message).at(-1), Opt.relayAgent);
  }
});

Deno.test("an ACK to INFORM has no lease times", () => {
  const { seconds: _, ...inform } = ack;
  const reply = answer({ type: Type.inform, ciaddr: 0x0a00000a }, {
    ...inform,
    yiaddr: 0,
    clientAddress: 0x0a00000a,
  });
  assert.equal(reply.ciaddr, 0x0a00000a);
  assert.deepEqual(order(reply), [53, 54, 1, 12, 3, 6, 15, 26, 66, 67]);
});

Deno.test("a NAK has a reason and nothing of the network; its relay is told to broadcast it", () => {
  const reply = answer({ ciaddr: 0x0a00000a, giaddr: 0x0a000005 }, nak);
  assert.deepEqual(order(reply), [53, 54, 56]);
  assert.equal(reply.flags, 0x8000);
  assert.equal(reply.ciaddr, 0);
});

Deno.test("ciaddr comes back only to a client that has the address; a relay broadcasts what it could send nowhere", () => {
  const ciaddr = 0x0a00000a, giaddr = 0x0a000005;
  assert.equal(answer({ ciaddr }, ack).ciaddr, 0);
  assert.equal(answer({ ciaddr }, { ...ack, clientAddress: ciaddr }).ciaddr, ciaddr);
  const informed = { ...ack, yiaddr: 0 };
  assert.equal(answer({ giaddr }, { ...informed, clientAddress: 0 }).flags, 0x8000);
  assert.equal(answer({ giaddr, ciaddr }, { ...informed, clientAddress: ciaddr }).flags, 0);
  assert.equal(answer({ giaddr }, ack).flags, 0);
});

Deno.test("a reply keeps to the client's maximum message size, at least 576", () => {
  const long = networkOptions(readNetwork("long", { modRevision: 1 }, {
    name: "long",
    options: [{ number: 224, value: "a".repeat(700) }, { number: 225, value: "b".repeat(600) }],
  }));
  for (
    const [size, most] of [[undefined, 548], [100, 548], [1000, 972], [1500, 1472], [65535, 1472]] as const
  ) {
    const options = size ? [[Opt.maxSize, Uint8Array.of(size >> 8, size)] as const] : [];
    const { length } = answer({ options }, { ...offer, options: long });
    assert(length <= most, `${length} bytes for ${size}`);
  }
  const reply = answer({ options: [[Opt.maxSize, Uint8Array.of(5, 0xdc)]] }, { ...offer, options: long });
  assert.equal(reply.payload(224)?.length, 700);
});

Deno.test("the longest lease is RFC 2131's infinity", () => {
  assert.equal(answer({}, { ...offer, seconds: 0x1_0000_0000 }).u32(Opt.leaseTime), 0xffffffff);
});

Deno.test("replies go where RFC 2131 §4.1 says", () => {
  const onBroadcast = { by: "link", address: 0xffffffff, mac: new Uint8Array(6).fill(255) };
  const reached: Reply = { ...ack, clientAddress: 7 };
  const rows: readonly (readonly [Partial<ClientMessage>, Reply, unknown])[] = [
    [{ giaddr: 5, ciaddr: 7, flags: 0x8000 }, reached, { by: "route", address: 5, port: 67 }],
    [{ giaddr: 5, ciaddr: 7 }, { ...reached, yiaddr: 0 }, { by: "route", address: 7, port: 68 }],
    [{ giaddr: 5 }, { ...ack, yiaddr: 0, clientAddress: 0 }, { by: "route", address: 5, port: 67 }],
    [{ giaddr: 5 }, nak, { by: "route", address: 5, port: 67 }],
    [{ ciaddr: 7, flags: 0x8000 }, reached, { by: "route", address: 7, port: 68 }],
    [{ ciaddr: 7 }, nak, onBroadcast],
    [{ ciaddr: 7, flags: 0x8000 }, ack, onBroadcast],
    [{ ciaddr: 7 }, ack, { by: "link", address: 0x0a00000a, mac: Uint8Array.fromHex("000011110001") }],
    [{ flags: 0x8000 }, offer, onBroadcast],
    [{}, nak, onBroadcast],
    [{}, offer, { by: "link", address: 0x0a00000a, mac: Uint8Array.fromHex("000011110001") }],
  ];
  for (const [message, reply, expected] of rows) {
    assert.deepEqual(destination(request(message), reply), expected);
  }
});
