import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { KeptStream } from "./kept_stream.ts";
import type { RawStream } from "./raw_stream.ts";

/** A stream that takes what is written, and answers when the test says so. */
class FakeStream extends EventEmitter {
  readonly written: number[] = [];
  cancelled = false;
  write(bytes: Uint8Array): void {
    this.written.push(bytes[0] ?? 0);
  }
  cancel(): void {
    this.cancelled = true;
    this.emit("error", new Error("cancelled"));
  }
}

function kept() {
  const streams: FakeStream[] = [];
  const stream = new KeptStream(() => {
    const made = new FakeStream();
    streams.push(made);
    return made as unknown as RawStream;
  });
  return { streams, stream, send: (n: number, ms = 60_000) => stream.send(Uint8Array.of(n), ms) };
}

Deno.test("KeptStream sends all requests over one stream, and gives each its answer", async () => {
  const { streams, stream, send } = kept();
  const first = send(1), second = send(2);
  streams[0]?.emit("data", Uint8Array.of(11));
  streams[0]?.emit("data", Uint8Array.of(12));
  assert.deepEqual([await first, await second], [Uint8Array.of(11), Uint8Array.of(12)]);
  const third = send(3);
  streams[0]?.emit("data", Uint8Array.of(13));
  assert.deepEqual(await third, Uint8Array.of(13));
  assert.deepEqual(streams.map(({ written }) => written), [[1, 2, 3]]);
  stream.close();
});

Deno.test("KeptStream fails what waits when the stream fails, is closed or is late, and opens another for the next request", async () => {
  const { streams, stream, send } = kept();
  const failing = [send(1), send(2)].map((sent) => assert.rejects(sent, /reset/));
  streams[0]?.emit("error", new Error("reset"));
  await Promise.all(failing);
  const late = [
    assert.rejects(send(3, 10), /Deadline exceeded after 10 ms/),
    assert.rejects(send(4), /Deadline/),
  ];
  await Promise.all(late);
  assert(streams[1]?.cancelled);
  // An answer that comes after all belongs to no request.
  streams[1]?.emit("data", Uint8Array.of(13));
  const closed = assert.rejects(send(5), /cancelled/);
  stream.close();
  await closed;
  const answered = send(6);
  streams[3]?.emit("data", Uint8Array.of(16));
  assert.deepEqual(await answered, Uint8Array.of(16));
  assert.equal(streams.length, 4);
  const ended = assert.rejects(send(7), /etcd ended the stream/);
  streams[3]?.emit("end");
  await ended;
});
