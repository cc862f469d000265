import assert from "node:assert/strict";
import { QuarantinedKeys } from "../store/quarantined_keys.ts";
import { MemoryStore } from "../store/memory_store.ts";
import { nexSchema } from "../store/records.ts";
import { UnreadableKeys } from "./unreadable_keys.ts";

/** Counts how often it is gone through. */
class Counted extends QuarantinedKeys {
  passes = 0;

  override [Symbol.iterator]() {
    this.passes++;
    return super[Symbol.iterator]();
  }
}

Deno.test("UnreadableKeys has the first key that cannot be read, and the first of an unknown layout, until they are repaired", () => {
  const mac = "02:00:00:00:00:01";
  const store = new MemoryStore(nexSchema, { [`/strand/nex/withheld/10.0.0.10`]: "garbage" });
  const unreadable = new UnreadableKeys(store.mirror);
  const found = () => [unreadable.misread?.key, unreadable.foreign?.key];
  assert.equal(unreadable.size, 1);
  assert.deepEqual(found(), [undefined, undefined]);
  store.write({ guards: [], ops: [{ put: `/member/${mac}`, value: "garbage" }] });
  assert.equal(unreadable.misread?.key, `/member/${mac}`);
  assert.equal(
    unreadable.foreign,
    undefined,
    "a key of the layout that is served stops what depends on it alone",
  );
  assert(unreadable.hasKeyOf(mac) && unreadable.has(`/member/${mac}`));
  store.write({ guards: [], ops: [{ put: "/net/a/b", value: "{}" }] });
  assert.deepEqual(found(), [`/member/${mac}`, "/net/a/b"]);
  store.write({ guards: [], ops: [{ remove: "/net/a/b" }, { remove: `/member/${mac}` }] });
  assert.deepEqual(found(), [undefined, undefined]);
  assert(!unreadable.hasKeyOf(mac));
});

Deno.test("UnreadableKeys goes through thousands of keys once for each change, not for each question", () => {
  const quarantined = new Counted();
  for (let i = 0; i < 5000; i++) quarantined.set(`/strand/nex/withheld/10.0.${i >> 8}.${i & 255}`, "garbage");
  const { mirror } = new MemoryStore(nexSchema);
  const unreadable = new UnreadableKeys({ state: { ...mirror.state, quarantined } });
  const foreign = () => unreadable.foreign?.key;
  for (let i = 0; i < 1000; i++) assert.equal(foreign(), undefined);
  assert.equal(quarantined.passes, 1);
  quarantined.set("/net/a/b", "no layout");
  assert.equal(foreign(), "/net/a/b");
  assert.equal(quarantined.passes, 2);
});
