/** Mutated HTTP requests to the agent's API: each is answered or closed, without an internal error or lost memory. */
import assert from "node:assert/strict";
import type { AgentApi } from "../../services/agent/api.ts";
import { answerTo } from "../../services/agent/http/routes.ts";
import { errorAnswer } from "../../services/agent/http/answers.ts";
import { ENDPOINT, fakeApi, NETWORK, report, testServer } from "../../services/agent/http/testing.ts";
import { Registry } from "../../services/common/metrics.ts";
import { randomFrom } from "../lab/dice.ts";
import { until } from "../lab/until.ts";
import { connectHead, decode, encode } from "./http_lab.ts";

const seed = Number(Deno.env.get("STRAND_FUZZ_SEED") ?? Date.now() % 2 ** 31);
const rounds = Number(Deno.env.get("STRAND_FUZZ_ROUNDS") ?? 4_000);

const body = JSON.stringify({
  network_id: NETWORK,
  activate: true,
  activate_params: { ns_handle_path: "/proc/self/ns/net", set_addr: false, move_veth: false },
  ipv4_address: "10.0.0.5/24",
  mac_address: "02:84:0a:00:00:05",
});
const post = (path: string, body: string, more = "") =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n${more}\r\n${body}`;

const whole = [
  "GET /networks HTTP/1.1\r\nHost: a\r\n\r\n",
  `GET /endpoints?network_id=${NETWORK}&hostname=a HTTP/1.1\r\nHost: a\r\n\r\n`,
  `DELETE /endpoints/${ENDPOINT}?force=1 HTTP/1.1\r\nHost: a\r\n\r\n`,
  post("/networks", '{"name":"a","ip_range":"10.0.0.0/24","gateway":"10.0.0.1/24"}'),
  post("/endpoints?wait=5s", body),
  post("/endpoints", body, "Expect: 100-continue\r\n"),
  `POST /networks HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n`,
  connectHead(1),
  connectHead(1).replace("\r\n\r\n", "\r\nstrand-forwarded: 1\r\n\r\n"),
  "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
].map(encode);

/** A request that is cut, spliced with another, or has bytes changed, dropped, doubled or put in. */
function mutated(pick: (below: number) => number): Uint8Array {
  let bytes = [...whole[pick(whole.length)]!];
  for (let n = pick(6); n > 0; n--) {
    const at = pick(bytes.length + 1), length = pick(1 + pick(40));
    const other = [...whole[pick(whole.length)]!];
    const changes = [
      () => bytes.splice(at, 1, pick(256)),
      () => bytes.splice(at, length),
      () => bytes.splice(at, 0, ...bytes.slice(at, at + length)),
      () => bytes.splice(at, 0, ...Array.from({ length }, () => pick(256))),
      () => bytes = [...bytes.slice(0, at), ...other.slice(pick(other.length))],
      () => bytes.splice(at, 0, ...encode(["\r\n", "\0", "%", "{", '"', "ÿ", "99999999999", "-1"][pick(8)]!)),
    ];
    changes[pick(changes.length)]!();
  }
  return Uint8Array.from(bytes);
}

/** What was allowed through to the agent must be as its interface says. */
const strict: Partial<AgentApi> = {
  createEndpoint: (request) => {
    assert.match(request.network, /^[0-9a-f-]{36}$/);
    assert(request.netns === undefined || request.netns.startsWith("/"));
    assert(request.address === undefined || request.address.family === 4);
    assert(request.waitMs !== undefined && request.waitMs >= 0 && request.waitMs <= 60_000);
    return fakeApi().createEndpoint(request);
  },
};

Deno.test(`${rounds} mutated requests over sockets: each is answered or closed, no fault, no memory (seed ${seed})`, async () => {
  await using server = await testServer(fakeApi(strict), { limits: { head: 2000, request: 2000 } });
  const pick = randomFrom(seed);
  const counts = new Map<string, number>();
  const one = async () => {
    const connection = await Deno.connect({ port: server.at.port });
    const buffer = new Uint8Array(4096);
    let answer = "";
    try {
      await connection.write(mutated(pick));
      await connection.closeWrite();
      for (let n; (n = await connection.read(buffer)) !== null;) answer += decode(buffer.subarray(0, n));
    } catch {
      // It was closed with something unread.
    }
    connection.close();
    for (const [status] of answer.matchAll(/^HTTP\/1\.1 \d+/gm)) {
      counts.set(status, (counts.get(status) ?? 0) + 1);
    }
  };
  const batch = async (n: number) => {
    for (let i = 0; i < n; i += 20) await Promise.all(Array.from({ length: 20 }, one));
  };
  await batch(rounds / 2);
  // A leak grows in every batch, and the heap of the garbage collector only now and then.
  let grown = Infinity;
  for (let batches = 0; batches < 3 && grown >= 100; batches++) {
    const before = Deno.memoryUsage().rss;
    await batch(rounds / 2);
    grown = (Deno.memoryUsage().rss - before) >> 20;
  }
  assert.equal(counts.get("HTTP/1.1 500"), undefined, server.lines.join(""));
  assert(counts.get("HTTP/1.1 200")! > 0 && counts.get("HTTP/1.1 400")! > 0, JSON.stringify([...counts]));
  assert.deepEqual(server.lines, []);
  assert(grown < 100, `memory grew by ${grown} MB`);
  await until("no connections", async (see) => /connections 0$/m.test(see(await server.metrics.metrics())));
  console.log(
    `      ${
      [...counts].map(([status, n]) => `${status.slice(9)}: ${n}`).sort().join(", ")
    }; ${grown} MB more memory`,
  );
});

Deno.test(`${rounds} mutated targets and bodies without a socket: never a 500 (seed ${seed})`, async () => {
  const pick = randomFrom(seed + 1);
  const strictApi = fakeApi(strict);
  const sources = {
    api: () => strictApi,
    report,
    metrics: new Registry(),
    openApi: () => Promise.resolve("{}"),
  };
  for (let i = 0; i < rounds; i++) {
    const bytes = mutated(pick), text = decode(bytes);
    const split = text.indexOf("\r\n\r\n") + 4;
    const [method = "", target = ""] = text.split(" ");
    const request = { method, target, body: bytes.subarray(split) };
    const answer = await answerTo(sources, request).catch(errorAnswer);
    assert(answer.status < 500, `${answer.body} for ${JSON.stringify(text)}`);
    if (answer.status >= 400) assert.deepEqual(Object.keys(JSON.parse(answer.body)), ["error"]);
  }
});
