import assert from "node:assert/strict";
import { beginBody, type RequestBody } from "./request_body.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

async function whole({ start, rest }: RequestBody): Promise<string> {
  const parts = [...start];
  for await (const part of rest ?? []) parts.push(part);
  return await new Blob(parts as BlobPart[]).text();
}

Deno.test("beginBody() has all of a body that ends soon", async () => {
  assert.deepEqual(await beginBody(ReadableStream.from([])), { start: [] });
  const body = await beginBody(ReadableStream.from([bytes("a"), bytes("bc")]));
  assert.equal(body.rest, undefined);
  assert.equal(await whole(body), "abc");
});

Deno.test("beginBody() does not wait for what comes late, and loses none of it", async () => {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const body = await beginBody(new ReadableStream({ start: (given) => void (controller = given) }));
  assert.deepEqual(body.start, []);
  controller?.enqueue(bytes("late"));
  controller?.close();
  assert.equal(await whole(body), "late");
});

Deno.test("beginBody() gathers no more than it must of a long body", async () => {
  const block = bytes("x".repeat(100_000));
  const body = await beginBody(ReadableStream.from(Array<Uint8Array>(50).fill(block)));
  assert.ok(body.start.length <= 11, `${body.start.length}`);
  assert.equal((await whole(body)).length, 5_000_000);
});
