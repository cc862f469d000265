import assert from "node:assert/strict";
import { Waiters } from "./waiters.ts";

function shown() {
  const versions = new Map<string, number>();
  const state = { seen: 10 }, removed = new Map<string, number>();
  const waiters = new Waiters({
    version: (key) => versions.get(key) ?? 0,
    seen: (key) => key.startsWith("/") ? state.seen : Infinity,
    existedSince: (key, revision) => (removed.get(key) ?? 0) > revision,
  });
  return { versions, state, removed, waiters };
}

async function settled(promise: Promise<void>): Promise<boolean> {
  return await Promise.race([
    promise.then(() => true),
    new Promise<boolean>((resolve) => setTimeout(resolve, 0, false)),
  ]);
}

Deno.test("Waiters lets go when every key shows its revision or a later one", async () => {
  const { versions, state, removed, waiters } = shown();
  const waiting = waiters.wait([{ key: "/a", revision: 12 }, { key: "/b", revision: 11 }, {
    key: "other",
    revision: 99,
  }], undefined);
  versions.set("/a", 13);
  waiters.check();
  assert.equal(await settled(waiting), false);
  state.seen = 11;
  removed.set("/b", 11);
  waiters.check();
  assert.equal(await settled(waiting), true);
  assert.equal(waiters.size, 0);
  await waiters.wait([{ key: "/a", revision: 9 }], undefined);
});

Deno.test("Waiters waits for revision 0 until the key is gone or has changed", async () => {
  const { versions, waiters } = shown();
  versions.set("/a", 5).set("/b", 6);
  const gone = waiters.wait([{ key: "/a", revision: 0 }], undefined);
  const changed = waiters.wait([{ key: "/b", revision: 0 }], undefined);
  await waiters.wait([{ key: "/absent", revision: 0 }], undefined);
  versions.delete("/a");
  versions.set("/b", 7);
  waiters.check();
  await Promise.all([gone, changed]);
});

Deno.test("Waiters takes a later event for no sign that a key was seen: its own may have been skipped", async () => {
  const { versions, state, removed, waiters } = shown();
  versions.set("/old", 5);
  removed.set("/before", 9);
  const waits = ["/old", "/never", "/before"].map((key) => waiters.wait([{ key, revision: 12 }], undefined));
  state.seen = 20;
  waiters.check();
  for (const waiting of waits) assert.equal(await settled(waiting), false);
  removed.set("/old", 15).set("/never", 12).set("/before", 13);
  versions.delete("/old");
  waiters.check();
  await Promise.all(waits);
});

Deno.test("Waiters.ask() lets go of what the store shows just as the mirror does, and names what was lost", async () => {
  const { versions, waiters } = shown();
  versions.set("/stale", 5);
  const noop = waiters.wait([{ key: "/none", revision: 12 }], undefined);
  const abort = new AbortController();
  const stale = waiters.wait([{ key: "/stale", revision: 12 }], abort.signal);
  const store = (key: string) => Promise.resolve(key === "/stale" ? 12 : 0);
  assert.equal(await waiters.compare(store, 0, 60_000), undefined);
  await noop;
  assert.equal(await waiters.compare(store, 0, -1), "/stale");
  abort.abort(new Error("enough"));
  await assert.rejects(stale, /enough/);
  assert.equal(waiters.size, 0);
});

Deno.test("Waiters.fail() refuses everyone who waits", async () => {
  const { waiters } = shown();
  const waiting = waiters.wait([{ key: "/a", revision: 12 }], undefined);
  waiters.fail(new Error("closed"));
  await assert.rejects(waiting, /closed/);
});
