import assert from "node:assert/strict";
import { MemoryStore } from "./memory_store.ts";

Deno.test("MemoryStore names what made a prefix guard fail, as etcd's committer does", () => {
  const store = new MemoryStore<string>({ prefixes: ["/"], parse: (_, value) => value });
  for (const put of ["/net/a", "/net/b", "/net/c"]) store.write({ guards: [], ops: [{ put, value: "1" }] });
  const plan = (unchangedSince: number) => ({
    guards: [{ key: "/net/a", modRevision: 2 }],
    prefixGuards: [{ prefix: "/net/", unchangedSince }],
    ops: [{ put: "/x", value: "1" }],
  });
  const current = [{ key: "/net/a", modRevision: 2 }, { key: "/net/c", modRevision: 4 }];
  assert.deepEqual(store.write(plan(3)), { committed: false, current });
  assert.deepEqual(store.write(plan(4)), { committed: true, revision: 5 });
});
