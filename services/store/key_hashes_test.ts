import assert from "node:assert/strict";
import { KeyHashes } from "./key_hashes.ts";

Deno.test("a set of hashes has the keys that were added and no other, however alike they are", () => {
  const COUNT = 300_000, hashes = new KeyHashes();
  const key = (n: number) =>
    `/sand/networks/00000000-0000-4000-8000-${String(n).padStart(12, "0")}/endpoints`;
  const has = (n: number) => hashes.has(key(n));
  assert.equal(hashes.has(""), false);
  for (let n = 0; n < COUNT; n++) hashes.add(key(n));
  for (let n = 0; n < COUNT; n++) assert.ok(has(n), key(n));
  for (let n = COUNT; n < 2 * COUNT; n++) assert.ok(!has(n), key(n));
  for (const other of ["", key(1).slice(1), `${key(1)}/`, key(1).toUpperCase(), "\u{1f600}", "/a", "/b"]) {
    assert.ok(!hashes.has(other), other);
    hashes.add(other);
    hashes.add(other);
    assert.ok(hashes.has(other), other);
  }
});
