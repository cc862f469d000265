import assert from "node:assert/strict";
import { decodeReply, DISCOVER, encodeRequest, LEASE_TIME, OFFER, REQUESTED_ADDRESS } from "./demo_dhcp.ts";

const mac = "02:00:00:00:00:01", xid = 0xdeadbeef;

/** A reply of 240 octets without options, followed by these. */
function reply(...options: number[]): Uint8Array {
  const message = new Uint8Array(240 + options.length);
  message.set([2, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef]);
  message.set([10, 0, 0, 7], 16);
  message.set([0x63, 0x82, 0x53, 0x63, ...options], 236);
  return message;
}

Deno.test("encodeRequest() writes what RFC 2131 says, and no less than 300 octets", () => {
  const message = encodeRequest(DISCOVER, mac, xid, [[REQUESTED_ADDRESS, Uint8Array.of(10, 0, 0, 7)]]);
  assert.equal(message.length, 300);
  assert.deepEqual([...message.subarray(0, 12)], [1, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0x80, 0]);
  assert.deepEqual([...message.subarray(28, 44)], [2, 0, 0, 0, 0, 1, ...Array(10).fill(0)]);
  assert.deepEqual(
    [...message.subarray(236, 250)],
    [0x63, 0x82, 0x53, 0x63, 53, 1, 1, 50, 4, 10, 0, 0, 7, 255],
  );
});

Deno.test("decodeReply() reads the address and the options, also one in two parts and after padding", () => {
  const found = decodeReply(reply(53, 1, OFFER, 0, 51, 2, 0, 0, 51, 2, 14, 16, 255, 9, 9), xid);
  assert.equal(found?.type, OFFER);
  assert.deepEqual([...found?.yiaddr ?? []], [10, 0, 0, 7]);
  assert.deepEqual([...found?.options.get(LEASE_TIME) ?? []], [0, 0, 14, 16]);
});

Deno.test("decodeReply() passes over what is not a reply to this exchange, and what is cut off", () => {
  const offer = reply(53, 1, OFFER, 255);
  assert.equal(decodeReply(offer, xid - 1), undefined);
  assert.equal(decodeReply(offer.with(0, 1), xid), undefined);
  assert.equal(decodeReply(offer.with(236, 0), xid), undefined);
  assert.equal(decodeReply(offer.subarray(0, 239), xid), undefined);
  assert.equal(decodeReply(reply(53, 4, OFFER), xid), undefined);
  assert.equal(decodeReply(reply(51, 0, 255), xid), undefined);
});
