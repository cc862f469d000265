import assert from "node:assert/strict";
import { type DhcpHeader, encode, OptionList } from "./encode.ts";
import { Message, subOption, u32Of } from "./message.ts";
import { Opt, OPTIONS_AT } from "./numbers.ts";

const header: DhcpHeader = {
  op: 1,
  htype: 1,
  hlen: 6,
  xid: 0xfedcba98,
  secs: 0x0102,
  flags: 0x8000,
  ciaddr: 0x0a000001,
  yiaddr: 0x0a000002,
  siaddr: 0x0a000003,
  giaddr: 0xc0a80101,
  chaddr: Uint8Array.of(0, 0, 0x11, 0x11, 0, 1),
};

/** A message whose options field is just these bytes. */
function withOptions(hex: string): Uint8Array {
  const options = Uint8Array.fromHex(hex.replaceAll(" ", ""));
  const out = new Uint8Array(OPTIONS_AT + Math.max(60, options.length));
  encode(out, 0, header, new OptionList(), 300);
  out.fill(0, OPTIONS_AT);
  out.set(options, OPTIONS_AT);
  return out.slice(0, OPTIONS_AT + options.length);
}

function read(bytes: Uint8Array): Message {
  const message = new Message();
  assert(message.read(bytes, 0, bytes.length));
  return message;
}

Deno.test("Message reads the fixed fields at any place of a buffer", () => {
  const packet = withOptions("350101 ff");
  const buffer = new Uint8Array(packet.length + 14);
  buffer.set(packet, 7);
  const message = new Message();
  assert(message.read(buffer, 7, packet.length));
  const { op, htype, hlen, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr, type } = message;
  assert.deepEqual(
    { op, htype, hlen, xid, secs, flags, ciaddr, yiaddr, siaddr, giaddr, chaddr: chaddr.subarray(0, 6) },
    header,
  );
  assert.equal(type, 1);
});

Deno.test("Message skips PAD, stops at END and does without one", () => {
  const message = read(withOptions("00 00 350103 00 3604 0a000001 ff 0c 03 616263"));
  assert.equal(message.type, 3);
  assert.equal(message.u32(Opt.serverId), 0x0a000001);
  assert.equal(message.payload(Opt.hostname), undefined);
  assert.equal(read(withOptions("350103")).type, 3);
  assert.equal(read(withOptions("")).type, 0);
});

Deno.test("Message joins the pieces of a long option (RFC 3396)", () => {
  const message = read(withOptions("0c 02 6162 350101 0c 01 63 0c 00 0c 02 6465 ff"));
  assert.equal(new TextDecoder().decode(message.payload(Opt.hostname)), "abcde");
  assert.equal(message.payload(Opt.type)?.length, 1);
});

Deno.test("Message reads options from file and sname when option 52 says so, in that order", () => {
  const packet = withOptions("350101 340103 0c 01 61 ff");
  packet.set(Uint8Array.fromHex("0c0162ff"), 108);
  packet.set(Uint8Array.fromHex("0c0163ff"), 44);
  assert.equal(new TextDecoder().decode(read(packet).payload(Opt.hostname)), "abc");
  packet[OPTIONS_AT + 5] = 2;
  assert.equal(new TextDecoder().decode(read(packet).payload(Opt.hostname)), "ac");
});

Deno.test("Message is used again without anything left from the packet before", () => {
  const message = read(withOptions("350101 0c0161 0c0162 ff"));
  const next = withOptions("350103 ff");
  assert(message.read(next, 0, next.length));
  assert.equal(message.has(Opt.hostname), false);
  assert.equal(message.payload(Opt.hostname), undefined);
});

Deno.test("Message.copy() lives on when the buffer changes", () => {
  const packet = withOptions("350101 0c0161 ff");
  const copy = read(packet).copy();
  packet.fill(0);
  assert.equal(copy.type, 1);
  assert.equal(copy.xid, header.xid);
  assert.equal(new TextDecoder().decode(copy.payload(Opt.hostname)), "a");
});

const cutOff = withOptions("350101 ff");
const refused: readonly (readonly [string, Uint8Array])[] = [
  ["nothing", new Uint8Array(0)],
  ["one that ends before its options", cutOff.slice(0, 239)],
  ["another cookie", cutOff.with(237, 0)],
  ["an option without a length", withOptions("350101 0c")],
  ["an option past the end", withOptions("350101 0c 05 6162")],
];
for (const [name, bytes] of refused) {
  Deno.test(`Message refuses ${name}`, () => {
    assert.equal(new Message().read(bytes, 0, bytes.length), false);
  });
}

Deno.test("Message refuses an option past the end of an overloaded field", () => {
  const packet = withOptions("350101 340101 ff");
  packet.fill(0, 108, 236);
  packet.set([Opt.hostname, 4, 97], 233);
  assert.equal(new Message().read(packet, 0, packet.length), false);
});

Deno.test("Message takes a number only from an option of its length", () => {
  const message = read(withOptions("3502 0101 3603 0a0000 3901 02 3404 00000000 ff"));
  assert.equal(message.type, 0);
  assert.equal(message.u32(Opt.serverId), undefined);
  assert.equal(message.u16(Opt.maxSize), undefined);
  assert.equal(read(withOptions("3902 05dc ff")).u16(Opt.maxSize), 1500);
});

Deno.test("subOption() finds one among others and none that is cut off", () => {
  const payload = Uint8Array.fromHex("010261620504c0a80101");
  assert.equal(u32Of(subOption(payload, 5)), 0xc0a80101);
  assert.equal(subOption(payload, 11), undefined);
  assert.equal(subOption(payload.subarray(0, 7), 5), undefined);
  assert.equal(u32Of(subOption(payload, 1)), undefined);
});
