import assert from "node:assert/strict";
import { Reader, Writer } from "./wire.ts";

Deno.test("Reader reads what Writer wrote: numbers, texts, bytes, nested messages of every length", () => {
  const texts = [
    "",
    "a",
    "/member/ip4/10.0.0.1",
    "ü€😀",
    "x".repeat(127),
    "y".repeat(128),
    "z".repeat(70_000),
  ];
  const numbers = [0, 1, 127, 128, 300, 2 ** 31, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER];
  const writer = new Writer();
  for (const text of texts) {
    const outer = writer.begin(1);
    const inner = writer.begin(64);
    writer.text(2, text);
    writer.end(inner);
    writer.end(outer);
  }
  for (const number of numbers) writer.number(3, number);
  writer.bytes(4, Uint8Array.of(1, 2, 3));
  writer.flag(5);

  const reader = new Reader(writer.finish());
  const readTexts: string[] = [], readNumbers: number[] = [];
  for (let field; (field = reader.next());) {
    if (field === 1) {
      const outer = reader.enter();
      assert.equal(reader.next(), 64);
      const inner = reader.enter();
      assert.equal(reader.next(), 2);
      readTexts.push(reader.text());
      assert.equal(reader.next(), 0);
      reader.leave(inner);
      reader.leave(outer);
    } else if (field === 3) readNumbers.push(reader.number());
    else if (field === 4) assert.deepEqual([...reader.bytes()], [1, 2, 3]);
    else assert.equal(reader.flag(), true);
  }
  assert.deepEqual(readTexts, texts);
  assert.deepEqual(readNumbers, numbers);
});

Deno.test("Reader.id() keeps all 64 bits", () => {
  const bytes = Uint8Array.of(8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
  const reader = new Reader(bytes);
  reader.next();
  assert.equal(reader.id(), 0xffff_ffff_ffff_ffffn);
});

Deno.test("Reader throws RangeError for bytes that end early, whatever the place, and never reads past a message", () => {
  const writer = new Writer();
  const outer = writer.begin(1);
  writer.text(2, "text");
  writer.number(3, 300);
  writer.end(outer);
  const whole = writer.finish();
  const readAll = (bytes: Uint8Array) => {
    const reader = new Reader(bytes);
    while (reader.next()) {
      const end = reader.enter();
      for (let field; (field = reader.next());) field === 2 ? reader.text() : reader.skip();
      reader.leave(end);
    }
  };
  readAll(whole);
  for (let length = 1; length < whole.length; length++) {
    assert.throws(() => readAll(whole.slice(0, length)), RangeError, `cut at ${length}`);
  }
});

Deno.test("Reader reads what Writer wrote: 64-bit ids, also those that no number holds", () => {
  const ids = [0n, 1n, 127n, 128n, 2n ** 53n + 1n, 2n ** 63n - 1n, 2n ** 64n - 1n];
  const writer = new Writer();
  for (const id of ids) writer.id(7, id);
  const reader = new Reader(writer.finish()), read: bigint[] = [];
  while (reader.next() === 7) read.push(reader.id());
  assert.deepEqual(read, ids);
});
