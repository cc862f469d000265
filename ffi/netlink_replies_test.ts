import assert from "node:assert/strict";
import {
  encodeMessage,
  NLM_F_DUMP_INTR,
  NLM_F_MULTI,
  NLMSG_DONE,
  NLMSG_ERROR,
  u32,
} from "./netlink_message.ts";
import { DumpReplies, Replies } from "./netlink_replies.ts";

const seq = 7, entry = 28;

function message(
  type: number,
  payload: Uint8Array,
  flags = NLM_F_MULTI,
  number = seq,
): Uint8Array<ArrayBuffer> {
  const bytes = encodeMessage(type, flags, payload);
  new DataView(bytes.buffer).setUint32(8, number, true);
  return bytes;
}

function dump(...parts: Uint8Array[]): { replies: DumpReplies; seen: number } {
  let seen = 0;
  const replies = new DumpReplies(seq, () => seen++);
  for (const part of parts) replies.take(new DataView(part.buffer as ArrayBuffer), part.length);
  replies.end();
  return { replies, seen };
}

const done = message(NLMSG_DONE, u32(0)), row = message(entry, u32(1));

Deno.test("a dump is believed when it has an end and was not changed meanwhile", () => {
  const { replies, seen } = dump(row, row, done);
  assert.deepEqual([seen, replies.state, replies.inconsistency, replies.failure], [2, "done", "", undefined]);
});

Deno.test("a dump that is short, changed, cut off or malformed is inconsistent", () => {
  assert.equal(dump(row, row).replies.inconsistency, "without an end");
  assert.equal(dump().replies.inconsistency, "without an end");
  const interrupted = message(NLMSG_DONE, u32(0), NLM_F_MULTI | NLM_F_DUMP_INTR);
  assert.equal(dump(row, interrupted).replies.inconsistency, "changed meanwhile");
  assert.equal(
    dump(message(entry, u32(1), NLM_F_DUMP_INTR), done).replies.inconsistency,
    "changed meanwhile",
  );
  assert.equal(dump(message(NLMSG_ERROR, u32(0)), done).replies.inconsistency, "acknowledged without an end");
  const long = row.slice();
  new DataView(long.buffer).setUint32(0, 1000, true);
  assert.equal(dump(long, done).replies.inconsistency, "malformed");
  const cut = new DumpReplies(seq, () => assert.fail("half a message"));
  cut.take(new DataView(row.buffer), 100000);
  cut.take(new DataView(done.buffer), done.length);
  assert.equal(cut.inconsistency, "cut off");
});

Deno.test("a dump's refusal is its error, and what belongs to another is passed over", () => {
  const { replies } = dump(message(NLMSG_DONE, u32(-19)));
  assert.deepEqual(replies.failure, { index: 0, errno: 19, detail: "" });
  const old = message(entry, u32(1), NLM_F_MULTI, seq - 1), oldEnd = message(NLMSG_DONE, u32(0), 0, seq - 1);
  const mixed = dump(old, oldEnd, row, done);
  assert.deepEqual([mixed.seen, mixed.replies.inconsistency], [1, ""]);
});

Deno.test("errors find their message, over the wrap of the sequence number", () => {
  const replies = new Replies(0xfffffffe, 4);
  const take = (number: number, errno: number) => {
    const bytes = message(NLMSG_ERROR, u32(-errno), 0, number);
    replies.take(new DataView(bytes.buffer), bytes.length);
  };
  take(5, 1);
  take(0xffffffff, 17);
  take(0, 2);
  assert.equal(replies.done, false);
  take(1, 0);
  assert.equal(replies.done, true);
  assert.deepEqual(replies.failures.map(({ index, errno }) => [index, errno]), [[1, 17], [2, 2]]);
});
