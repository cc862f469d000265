import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { abortConnection } from "../../../ffi/abort.ts";
import { until } from "../../../tests/lab/until.ts";
import { createLog } from "../log.ts";
import { send } from "./answers.ts";
import { HttpServer, type HttpServerOptions } from "./server.ts";

const log = createLog("agent", { level: "fatal", format: "text" });
const encode = (text: string) => new TextEncoder().encode(text);

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

function serving(onRequest: Handler, options: Partial<HttpServerOptions> = {}) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const limits = { head: 5000, request: 5000, idle: 5000 };
  const server = new HttpServer(listener, {
    name: "it",
    limits,
    most: 20,
    log,
    abort: abortConnection,
    onRequest,
    ...options,
  });
  return {
    connect: () => Deno.connect({ port: listener.addr.port }),
    [Symbol.asyncDispose]: () => server.close(),
  };
}

/** What comes until it is over, or until so many answers are there. */
async function answers(connection: Deno.Conn, count = Infinity): Promise<string> {
  let text = "";
  const buffer = new Uint8Array(65_536);
  while ((text.match(/HTTP\/1\.1 /g)?.length ?? 0) < count) {
    const n = await connection.read(buffer);
    if (n === null) break;
    text += new TextDecoder().decode(buffer.subarray(0, n));
  }
  return text;
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;
const post = (path: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const chunked = (path: string, body: string) =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n` +
  `${body.length.toString(16)}\r\n${body}\r\n0\r\nTrailer: x\r\n\r\n`;

Deno.test("one request of a connection is answered at a time, however the bytes are split", async () => {
  let underWay = 0, most = 0;
  const seen: string[] = [];
  await using server = serving((request, response) => {
    most = Math.max(most, ++underWay);
    let body = "";
    request.on("data", (bytes) => body += bytes);
    request.on("end", () =>
      setTimeout(() => {
        underWay--;
        seen.push(`${request.url} ${body}`);
        send(response, { status: 200, body: body || "-" }, false);
      }, 1));
  });
  const text = get("/1") + post("/2", "a\nb\r\n\r\nGET /evil") + chunked("/3", "x\ny\r\n") + get("/4") +
    post("/5", "");
  const expected = ["/1 ", "/2 a\nb\r\n\r\nGET /evil", "/3 x\ny\r\n", "/4 ", "/5 "];
  for (const size of [1, 7, text.length]) {
    const connection = await server.connect();
    for (let at = 0; at < text.length; at += size) await connection.write(encode(text.slice(at, at + size)));
    await connection.closeWrite();
    assert.equal((await answers(connection)).match(/HTTP\/1\.1 200/g)?.length, 5);
    assert.deepEqual(seen.splice(0), expected);
    connection.close();
  }
  assert.equal(most, 1);
});

Deno.test("a client that reads no answers is not read from, and costs no memory; others are served meanwhile", async () => {
  const large = "x".repeat(50_000);
  let served = 0;
  await using server = serving((_request, response) => {
    served++;
    send(response, { status: 200, body: large }, false);
  });
  const greedy = await server.connect();
  // Tests of other files run in this process: what its isolate holds is this test's alone.
  const held = () => Deno.memoryUsage().heapUsed + Deno.memoryUsage().external;
  const requests = 1_000_000, before = held();
  const block = encode(get("/").repeat(1000));
  let sent = 0;
  const sending = (async () => {
    for (let i = 0; i < requests / 1000; i++) {
      for (let at = 0; at < block.length;) at += await greedy.write(block.subarray(at));
      sent += 1000;
    }
  })().catch(() => {});
  // It stands still: the kernel's buffers are full both ways.
  for (let last = -1; last !== served || served === 0;) {
    last = served;

    const started = performance.now();
    const other = await server.connect();

    await other.write(encode(get("/")));

    await answers(other, 1);

    other.close();
    served--;
    assert(performance.now() - started < 30_000, "others wait");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert(served < 2000, `${served} were answered with no one reading`);
  assert(sent < requests, "all was taken");
  const grown = (held() - before) / 1e6;
  assert(grown < 60, `memory grew by ${grown} MB`);
  abortConnection(greedy);
  await sending;
  greedy.close();
});

Deno.test("a client that never reads its answer is let go, and one that is slow is not", async () => {
  const large = "x".repeat(30 << 20);
  let closed = 0;
  await using server = serving((_request, response) => {
    response.once("close", () => closed++);
    send(response, { status: 200, body: large }, false);
  }, { limits: { head: 2000, request: 2000, idle: 5000 } });
  const mute = await server.connect();
  await mute.write(encode(get("/")));
  await until("it is let go", () => closed === 1);
  // Its socket is closed here too: the answer is cut short.
  assert((await answers(mute).catch(() => "")).length < large.length);
  mute.close();
  const slow = await server.connect();
  await slow.write(encode(get("/")));
  const buffer = new Uint8Array(1 << 20);
  for (let total = 0; total < large.length;) {
    total += await slow.read(buffer) ?? assert.fail("cut off");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  slow.close();
});

Deno.test("where there is no room an idle connection gives way, one that is being answered does not", async () => {
  const waiting: ServerResponse[] = [];
  await using server = serving((_request, response) => void waiting.push(response), { most: 2 });
  const busy = await server.connect(), idle = await server.connect();
  await busy.write(encode(get("/")));
  await until("one is asked", () => waiting.length === 1);
  const third = await server.connect();
  assert.equal(await idle.read(new Uint8Array(1)), null);
  await third.write(encode(get("/")));
  await until("another one is asked", () => waiting.length === 2);
  const fourth = await server.connect();
  assert.equal(await fourth.read(new Uint8Array(1)).catch(() => null), null);
  for (const response of waiting) send(response, { status: 204, body: "" }, false);
  assert.match(await answers(busy, 1) + await answers(third, 1), /204.*204/s);
  for (const connection of [busy, idle, third, fourth]) connection.close();
});
