import assert from "node:assert/strict";
import { anySeed, forAll } from "../../tests/lab/property.ts";
import { Folders } from "./folders.ts";
import type { Entry } from "./types.ts";

Deno.test("Folders hold what a Map holds", () => {
  forAll({ runs: 50, choices: 200, seed: anySeed() }, (random, isOver) => {
    const folders = new Folders<number>((record) => record % 2 === 0), map = new Map<string, Entry<number>>();
    while (!isOver()) {
      const key = ["/a/", "/a/b/", "/", ""][random(4)]! + ["", "one", "a-rather-long-name", "/"][random(4)]!;
      const entry = { key, record: random(9), createRevision: 1, modRevision: random(100) };
      if (random(3)) {
        assert.equal(folders.put(folders.keep(entry))?.modRevision, map.get(key)?.modRevision);
        map.set(key, entry);
      } else assert.equal(folders.delete(key), map.delete(key));
      const plain = (
        { key, record, createRevision, modRevision }: Entry<number>,
      ) => [key, record, createRevision, modRevision];
      const [ours, theirs] = [folders, map].map((all) => ({
        keys: [...all.keys()].sort(),
        values: [...all.values()].map(plain).sort(),
        found: [key, "/a/one", "none"].map((one) => [all.has(one), all.get(one)?.modRevision]),
        size: all.size,
      }));
      assert.deepEqual(ours, theirs);
    }
  });
});
