import assert from "node:assert/strict";
import { hashName, ReaderEpoch, type TableReader } from "./table.ts";
import { TableWriter } from "./table_writer.ts";
import { nameToWire } from "./wire.ts";

const wire = (name: string) => nameToWire(name) ?? assert.fail(name);

function first(reader: TableReader, name: string): number | undefined {
  const octets = wire(name);
  const record = reader.find(hashName(reader.seed, octets), octets, 0, octets.length);
  if (record === 0) return undefined;
  const at = reader.rrsetBytes(reader.rrset(record, 1));
  return new DataView(reader.block).getUint32(at + 10);
}

const address = (value: number) => {
  const rdata = new Uint8Array(4);
  new DataView(rdata.buffer).setUint32(0, value);
  return [{ type: 1, ttl: 60, records: [rdata] }];
};

Deno.test("a reader's block stays whole while it reads, and memory is used again after", () => {
  const table = new TableWriter();
  const epoch = new ReaderEpoch(table.epochs, 0);
  const reader = table.reader;
  table.set(wire("a"), 0, address(1));
  epoch.enter();
  const octets = wire("a");
  const record = reader.find(hashName(reader.seed, octets), octets, 0, octets.length);
  const seen = reader.rrsetBytes(reader.rrset(record, 1));
  for (let i = 2; i < 12; i++) table.set(wire("a"), 0, address(i));
  assert.equal(new DataView(reader.block).getUint32(seen + 10), 1);
  epoch.leave();
  table.set(wire("a"), 0, address(100));
  for (let i = 100; i < 120; i++) table.set(wire(i.toString(36)), 0, address(i));
  assert.notEqual(new DataView(reader.block).getUint32(seen + 10), 1);
  assert.equal(first(table.reader, "a"), 100);
});

Deno.test("growth hands over a block that has everything", () => {
  let handed = 0;
  const table = new TableWriter(() => handed++);
  for (let i = 0; i < 20_000; i++) table.set(wire(`n${i}`), i % 100, address(i));
  for (let i = 0; i < 20_000; i += 2) table.delete(wire(`n${i}`));
  for (let i = 0; i < 20_000; i++) assert.equal(first(table.reader, `n${i}`), i % 2 ? i : undefined);
  assert(handed > 3);
  assert.equal(table.size, 10_000);
});

Deno.test("changing the same names for ever takes no more memory", () => {
  let handed = 0;
  const table = new TableWriter(() => handed++);
  const change = (times: number) => {
    for (let i = 0; i < times; i++) table.set(wire(`n${i % 100}`), 0, address(i));
  };
  change(1000);
  const first = { handed, octets: table.byteLength };
  change(200_000);
  assert.deepEqual({ handed, octets: table.byteLength }, first);
  assert.ok(first.octets < 16384, `${first.octets} octets`);
});

Deno.test("a thread that reads all the while never sees a torn record", async () => {
  const worker = new Worker(new URL("table_test_reader.ts", import.meta.url), { type: "module" });
  let isRead = false;
  const table = new TableWriter((block) => isRead && worker.postMessage(block));
  for (let i = 0; i < 100; i++) table.set(wire(`n${i}`), 0, torn(0));
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  worker.onmessage = ({ data }) => typeof data === "number" ? resolve(data) : reject(new Error(data));
  worker.onerror = (event) => reject(new Error(event.message));
  worker.postMessage(table.epochs);
  worker.postMessage(table.reader.block);
  isRead = true;
  let result: number | undefined;
  promise.then((n) => result = n, () => result = 0);
  for (let i = 0; result === undefined; i++) {
    for (let j = 0; j < 2000; j++) table.set(wire(`n${j % 100}`), 0, torn(i + j));
    await new Promise((resume) => setTimeout(resume, 0));
  }
  const lookups = await promise;
  worker.terminate();
  assert(lookups > 0);
});

/** An RRset of which every octet of RDATA is the same, of varying length. */
function torn(n: number) {
  return [{ type: 1, ttl: 60, records: [new Uint8Array(4 + n % 60).fill(n)] }];
}
