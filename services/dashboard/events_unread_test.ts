/** A page that takes nothing of its stream of events, over a real connection: it is cut, and has little memory until then. */
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { abortConnection } from "../../ffi/abort.ts";
import { until } from "../../tests/lab/until.ts";
import { HttpServer } from "../common/http/server.ts";
import { createLog } from "../common/log.ts";
import type { Cluster, Topic } from "./cluster.ts";
import { EventStreams, MOST_TOPICS } from "./events.ts";

Deno.test("a page that takes nothing of what it is told is cut, with one message at most in memory, and others go on", async () => {
  let tell = (_: ReadonlySet<Topic>) => {};
  const cluster = {
    followed: { state: { inSync: true } },
    subscribe(listener: typeof tell) {
      tell = listener;
      return () => {};
    },
  } as unknown as Cluster;
  const events = new EventStreams(cluster), responses: ServerResponse[] = [];
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const server = new HttpServer(listener, {
    name: "it",
    limits: { head: 2000, request: 2000, idle: 500 },
    most: 20,
    log: createLog("dashboard", { level: "fatal", format: "text" }),
    abort: abortConnection,
    onRequest: (_, response) => {
      responses.push(response);
      assert.ok(events.open(response));
    },
  });
  const connect = async () => {
    const connection = await Deno.connect({ port: listener.addr.port });
    await connection.write(new TextEncoder().encode("GET /events HTTP/1.1\r\nHost: a\r\n\r\n"));
    return connection;
  };
  using _unread = await connect();
  await until("the first page is there", () => events.size === 1);
  using read = await connect();
  let taken = 0;
  const reading = (async () => {
    const buffer = new Uint8Array(1 << 20);
    for (let n; (n = await read.read(buffer).catch(() => null)) !== null;) taken += n;
  })();
  await until("the second page is there", () => events.size === 2);
  // Messages as large as can be: they fill what the kernel holds for a client within a second.
  const topics = Array.from({ length: MOST_TOPICS }, (_, i) => `network:${"x".repeat(10_000)}${i}` as const);
  const message = JSON.stringify(topics).length;
  let most = 0;
  const telling = setInterval(() => {
    tell(new Set(topics));
    most = Math.max(most, responses[0]?.writableLength ?? 0);
  }, 50);
  await until("the first page is cut", (see) => see(events.size) === 1);
  assert.ok(most <= message + 1000, `${most} bytes waited for it`);
  const before = taken;
  await until("the second page is told more", () => taken > before);
  clearInterval(telling);
  events.close();
  await reading;
  await server.close();
});
