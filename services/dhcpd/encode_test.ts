import assert from "node:assert/strict";
import { type DhcpHeader, encode, OptionList } from "./encode.ts";
import { Message } from "./message.ts";
import { Opt, OPTIONS_AT } from "./numbers.ts";

const header: DhcpHeader = {
  op: 2,
  htype: 1,
  hlen: 6,
  xid: 7,
  secs: 0,
  flags: 0,
  ciaddr: 0,
  yiaddr: 0x0a00000a,
  siaddr: 0,
  giaddr: 0,
  chaddr: Uint8Array.of(0, 0, 0x11, 0x11, 0, 1),
};

const filled = (length: number, byte = 0x61) => new Uint8Array(length).fill(byte);

/** Encodes into a dirty buffer, at an offset, and reads it again. */
function written(
  options: readonly (readonly [number, Uint8Array])[],
  limit = 548,
  fields: Partial<DhcpHeader> = {},
) {
  const list = new OptionList();
  for (const [number, value] of options) list.add(number, value);
  const out = filled(3000, 0xee);
  const length = encode(out, 42, { ...header, ...fields }, list, limit);
  const message = new Message();
  assert(message.read(out, 42, length));
  assert(length <= limit && length >= 300, `length ${length}`);
  assert(out.subarray(42 + length).every((byte) => byte === 0xee), "wrote past its end");
  return { message, bytes: out.slice(42, 42 + length) };
}

/** The option numbers in one field, in order. */
function order(bytes: Uint8Array, from = OPTIONS_AT): number[] {
  const numbers: number[] = [];
  for (let i = from; bytes[i] !== Opt.end;) {
    numbers.push(bytes[i] ?? 0);
    i += 2 + (bytes[i + 1] ?? 0);
  }
  return numbers;
}

Deno.test("encode() pads to BOOTP's 300 bytes with nothing of what was in the buffer", () => {
  const { bytes } = written([[Opt.type, Uint8Array.of(5)]]);
  assert.equal(bytes.length, 300);
  assert(bytes.subarray(OPTIONS_AT + 4).every((byte) => byte === 0));
  assert(bytes.subarray(44, 236).every((byte) => byte === 0));
});

Deno.test("encode() keeps the order, but writes option 82 last", () => {
  const { bytes, message } = written([[53, filled(1)], [82, filled(9)], [3, filled(4)], [1, filled(4)]]);
  assert.deepEqual(order(bytes), [53, 3, 1, 82]);
  assert.deepEqual(message.payload(82), filled(9));
});

Deno.test("encode() writes boot server and file into sname and file too", () => {
  const text = (s: string) => new TextEncoder().encode(s);
  const { bytes } = written([], 548, { sname: text("boot.mini.net"), file: text("pxelinux.0") });
  const field = (from: number) => new TextDecoder().decode(bytes.subarray(from)).split("\0")[0];
  assert.equal(field(44), "boot.mini.net");
  assert.equal(field(108), "pxelinux.0");
  const long = written([], 548, { sname: filled(64), file: filled(128) });
  assert(long.bytes.subarray(44, 236).every((byte) => byte === 0), "no room for the zero after it");
});

for (const length of [0, 1, 255, 256, 510, 511, 1000]) {
  Deno.test(`encode() splits an option of ${length} bytes as RFC 3396 says`, () => {
    const { bytes, message } = written([[53, filled(1)], [43, filled(length)]], 1472);
    assert.deepEqual(message.payload(43), filled(length));
    assert.equal(order(bytes).filter((n) => n === 43).length, Math.max(1, Math.ceil(length / 255)));
  });
}

Deno.test("encode() uses file and sname when the client takes no more", () => {
  const options = [[53, filled(1)], [6, filled(200)], [15, filled(100)], [17, filled(60)], [
    3,
    filled(4),
  ]] as const;
  const { bytes, message } = written([...options, [82, filled(20)]], 548);
  for (const [number, value] of options) assert.deepEqual(message.payload(number), value, `option ${number}`);
  assert.deepEqual(order(bytes), [53, 6, 17, 3, 52, 82]);
  assert.equal(message.u8(Opt.overload), 1);
  assert.deepEqual(order(bytes, 108), [15]);
});

Deno.test("encode() goes on in sname when file is full too", () => {
  const { bytes, message } = written([[53, filled(1)], [6, filled(296)], [15, filled(120)], [
    17,
    filled(58),
  ]]);
  assert.equal(message.u8(Opt.overload), 3);
  assert.deepEqual(order(bytes, 108), [15]);
  assert.deepEqual(order(bytes, 44), [17]);
  assert.deepEqual(message.payload(17), filled(58));
});

Deno.test("encode() spreads an option that no field holds over all of them", () => {
  const value = filled(460).map((_, i) => i);
  const { message } = written([[53, filled(1)], [43, value]], 548);
  assert.deepEqual(message.payload(43), value);
  assert.equal(message.u8(Opt.overload), 3);
});

Deno.test("encode() leaves out what fits nowhere, and keeps what came first and option 82", () => {
  const { message } = written([[53, filled(1)], [54, filled(4)], [43, filled(600)], [15, filled(9)], [
    82,
    filled(50),
  ]]);
  assert.equal(message.has(43), false);
  assert.equal(message.payload(54)?.length, 4);
  assert.equal(message.payload(15)?.length, 9);
  assert.equal(message.payload(82)?.length, 50);
});

Deno.test("encode() gives up option 82 where it would leave no room for the message", () => {
  const { message } = written([[53, filled(1)], [54, filled(4)], [82, filled(300)]], 548);
  assert.equal(message.payload(54)?.length, 4);
  assert.equal(message.has(82), false);
});

Deno.test("encode() never passes any limit", () => {
  for (let limit = 300; limit < 700; limit += 7) {
    written(
      [[53, filled(1)], [6, filled(100)], [43, filled(300)], [82, filled(30)], [15, filled(70)]],
      limit,
    );
  }
});
