import assert from "node:assert/strict";
import type { WatchEvent, WatchResponse } from "./messages.ts";
import { newPart } from "./followed_parts.ts";
import { RelistNeeded, Responses } from "./watch.ts";

function event(key: string, modRevision: number): WatchEvent {
  return { removed: false, kv: { key, value: new Uint8Array(), createRevision: modRevision, modRevision } };
}

function response(watchId: number, revision: number, more: Partial<WatchResponse> = {}): WatchResponse {
  const plain = {
    created: false,
    canceled: false,
    compactRevision: 0,
    cancelReason: "",
    fragment: false,
    events: [],
  };
  return { ...plain, header: { clusterId: 7n, revision }, watchId, ...more };
}

function watching(count: number) {
  const told: string[] = [];
  const responses = new Responses(7n, {
    created: () => told.push("created"),
    events: ({ prefix }, events) =>
      told.push(`${prefix}: ${events.map(({ kv }) => `${kv.key}@${kv.modRevision}`).join(" ")}`),
  });
  const parts = Array.from({ length: count }, (_, i) => newPart(`${i}`));
  for (const part of parts) responses.add(part);
  return { told, responses, parts, take: (r: WatchResponse) => responses.take(r) };
}

Deno.test("Responses says created once, when the last watcher stands", () => {
  const { told, take } = watching(2);
  take(response(1, 10, { created: true }));
  take(response(1, 10, { events: [event("/a", 11)] }));
  take(response(2, 10, { created: true }));
  take(response(2, 12));
  assert.deepEqual(told, ["0: /a@11", "created"]);
});

Deno.test("Responses hands on a fragmented revision only when all of it is there", () => {
  const { told, take } = watching(2);
  take(response(1, 20, { fragment: true, events: [event("/a", 20)] }));
  take(response(2, 20, { events: [event("/x", 20)] }));
  take(response(1, 20, { fragment: true, events: [event("/b", 20)] }));
  assert.deepEqual(told, ["1: /x@20"]);
  take(response(1, 20, { events: [event("/c", 20)] }));
  assert.deepEqual(told, ["1: /x@20", "0: /a@20 /b@20 /c@20"]);
});

Deno.test("Responses ignores a progress report on the whole stream", () => {
  const { told, take } = watching(1);
  take(response(2 ** 64, 50));
  take(response(1, 40, { created: true }));
  assert.deepEqual(told, ["created"]);
});

Deno.test("Responses asks for a new listing at another cluster, a revision that went back, a cancelled and a compacted watch", () => {
  const fresh = () => {
    const { take } = watching(1);
    take(response(1, 10, { created: true }));
    return take;
  };
  assert.throws(() => fresh()(response(1, 11, { header: { clusterId: 8n, revision: 11 } })), RelistNeeded);
  assert.throws(() => fresh()(response(1, 9)), { message: "the watch went back to revision 9" });
  assert.throws(() => fresh()(response(1, 11, { canceled: true, cancelReason: "permission denied" })), {
    message: "etcd cancelled the watch: permission denied",
  });
  assert.throws(() => fresh()(response(1, 11, { canceled: true, compactRevision: 5 })), {
    message: "history before revision 5 was compacted away",
  });
});

Deno.test("Responses of a part that was added later or again have an id of their own; a removed one is silent", () => {
  const { told, take, responses, parts } = watching(1);
  const [part] = parts;
  assert(part);
  take(response(1, 10, { created: true }));
  assert.equal(responses.add(newPart("later")), 2);
  take(response(2, 10, { created: true }));
  take(response(2, 11, { events: [event("/l", 11)] }));
  assert.equal(responses.remove(part), 1);
  assert.equal(responses.remove(part), undefined);
  take(response(1, 12, { events: [event("/a", 12)] }));
  take(response(1, 12, { canceled: true }));
  assert.equal(responses.add(part), 3);
  take(response(3, 13, { events: [event("/a", 13)] }));
  assert.deepEqual(told, ["created", "later: /l@11", "0: /a@13"]);
});

Deno.test("Responses says created when the watcher that was still missing is removed", () => {
  const { told, take, responses, parts } = watching(2);
  take(response(1, 10, { created: true }));
  assert(parts[1]);
  responses.remove(parts[1]);
  assert.deepEqual(told, ["created"]);
});
