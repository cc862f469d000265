/** The agent's HTTP server with curl and raw sockets: methods, split requests, malformed ones and large bodies. */
import assert from "node:assert/strict";
import { fakeApi, NETWORK, network, testServer } from "../../services/agent/http/testing.ts";
import { curl } from "../lab/curl.ts";
import { quickly } from "../lab/quickly.ts";
import { until } from "../lab/until.ts";
import { encode, readAll } from "./http_lab.ts";

/** Sends the pieces one by one, ends its side, and returns all that comes back. */
async function raw(port: number, pieces: (string | Uint8Array)[], end = true): Promise<string> {
  const connection = await Deno.connect({ port });
  const heard = readAll(connection);
  try {
    for (const piece of pieces) await connection.write(typeof piece === "string" ? encode(piece) : piece);
    if (end) await connection.closeWrite();
    return await heard;
  } finally {
    connection.close();
  }
}

const statuses = (text: string) =>
  [...text.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status));

Deno.test("curl: networks and endpoints are made, listed and deleted", async () => {
  await using server = await testServer();
  const url = `http://127.0.0.1:${server.at.port}`;
  const request = async (...args: string[]) => {
    const { body, status } = await curl(args);
    return `${body} ${status}`.trim();
  };
  assert.match(await request(`${url}/version`), /^\{"version":".+"\}\s+200$/);
  assert.match(
    await request(`${url}/networks`),
    new RegExp(`^\\{"networks":\\[\\{"id":"${NETWORK}".* 200$`, "s"),
  );
  assert.match(await request("-d", '{"name":"a"}', `${url}/networks`), /"name":"a".* 201$/s);
  const body = JSON.stringify({ network_id: NETWORK });
  // Go's clients send no content type.
  assert.match(
    await request("-H", "content-type:", "-d", body, `${url}/endpoints`),
    /^\{"endpoint":.* 201$/s,
  );
  assert.match(await request("-H", "transfer-encoding: chunked", "-d", body, `${url}/endpoints`), / 201$/);
  assert.match(await request("-H", "expect: 100-continue", "-d", body, `${url}/endpoints`), / 201$/);
  assert.equal(await request("-X", "DELETE", `${url}/networks/${NETWORK}`), "204");
  assert.match(await request("-X", "PATCH", `${url}/networks`), /^\{"error":".+"\}\s+405$/);
  assert.match(
    await request(`${url}/metrics`),
    /agent_http_request_seconds_count\{method="POST",route="\/endpoints",code="201"\} 3/,
  );
});

Deno.test("requests come in any pieces, many on one connection, and from clients that have ended their side", async () => {
  await using server = await testServer();
  const { port } = server.at;
  const body = '{"name":"a"}';
  const post = `POST /networks HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const get = "GET /networks HTTP/1.1\r\nHost: a\r\n\r\n";
  assert.deepEqual(statuses(await raw(port, [...post])), [201]);
  assert.deepEqual(statuses(await raw(port, [post + get + post + "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"])), [
    201,
    200,
    201,
    404,
  ]);
  const chunked = "POST /networks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" +
    [...body].map((c) => `1\r\n${c}\r\n`).join("") + "0\r\n\r\n";
  assert.deepEqual(statuses(await raw(port, [...chunked])), [201]);
  assert.deepEqual(statuses(await raw(port, ["GET /version HTTP/1.0\r\n\r\n"])), [200]);
  const upgrade = "GET /version HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
  assert.deepEqual(statuses(await raw(port, [upgrade])), [200]);
  await until(
    "every connection is closed",
    async () => /connections 0$/m.test(await server.metrics.metrics()),
  );
});

Deno.test("what is no request is answered with a sentence, and the connection closed", async () => {
  await using server = await testServer();
  const { port } = server.at;
  const bad: [number, string | Uint8Array][] = [
    [400, "hello\r\n\r\n"],
    [400, "GET /networks HTTP/1.1\r\nHost : a\r\n\r\n"],
    [400, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    [400, crypto.getRandomValues(new Uint8Array(2000))],
    [431, `GET / HTTP/1.1\r\nHost: a\r\nX: ${"x".repeat(100_000)}\r\n\r\n`],
    [400, "POST /networks HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"],
    [400, "POST /networks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
  ];
  for (const [status, bytes] of bad) {
    const answer = await raw(port, [bytes], false);
    assert.deepEqual(statuses(answer), [status], answer);
    assert.match(answer, /\r\n\r\n\{"error":".+"\}\n$/);
  }
  assert.deepEqual(statuses(await raw(port, ["GET /version HTTP/1.1\r\nHost: a\r\n\r\n"])), [200]);
});

Deno.test("a body of more than 1 MB is read, thrown away and refused; one that promises it is told at once", async () => {
  await using server = await testServer();
  const { port } = server.at;
  const url = `http://127.0.0.1:${port}/networks`;
  const before = Deno.memoryUsage().rss;
  const large = `{"name":"${"x".repeat(10 << 20)}"}`;
  for (let i = 0; i < 5; i++) {
    const response = await fetch(url, { method: "POST", body: large });
    assert.equal(response.status, 413);
    assert.equal(response.headers.get("connection"), "close");
    assert.match((await response.json()).error, /larger than 1048576 bytes/);
  }
  // The client's own copies are in here too.
  assert(Deno.memoryUsage().rss - before < 300e6, "memory grows");
  const exact = `{"name":"${"x".repeat((1 << 20) - 11)}"}`;
  assert.equal(exact.length, 1 << 20);
  const taken = await fetch(url, { method: "POST", body: exact });
  assert.equal(taken.status, 201);
  await taken.body?.cancel();
  const promised =
    "POST /networks HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 9999999\r\n\r\n";
  const answer = await raw(port, [promised], false);
  assert.deepEqual(statuses(answer), [413]);
});

Deno.test("a client that is slow, or says nothing, is let go; one whose answer takes long is not", async () => {
  const waiting = Promise.withResolvers<void>();
  const api = fakeApi({
    createNetwork: async () => {
      await waiting.promise;
      return { network };
    },
  });
  await using server = await testServer(api, { limits: { head: 2_000, request: 4_000, idle: 2_000 } });
  const { port } = server.at;
  const post = "POST /networks HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
  const patient = raw(port, [post + "{}"], false);
  const slow = await Promise.all([
    raw(port, [], false),
    raw(port, ["GET /netw"], false),
    raw(port, [post + "{"], false),
    raw(port, ["GET /version HTTP/1.1\r\nHost: a\r\n\r\n"], false),
  ]);
  assert.deepEqual(slow.map(statuses), [[408], [408], [408], [200]]);
  waiting.resolve();
  assert.deepEqual(statuses(await patient), [201]);
});

Deno.test("a fault of ours is a 500, logged once a minute for each cause", async () => {
  const api = fakeApi({
    networks: () => {
      throw new TypeError("x is undefined");
    },
    createNetwork: () => Promise.reject(new Error("y is undefined")),
  });
  await using server = await testServer(api);
  const url = `http://127.0.0.1:${server.at.port}/networks`;
  for (let i = 0; i < 3; i++) {
    for (const init of [{}, { method: "POST", body: "{}" }]) {
      const response = await fetch(url, init);
      assert.equal(response.status, 500);
      assert.match((await response.json()).error, /failed at this.*undefined/);
    }
  }
  assert.deepEqual(server.lines.map((line) => /agent: (.*)/.exec(line)?.[1]), [
    "GET /networks failed: x is undefined",
    "POST /networks failed: y is undefined",
  ]);
});

Deno.test("close() lets a request finish that is being answered, and closes idle connections at once", async () => {
  // Sooner than it ends what is in flight.
  await quickly(4_500, closes);
});

async function closes(): Promise<void> {
  const waiting = Promise.withResolvers<void>(), begun = Promise.withResolvers<void>();
  const api = fakeApi({
    createNetwork: async () => {
      begun.resolve();
      await waiting.promise;
      return { network };
    },
  });
  await using server = await testServer(api);
  const { port } = server.at;
  const idle = raw(port, ["GET /version HTTP/1.1\r\nHost: a\r\n\r\n"], false);
  const busy = raw(port, ["POST /networks HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"], false);
  await begun.promise;
  const closed = server.close();
  assert.deepEqual(statuses(await idle), [200]);
  await assert.rejects(Deno.connect({ port }), /refused/i);
  waiting.resolve();
  const answer = await busy;
  assert.deepEqual(statuses(answer), [201]);
  assert.match(answer, /^connection: close$/im);
  await closed;
}

Deno.test("an address that cannot be listened on is named", async () => {
  await using server = await testServer();
  await assert.rejects(
    testServer(fakeApi(), { listen: server.at }),
    /HTTP_HOST and PORT: cannot listen on 127\.0\.0\.1:\d+: Address already in use/,
  );
});
