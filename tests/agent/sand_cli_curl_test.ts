/** sand-agent-cli curl: HTTP requests to servers inside a network. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { Server } from "node:net";
import { NETWORK } from "../../services/agent/http/testing.ts";
import { version } from "../../services/common/version.ts";
import { certificates } from "../lab/certificates.ts";
import { run, strandCommand } from "../lab/host.ts";
import { agentApi, heard, sand, say, serving, tcpServer } from "./sand_cli.ts";

/** Answers with what it was asked. */
async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method, url, headers } = request;
  let body = "";
  for await (const chunk of request) body += chunk;
  response.end(JSON.stringify({ method, url, headers, body }));
}

/** A server that sends a fixed answer for each path, byte by byte. */
function answering(answers: Record<string, (string | Uint8Array)[]>) {
  return tcpServer(async (connection) => {
    const request = new Uint8Array(4096);
    const n = await connection.read(request) ?? 0;
    const path = /^GET \/(\w*)/.exec(new TextDecoder().decode(request.subarray(0, n)))?.[1] ?? "";
    for (const part of answers[path] ?? []) await say(connection, part);
    if (answers[path]) await connection.closeWrite();
    await heard(connection);
    connection.close();
  });
}

Deno.test("curl sends a request inside the network and prints the answer's body", async (t) => {
  await using agent = await agentApi();
  await using server = await serving(createServer(echo) as unknown as Server);
  const curl = async (args: string[], stdin?: string) => {
    const { code, stdout, stderr } = await sand(agent, ["curl", "--network", NETWORK, ...args], {
      ...(stdin !== undefined && { stdin }),
    });
    assert.deepEqual([code, stderr], [0, ""]);
    return JSON.parse(stdout);
  };
  const url = `http://127.0.0.1:${server.port}`;
  await t.step("GET with headers", async () => {
    const received = await curl(["-H", "X-A: 1", "-H", "x-a: 2", "-H", "Host: web", `${url}/a%20b?c=d#e`]);
    assert.deepEqual([received.method, received.url, received.body], ["GET", "/a%20b?c=d", ""]);
    const { host, "x-a": a, accept, "content-length": length, "transfer-encoding": coding } =
      received.headers;
    assert.deepEqual([host, a, accept, length, coding], ["web", "1, 2", "*/*", undefined, undefined]);
  });
  await t.step("the URL's own host and credentials", async () => {
    const { headers } = await curl([url.replace("//", "//me:p%40ss@")]);
    assert.deepEqual([headers.host, headers.authorization], [
      `127.0.0.1:${server.port}`,
      `Basic ${btoa("me:p@ss")}`,
    ]);
  });
  await t.step("a body from standard input, with its length", async () => {
    for (const method of ["POST", "GET", "DELETE"]) {
      const { method: got, body, headers } = await curl(["-X", method, url], "some text");
      assert.deepEqual([got, body, headers["content-length"]], [method, "some text", "9"]);
    }
    assert.equal((await curl(["-X", "POST", url], "")).body, "");
  });
  await t.step("a long body, in chunks", async () => {
    const long = "0123456789abcdef".repeat(1 << 18);
    const { body, headers } = await curl(["-X", "PUT", url], long);
    assert.equal(headers["transfer-encoding"], "chunked");
    assert.ok(body === long);
  });
  await t.step("standard input that stays open does not hold a GET up", async () => {
    using server = answering({ "": ["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly"] });
    const [file = "", ...args] = strandCommand(["sand-agent-cli", "--api-url", agent.url]);
    const child = new Deno.Command(file, {
      args: [...args, "curl", "-n", NETWORK, `http://127.0.0.1:${server.port}/`],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const stdin = child.stdin.getWriter();
    assert.equal(await new Response(child.stdout).text(), "early");
    assert.equal((await child.status).code, 0);
    await stdin.close().catch(() => {}); // who read it has ended
  });
});

Deno.test("curl prints a body byte by byte, however its end is told", async (t) => {
  const binary = Uint8Array.from({ length: 3_000_001 }, (_, i) => (i * 7919) >> (i % 13));
  const chunks: (string | Uint8Array)[] = ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"];
  for (let at = 0; at < binary.length; at += 100_000) {
    const part = binary.subarray(at, at + 100_000);
    chunks.push(`${part.length.toString(16)};a=b\r\n`, part, "\r\n");
  }
  await using agent = await agentApi();
  using server = answering({
    length: [`HTTP/1.1 200 OK\r\nContent-Length: ${binary.length}\r\n\r\n`, binary],
    chunks: [...chunks, "0\r\nTrailer: x\r\n\r\n"],
    end: ["HTTP/1.0 404 Not Found\r\n\r\n", binary],
  });
  for (const path of ["length", "chunks", "end"]) {
    await t.step(path, async () => {
      const [file = "", ...args] = strandCommand(["sand-agent-cli", "--api-url", agent.url]);
      const { code, stdout } = await new Deno.Command(file, {
        args: [...args, "curl", "-n", NETWORK, `http://127.0.0.1:${server.port}/${path}`],
        stdin: "null",
      }).output();
      assert.equal(code, 0);
      assert.equal(Buffer.compare(stdout, binary), 0);
    });
  }
});

Deno.test("curl says what went wrong in one line", async (t) => {
  await using agent = await agentApi();
  using server = answering({
    cut: ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"],
    text: ["hello\r\n\r\n"],
    gone: [],
    "": ["HTTP/1.1 400 Bad Request\r\n\r\n"],
    lines: ["HTTP/1.1 200 OK\r\n\r\n", "line\n".repeat(1 << 20)],
  });
  const url = `http://127.0.0.1:${server.port}`;
  const cases: [what: string, args: string[], printed: string, says: RegExp][] = [
    [
      "a body that is cut off",
      [`${url}/cut`],
      "half",
      /127\.0\.0\.1:\d+ ended the connection in the middle of its answer/,
    ],
    ["something else than HTTP", [`${url}/text`], "", /it does not speak HTTP/],
    ["no answer", [`${url}/gone`], "", /it closed the connection without an answer/],
    ["no TLS", [url.replace("http", "https"), "-k"], "", /it does not speak TLS/],
    ["silence", ["--timeout", "2s", `${url}/silent`], "", /not answered in full within 2s; --timeout/],
    ["a closed port", ["http://127.0.0.1:1/"], "", /127\.0\.0\.1:1/],
    ["no such network", ["-n", NETWORK.replace("3", "4"), url], "", /there is no network/],
  ];
  for (const [what, args, printed, says] of cases) {
    await t.step(what, async () => {
      const { code, stdout, stderr } = await sand(agent, ["curl", "-n", NETWORK, ...args]);
      assert.deepEqual([code, stdout], [1, printed], stderr);
      assert.match(stderr, /^sand-agent-cli: [^\n]+\n$/);
      assert.match(stderr, says);
    });
  }
  await t.step("a reader that has seen enough is no fault", async () => {
    const curl = ["sand-agent-cli", "--api-url", agent.url, "curl", "-n", NETWORK, `${url}/lines`];
    const script = '"$@" </dev/null | head -n1; echo ${PIPESTATUS[0]}';
    const { stdout, stderr } = await run(["bash", "-c", script, "bash", ...strandCommand(curl)]);
    assert.deepEqual([stdout, stderr], ["line\n0\n", ""]);
  });
});

Deno.test("curl speaks TLS inside the tunnel, also through an agent with https", async (t) => {
  await using certs = await certificates();
  await using stranger = await certificates("stranger");
  const server = async (name: string) => {
    const [cert = "", key = ""] = [await certs.read(name), await certs.read(`${name}-key`)].map((pem) =>
      new TextDecoder().decode(pem)
    );
    return await serving(createSecureServer({ cert, key }, echo));
  };
  await using right = await server("server");
  await using elsewhere = await server("elsewhere");
  for (const secure of [false, true]) {
    await using agent = await agentApi(secure ? certs : undefined);
    const curl = (port: number, ca: string, args: string[] = [], stdin = "") => {
      const url = `https://127.0.0.1:${port}/path`;
      return sand(agent, ["curl", "-n", NETWORK, "-X", "POST", ...args, url], {
        stdin,
        env: { SSL_CERT_FILE: ca },
      });
    };
    await t.step(`an agent with ${secure ? "https" : "http"}`, async () => {
      const { stdout, stderr } = await curl(right.port, certs.path("ca"), [], "text");
      assert.equal(stderr, "");
      assert.deepEqual([JSON.parse(stdout).url, JSON.parse(stdout).body], ["/path", "text"]);
      const wrong: [port: number, ca: string, says: RegExp][] = [
        [right.port, stranger.path("ca"), /is not signed by an authority that this machine trusts; -k/],
        [elsewhere.port, certs.path("ca"), /its certificate is another host's: .*127\.0\.0\.1/],
      ];
      for (const [port, ca, says] of wrong) {
        const refused = await curl(port, ca);
        assert.deepEqual([refused.code, refused.stdout], [1, ""]);
        assert.match(refused.stderr, says);
        assert.equal(JSON.parse((await curl(port, ca, ["-k"])).stdout).url, "/path");
      }
    });
  }
});

Deno.test("what is sent to an agent, byte by byte", async () => {
  let request = "";
  using agent = tcpServer(async (connection) => {
    request = "";
    const bytes = new Uint8Array(4096);
    while (!/^CONNECT .*\r\n\r\n$|\}$/s.test(request)) {
      request += new TextDecoder().decode(bytes.subarray(0, await connection.read(bytes) ?? 0));
    }
    // What an eager server says may come with the head of the agent's answer.
    const tunnelled = "HTTP/1.0 200 OK\r\n\r\nbody";
    const json = 'HTTP/1.1 201 Created\r\nConnection: close\r\n\r\n{"network":{"id":"x"}}';
    await say(connection, request.startsWith("CONNECT") ? `HTTP/1.1 200 OK\r\n\r\n${tunnelled}` : json);
    await connection.closeWrite();
  });
  const url = `http://127.0.0.1:${agent.port}`;
  const lines = (...lines: string[]) => lines.join("\r\n") + "\r\n\r\n";
  const host = `Host: 127.0.0.1:${agent.port}`, program = `User-Agent: sand-agent-cli/${version}`;
  assert.equal((await sand({ url }, ["curl", "-n", NETWORK, "http://10.0.0.9:8080/"])).stdout, "body");
  const connect = `CONNECT /networks/${NETWORK}?ip=10.0.0.9&port=8080 HTTP/1.1`;
  assert.equal(request, lines(connect, host, program));
  assert.equal((await sand({ url: `${url}/` }, ["network-create", "--name", "blau ä"])).code, 0);
  const json = [program, "Accept: application/json", "Content-Type: application/json"];
  const head = lines("POST /networks HTTP/1.1", host, "Connection: close", "Content-Length: 18", ...json);
  assert.equal(request, `${head}{"name":"blau ä"}`);
});
