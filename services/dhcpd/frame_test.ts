import assert from "node:assert/strict";
import { checksum, Frame, type FrameAddresses, PAYLOAD_AT, writeFrame } from "./frame.ts";

const to: FrameAddresses = {
  sourceMac: Uint8Array.fromHex("020000000001"),
  destinationMac: Uint8Array.fromHex("000011110001"),
  source: 0x0a000001,
  destination: 0xffffffff,
  sourcePort: 67,
  destinationPort: 68,
};

function written(payload: Uint8Array): Uint8Array {
  const out = new Uint8Array(7 + PAYLOAD_AT + payload.length + 1).fill(0xee);
  out.set(payload, 7 + PAYLOAD_AT);
  const length = writeFrame(out, 7, payload.length, to);
  assert.equal(out.at(-1), 0xee);
  return out.slice(7, 7 + length);
}

Deno.test("writeFrame() writes headers whose checksums hold", () => {
  for (const payload of [new Uint8Array(0), Uint8Array.of(1, 2, 3), new Uint8Array(300).fill(0xff)]) {
    const frame = written(payload);
    assert.equal(frame.subarray(0, 14).toHex(), "00001111000102000000000108" + "00");
    assert.equal(checksum(frame, 14, 20, 0), 0);
    const pseudo = 0x0a00 + 1 + 0xffff + 0xffff + 17 + 8 + payload.length;
    assert.equal(checksum(frame, 34, 8 + payload.length, pseudo), 0);
    assert.equal(frame.subarray(34, 38).toHex(), "00430044");
  }
});

Deno.test("writeFrame() sends no checksum where it computes to zero", () => {
  const payload = new Uint8Array(4), checksumOf = (frame: Uint8Array) => frame.subarray(40, 42);
  payload.set(checksumOf(written(payload)));
  assert.deepEqual([...checksumOf(written(payload))], [0, 0]);
});

Deno.test("Frame reads what writeFrame() wrote, also with padding after it", () => {
  const padded = new Uint8Array(80);
  padded.set(written(Uint8Array.of(1, 2, 3)), 10);
  const frame = new Frame();
  assert(frame.read(padded, 10, 60));
  assert.deepEqual({ ...frame }, {
    payloadAt: 52,
    payloadLength: 3,
    source: 0x0a000001,
    destination: 0xffffffff,
  });
});

Deno.test("Frame reads past IP options", () => {
  const plain = written(Uint8Array.of(9));
  const bytes = new Uint8Array(plain.length + 4);
  bytes.set(plain.subarray(0, 34));
  bytes.set(plain.subarray(34), 38);
  bytes[14] = 0x46;
  bytes[17] = (bytes[17] ?? 0) + 4;
  const frame = new Frame();
  assert(frame.read(bytes, 0, bytes.length));
  assert.equal(bytes[frame.payloadAt], 9);
});

const good = written(Uint8Array.of(1, 2, 3));
const bad: readonly (readonly [string, Uint8Array])[] = [
  ["shorter than its headers", good.slice(0, 41)],
  ["of another version", good.with(14, 0x65)],
  ["with a header shorter than any", good.with(14, 0x44)],
  ["with a header past its end", good.with(14, 0x4f)],
  ["longer than what came", good.with(17, 200)],
  ["with a datagram shorter than its header", good.with(39, 7)],
  ["with a datagram longer than the packet", good.with(39, 12)],
];
for (const [name, bytes] of bad) {
  Deno.test(`Frame refuses one ${name}`, () => {
    assert.equal(new Frame().read(bytes, 0, bytes.length), false);
  });
}
