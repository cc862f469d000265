import assert from "node:assert/strict";
import type { ByteStream } from "./byte_stream.ts";
import { exchange, type HttpRequest, NotHttp } from "./exchange.ts";

/** An end in memory, from which these pieces come one by one. */
class Pieces implements ByteStream {
  sent = "";
  readonly #pieces: (string | Error)[];

  constructor(pieces: readonly (string | Error)[]) {
    this.#pieces = [...pieces];
  }

  read(): Promise<Uint8Array | undefined> {
    const next = this.#pieces.shift();
    if (next instanceof Error) return Promise.reject(next);
    return Promise.resolve(next === undefined ? undefined : new TextEncoder().encode(next));
  }

  write(bytes: Uint8Array): Promise<void> {
    this.sent += new TextDecoder().decode(bytes);
    return Promise.resolve();
  }

  finish = () => Promise.resolve();
  close = () => {};
  abort = () => {};
}

const get: HttpRequest = { method: "GET", target: "/networks?name=x", host: "a:9999" };

async function answer(pieces: readonly (string | Error)[], request = get, most?: number) {
  const options = most === undefined ? {} : { most };
  const { status, body, rest } = await exchange(new Pieces(pieces), request, options);
  return [status, new TextDecoder().decode(body), new TextDecoder().decode(rest)];
}

Deno.test("exchange() writes a request that asks for the connection's end, and none of a CONNECT", async () => {
  const end = new Pieces(["HTTP/1.1 204 No Content\r\n\r\n"]);
  await exchange(end, { ...get, headers: { "X-Y": "z" }, body: new TextEncoder().encode("{}") });
  assert.equal(
    end.sent,
    "GET /networks?name=x HTTP/1.1\r\nHost: a:9999\r\nConnection: close\r\nContent-Length: 2\r\nX-Y: z\r\n\r\n{}",
  );
  const tunnel = new Pieces(["HTTP/1.1 200 OK\r\n\r\n"]);
  await exchange(tunnel, { method: "CONNECT", target: "/x", host: "a" });
  assert.equal(tunnel.sent, "CONNECT /x HTTP/1.1\r\nHost: a\r\n\r\n");
});

Deno.test("exchange() reads no more of a body than the caller takes, however long its chunk says that it is", async () => {
  const end = new Pieces(["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n"]),
    piece = new Uint8Array(1000);
  let reads = 0;
  const read = end.read.bind(end);
  end.read = async () => await read() ?? (reads++, piece);
  const { body } = await exchange(end, get, { most: 10_500 });
  assert.deepEqual([body.length, reads], [10_500, 11]);
});

Deno.test("exchange() reads bodies of a length, in chunks and to the end, wherever the pieces are cut", async () => {
  const answers: [text: string, body: string][] = [
    ["HTTP/1.1 200 OK\r\ncontent-length: 5\r\nX: y\r\n\r\nhello", "hello"],
    ["HTTP/1.1 200 OK\nContent-Length:5\n\nhello", "hello"],
    ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello"],
    ["HTTP/1.1 200\r\ntransfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", "hello"],
    ["HTTP/1.0 200 OK\r\n\r\nhello", "hello"],
  ];
  for (const [text, body] of answers) {
    for (let at = 1; at < text.length; at++) {
      assert.deepEqual(await answer([text.slice(0, at), text.slice(at)]), [200, body, ""], `${at} ${text}`);
    }
    assert.deepEqual(await answer([...text]), [200, body, ""], text);
  }
  const large = "x".repeat(100_000);
  assert.deepEqual(await answer([`HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n${large}`]), [
    200,
    large,
    "",
  ]);
});

Deno.test("exchange() expects no body after HEAD and 204, and keeps what follows the head of a CONNECT", async () => {
  const head = { ...get, method: "HEAD" };
  assert.deepEqual(await answer(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"], head), [200, "", ""]);
  assert.deepEqual(await answer(["HTTP/1.1 204 No Content\r\n\r\n"]), [204, "", ""]);
  const connect = { ...get, method: "CONNECT" };
  assert.deepEqual(await answer(["HTTP/1.1 200 OK\r\n\r\nban"], connect), [200, "", "ban"]);
  const refused = ["HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\n{}"];
  assert.deepEqual(await answer(refused, connect), [404, "{}", ""]);
  assert.deepEqual(await answer(["HTTP/1.1 404 No\r\n\r\n", "abc", "def"], connect, 4), [404, "abcd", ""]);
});

Deno.test("exchange() tells another protocol at its first bytes, and an answer that is cut short", async () => {
  const never = Promise.withResolvers<undefined>();
  const talks = new Pieces([]);
  talks.read = () => {
    talks.read = () => never.promise;
    return Promise.resolve(new TextEncoder().encode("SSH"));
  };
  await assert.rejects(exchange(talks, get), NotHttp);
  const wrong = [
    "HTTP/1.1 OK\r\n\r\n",
    "HTTP/1.1 2000\r\n\r\n",
    `HTTP/1.1 200 OK\r\nX: ${"y".repeat(20_000)}`,
    "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
  ];
  for (const text of wrong) await assert.rejects(answer([text]), NotHttp, text.slice(0, 60));
  const short = [
    [],
    ["HTTP/1.1 200 OK\r\n"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell"],
  ];
  for (const pieces of short) await assert.rejects(answer(pieces), /end of file before the answer did/);
  await assert.rejects(answer(["HTTP/1.1 200 OK\r\n\r\n", new Error("reset")]), /reset/);
});
