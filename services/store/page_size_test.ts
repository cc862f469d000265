import assert from "node:assert/strict";
import { PAGE_SIZE, sizeAfter } from "./page_size.ts";

Deno.test("a listing asks for more small records at a time than for large ones, and for at most twice as many as before", () => {
  const of = (count: number, bytes: number) => sizeAfter(count, count * (10 + bytes));
  assert.deepEqual([of(1, 5), of(128, 5), of(1_000, 5), of(4_000, 5), of(8_000, 5)], [
    ...[PAGE_SIZE, PAGE_SIZE],
    ...[2_000, 8_000, 10_000],
  ]);
  assert.deepEqual([of(4_000, 1_014), of(8_000, 1_014), of(1_000, 100_000)], [4_096, 4_096, PAGE_SIZE]);
});
