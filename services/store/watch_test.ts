import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { Event_EventType as EventType, WatchResponse as RpcWatchResponse } from "../../proto/gen/etcd.ts";
import type { EtcdConnection } from "./connection.ts";
import type { WatchEvent, WatchResponse } from "./messages.ts";
import type { FollowedPart } from "./followed_parts.ts";
import { RelistNeeded, Responses, Watch } from "./watch.ts";

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
  const parts = Array.from({ length: count }, (_, i): FollowedPart => ({ prefix: `${i}`, seen: 0 }));
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
  assert.equal(responses.add({ prefix: "later", seen: 0 }), 2);
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

/** A watch whose only watcher has stood for long, on a stream on which the test answers. */
async function openWatch() {
  const stream = Object.assign(new EventEmitter(), {
    written: 0,
    write: () => void stream.written++,
    cancel() {},
  });
  const connection = { watch: () => Promise.resolve({ member: {}, stream }), failed() {} };
  const watch = await Watch.open(connection as unknown as EtcdConnection, 7n, { created() {}, events() {} });
  let answers = 0;
  const answer = async (watchId: bigint, revision: number, created = false, event?: number) => {
    const header = { clusterId: 7n, memberId: 0n, revision: BigInt(revision) };
    const kv = (at: number) => ({ key: "/a/x", createRevision: at, modRevision: at, value: null });
    const events = event === undefined ? [] : [{ type: EventType.PUT, kv: kv(event) }];
    const more = { canceled: false, compactRevision: 0n, cancelReason: "", fragment: false };
    const bytes = RpcWatchResponse.encode({ header, watchId, created, ...more, events }).finish();
    stream.emit("data", bytes);
    await settled();
  };
  /** Answers the oldest request that was not answered yet: true if there was one. */
  const report = async (revision = 10) => {
    if (answers === stream.written) return false;
    answers++;
    await answer(-1n, revision);
    return true;
  };
  watch.add({ prefix: "/a/", seen: 0 });
  await answer(1n, 10, true);
  stream.written = 0;
  await new Promise((resolve) => setTimeout(resolve, 600)); // As long as an old etcd may catch up.
  return { watch, stream, answer, report, answers: () => answers };
}

/** Everything that can go on without another answer has done so. */
function settled(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("a watch of which several ask how far it is counts two answers, the second to what was asked after the first", async () => {
  const { watch, stream, report, answers } = await openWatch();
  let writtenAtFirst = Infinity;
  const told = Array.from({ length: 3 }, () =>
    watch.hasReported(10).then((is) => {
      assert(is);
      assert(
        answers() > writtenAtFirst,
        `after ${answers()} answers: at the first, ${writtenAtFirst} were asked for`,
      );
    }));
  await settled();
  writtenAtFirst = stream.written;
  while (await report()) { /* until all are answered */ }
  await Promise.all(told);
});

Deno.test("a watch whose answer comes later than it is waited for does not take it for that to a later request", async () => {
  const { watch, stream, report, answers } = await openWatch();
  assert.equal(await watch.hasReported(10), false, "nothing is said");
  assert.equal(stream.written, 1);
  const told = watch.hasReported(10);
  await settled();
  const asked = stream.written;
  await report(); // To the first request, which was given up.
  while (answers() < asked) await report();
  let known: boolean | undefined;
  told.then((is) => known = is);
  await settled();
  assert.equal(known, undefined, "all that was asked after the first answer is still to be answered");
  while (await report()) { /* until all are answered */ }
  assert.equal(await told, true);
});

Deno.test("a watch that has said how far it is ahead of its own events is asked until none of those comes any more", async () => {
  const { watch, answer, report } = await openWatch();
  let known: boolean | undefined;
  const told = watch.hasReported(30).then((is) => known = is);
  await settled();
  await report(30);
  // A member that was stopped tells of what it missed, and answers in the midst of that.
  for (let revision = 11; revision <= 30; revision++) {
    await answer(1n, 30, false, revision);
    await report(30);
    await settled();
    assert.equal(known, undefined, `revision ${revision} was still to come`);
  }
  // What is new says nothing of the first answer.
  await answer(1n, 31, false, 31);
  await report(31);
  await told;
  assert.equal(known, true);
});

Deno.test("what comes about a watcher that was removed says nothing of the stream", async () => {
  const { watch, answer } = await openWatch();
  const part = { prefix: "/b/", seen: 0 };
  watch.add(part);
  await answer(2n, 10, true);
  watch.remove(part);
  await new Promise((resolve) => setTimeout(resolve, 600));
  const told = watch.hasReported(10);
  await settled();
  for (let i = 0; i < 4; i++) await answer(2n, 10);
  assert.equal(await told, false);
});
