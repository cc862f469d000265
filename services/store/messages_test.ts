import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  decodeRange,
  decodeRanges,
  decodeTxn,
  decodeWatch,
  encodeRange,
  encodeSharedTxn,
  encodeTxn,
  encodeWatchCreate,
} from "./messages.ts";
import { RangePage } from "./range_page.ts";
import { decodeGrant, encodeGrant, encodeLeaseId } from "./lease_messages.ts";

/**
 * Bytes in hexadecimal, with ASCII text between single quotes: written by hand from etcd's published field numbers, so that
 * nothing here comes from etcd.proto.
 */
function bytes(written: string): Uint8Array {
  const parts = written.split("'").map((part, i) =>
    i % 2 ? Buffer.from(part, "latin1") : Buffer.from(part.replace(/\s/g, ""), "hex")
  );
  return Uint8Array.from(Buffer.concat(parts));
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

const a = "0a 02 '/a'";
const header = "0a 0e 08 ffffffffffffffffff01 18 81 01"; // cluster 2^64 - 1, revision 129
const kv = `${a} 10 05 18 80808080808010 20 01 2a 01 'x'`; // created at 5, modified at 2^46, version 1
const whole = { clusterId: 2n ** 64n - 1n, memberId: 0n, revision: 129 };
const read = { key: "/a", createRevision: 5, modRevision: 2 ** 46, value: bytes("'x'") };

Deno.test("a plan is etcd's TxnRequest: guards, operations, and the reads of the failure branch", () => {
  const plan = {
    guards: [{ key: "/a", modRevision: 0 }],
    prefixGuards: [{ prefix: "/p/", unchangedSince: 6 }],
    ops: [{ put: "/a", value: "x", lease: 2n ** 63n - 1n }, { remove: "/b" }],
  };
  const fence = { key: "/f", modRevision: 300 };
  const written = `
    0a 09 10 02 1a 02 '/f' 30 ac 02
    0a 08 10 02 1a 02 '/a' 30 00
    0a 11 08 02 10 02 1a 03 '/p/' 30 07 82 04 03 '/p0'
    12 13 12 11 ${a} 12 01 'x' 18 ffffffffffffffff7f
    12 06 1a 04 0a 02 '/b'
    1a 08 0a 06 0a 02 '/f' 40 01
    1a 08 0a 06 ${a} 40 01
    1a 16 0a 14 0a 03 '/p/' 12 03 '/p0' 18 01 28 02 30 03 40 01 50 07`;
  assert.equal(hex(encodeTxn(plan, fence)), hex(bytes(written)));
});

Deno.test("plans that share a transaction are nested in it, behind the fence", () => {
  const plan = { guards: [], ops: [{ remove: "/b" }] };
  const written = "0a 09 10 02 1a 02 '/f' 30 ac 02" + "12 0a 22 08 12 06 1a 04 0a 02 '/b'".repeat(2);
  assert.equal(hex(encodeSharedTxn([plan, plan], { key: "/f", modRevision: 300 })), hex(bytes(written)));
});

Deno.test("range, watch and lease requests are etcd's", () => {
  const range = { key: "/a", end: "/b", limit: 1000, revision: 2 ** 40, keysOnly: true, serializable: true };
  const written = `${a} 12 02 '/b' 18 e8 07 20 808080808020 38 01 40 01`;
  assert.equal(hex(encodeRange(range)), hex(bytes(written)));
  assert.equal(hex(encodeRange({ key: "/a", writtenAfter: 299 })), hex(bytes(`${a} 50 ac 02`)));
  assert.equal(
    hex(encodeWatchCreate("/a/", 7, 3)),
    hex(bytes("0a 10 0a 03 '/a/' 12 03 '/a0' 18 07 38 03 40 01")),
  );
  assert.equal(hex(encodeGrant(60)), "083c");
  assert.equal(hex(encodeGrant(60, 2n ** 63n - 1n)), "083c10ffffffffffffffff7f");
  assert.equal(hex(encodeLeaseId(2n ** 53n + 1n)), "088180808080808010");
});

Deno.test("answers are read with every digit of ids and revisions, and what the store does not use is passed over", () => {
  const range = `${header} 12 13 ${kv} 18 01 20 07 28 09`; // and a field that is not known
  assert.deepEqual(decodeRange(bytes(range)), { header: whole, kvs: [read], more: true, count: 7 });
  const page = new RangePage(bytes(`${range} 12 13 ${kv}`));
  assert.deepEqual([page.header, page.more, page.length, page.last], [whole, true, 2, read]);
  for (const _ of [1, 2]) assert.deepEqual([...page.kvs], [read, read]);
  const removed = { removed: true, kv: { ...read, value: new Uint8Array() } };
  const gone = kv.slice(0, kv.indexOf("2a"));
  assert.deepEqual(
    decodeWatch(bytes(`${header} 10 03 5a 15 12 13 ${kv} 5a 14 08 01 12 10 ${gone}`)),
    {
      ...{ header: whole, watchId: 3, created: false, canceled: false, compactRevision: 0, cancelReason: "" },
      ...{ fragment: false, events: [{ removed: false, kv: read }, removed] },
    },
  );
  const txn = decodeTxn(bytes(`${header} 1a 17 0a 15 12 13 ${kv} 1a 04 22 02 10 01`));
  assert.deepEqual(txn.header, whole);
  assert.deepEqual([...txn.found], [["/a", 2 ** 46]]);
  assert.deepEqual(txn.nested.map(({ succeeded }) => succeeded), [true]);
  assert.deepEqual(decodeGrant(bytes("10 81 80 80 80 80 80 80 10 18 3c")), {
    id: 2n ** 53n + 1n,
    ttlSeconds: 60,
  });
});

Deno.test("a key that is not UTF-8 or begins with a byte order mark is read, and stands for no other key", () => {
  const keys = ["'/a' ff", "ef bb bf '/a'"].map((key) => {
    const { kvs } = decodeRange(bytes(`12 ${key.includes("ff") ? "05 0a 03" : "07 0a 05"} ${key}`));
    return kvs[0]?.key;
  });
  assert.deepEqual(keys, ["/a\ufffd", "\ufeff/a"]);
});

Deno.test("an answer that is cut anywhere, or of which an inner message reaches past the outer one, is refused", () => {
  const kvs = `12 13 ${kv}`;
  const readers: [string, (bytes: Uint8Array) => unknown][] = [
    [`${header} ${kvs}`, decodeRange],
    [`${header} ${kvs}`, (bytes) => Array.from(new RangePage(bytes).kvs)],
    [`${header} 5a 15 ${kvs}`, decodeWatch],
    [`${header} 10 01 1a 17 0a 15 ${kvs}`, decodeTxn],
    [`${header} 1a 17 0a 15 ${kvs}`, (bytes) => decodeRanges(bytes, 1)],
  ];
  for (const [written, decode] of readers) {
    const answer = bytes(written);
    decode(answer);
    for (let end = answer.length - 1; end > 0; end--) {
      // Where a field of the outermost message ends, what is left is one too.
      const fields = [bytes(header).length, bytes(`${header} 10 01`).length];
      if (fields.includes(end) && decode !== readers.at(-1)?.[1]) continue;
      assert.throws(() => decode(answer.slice(0, end)), `${written} cut at ${end}`);
    }
  }
  for (const written of ["12 03 0a 02 '/a'", "12 02 0a 02 '/a' 18 01", "00", "0c", "12 05 0b 0a 02 '/a'"]) {
    assert.throws(() => decodeRange(bytes(written)), written);
    assert.throws(() => Array.from(new RangePage(bytes(written)).kvs), written);
  }
});

Deno.test("an event without a key, a lease without an id, and ranges that were not answered are refused", () => {
  assert.throws(() => decodeWatch(bytes("5a 02 08 01")), /a watch event names no key/);
  assert.throws(() => decodeGrant(bytes("18 3c")), /etcd granted no lease/);
  assert.throws(() => decodeRanges(bytes("1a 02 0a 00"), 2), /1 of 2 ranges were answered/);
});
