import assert from "node:assert/strict";
import { tcpSockets } from "../../../tests/lab/tcp_sockets.ts";
import { until } from "../../../tests/lab/until.ts";
import type { RemoteAgent } from "../api.ts";
import { HttpError } from "../http/answers.ts";
import { addressesOf, forward } from "./forward.ts";
import { NETWORK } from "../http/testing.ts";

const options = { tls: undefined, port: 9999, reachWithin: 60_000, answerWithin: 60_000, silentFor: 60_000 };
const where = { network: NETWORK, ip: "10.0.0.5", port: 80 };
const never = new AbortController().signal;
const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);

/** An agent that gives one answer to each CONNECT, in the pieces given; undefined: none. */
function fakeAgent(hostname: string, answer: string[] | undefined) {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const requests: string[] = [], open: Deno.Conn[] = [];
  const served = (async () => {
    for await (const connection of listener) {
      open.push(connection);
      const buffer = new Uint8Array(1000);
      requests.push(text(buffer.subarray(0, await connection.read(buffer) ?? 0)));
      for (const piece of answer ?? []) await connection.write(new TextEncoder().encode(piece));
    }
  })();
  const agent: RemoteAgent = { hostname, apiHostname: `127.0.0.1:${listener.addr.port}`, ip: "" };
  return {
    agent,
    requests,
    async [Symbol.asyncDispose]() {
      listener.close();
      await served;
      for (const connection of open) connection.close();
    },
  };
}

const refusal = (status: number, error: string) => {
  const body = JSON.stringify({ error });
  return [`HTTP/1.1 ${status} X\r\nContent-Length: ${body.length}\r\n\r\n`, body.slice(0, 5), body.slice(5)];
};

async function failure(agents: RemoteAgent[], limits = options): Promise<HttpError> {
  try {
    (await forward(agents, where, limits, never)).close();
  } catch (error) {
    assert(error instanceof HttpError, String(error));
    return error;
  }
  throw new Error("it was connected");
}

Deno.test("forward() sends the path as Go's agents read it, and keeps what comes with the head", async () => {
  await using b = fakeAgent("b", ["HTTP/1.1 20", "0 OK\r\nX: y\r\n\r\nban", "ner"]);
  const end = await forward([b.agent], where, options, never);
  let heard = "";
  while (heard.length < 6) heard += text(await end.read());
  end.close();
  assert.equal(heard, "banner");
  const { apiHostname } = b.agent;
  assert.deepEqual(b.requests, [
    `CONNECT /networks/${NETWORK}?ip=10.0.0.5&port=80 HTTP/1.1\r\nHost: ${apiHostname}\r\nstrand-forwarded: 1\r\n\r\n`,
  ]);
});

Deno.test("forward() goes on to the next agent when one is away, mute, no agent, or without the network", async () => {
  const away: RemoteAgent = { hostname: "away", apiHostname: "127.0.0.1:1", ip: "127.0.0.2" };
  await using mute = fakeAgent("mute", undefined);
  await using other = fakeAgent("other", ["SSH-2.0-x\r\n\r\n"]);
  await using idle = fakeAgent("idle", refusal(421, "no endpoint here"));
  await using right = fakeAgent("right", ["HTTP/1.1 200 OK\r\n\r\n"]);
  const wrong = [away, mute.agent, other.agent, idle.agent];
  // The mute one is waited for that long, and a busy machine may let the others answer late.
  const limits = { ...options, answerWithin: 2000 };
  const connected = forward([...wrong, right.agent], where, limits, never);
  const [{ status, message }] = await Promise.all([failure(wrong, limits), connected]);
  (await connected).close();
  assert.equal(status, 502);
  assert.match(message, /away at 127\.0\.0\.1:1 cannot be reached.*away at 127\.0\.0\.2:1 cannot/);
  assert.match(
    message,
    /mute at .* gives no answer.*other at .* no answer of HTTP.*idle at .*: no endpoint here/,
  );
});

Deno.test("forward() goes on from an agent that is frozen, and waits for one that waits for its target", async () => {
  await using frozen = fakeAgent("frozen", undefined);
  await using right = fakeAgent("right", ["HTTP/1.1 200 OK\r\n\r\n"]);
  const patient = { ...options, answerWithin: 600_000, silentFor: 50 };
  (await forward([frozen.agent, right.agent], where, { ...patient, reachWithin: 1000 }, never)).close();
  assert.match(frozen.requests[1] ?? "", /^GET \/version HTTP\/1\.1\r\n/);

  const alone = forward([frozen.agent], where, { ...patient, reachWithin: 1000 }, never);
  await assert.rejects(alone, (error: HttpError) => {
    assert.match(error.message, /frozen at .* gives no answer: it answers no request/);
    return error.status === 502;
  });

  const version = Promise.withResolvers<void>(), listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async (connection: Deno.Conn) => {
    const buffer = new Uint8Array(1000);
    const isConnect = text(buffer.subarray(0, await connection.read(buffer) ?? 0)).startsWith("CONNECT");
    // The target answers after the agent was found to be there.
    if (isConnect) await version.promise;
    await connection.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\n\r\n"));
    if (!isConnect) version.resolve();
    while (await connection.read(buffer));
    connection.close();
  };
  const served: Promise<void>[] = [];
  const accepting = (async () => {
    for await (const connection of listener) served.push(serve(connection));
  })();
  const slow = { hostname: "slow", apiHostname: `127.0.0.1:${listener.addr.port}`, ip: "" };
  (await forward([slow, right.agent], where, { ...patient, reachWithin: 60_000 }, never)).close();
  // One that answers late on a busy machine is asked for its version besides.
  assert.equal(right.requests.filter((request) => request.startsWith("CONNECT")).length, 1);
  listener.close();
  await accepting;
  await Promise.all(served);
});

Deno.test("forward() believes an agent that has tried", async () => {
  await using refused = fakeAgent("b", refusal(504, "10.0.0.5:80 has not answered"));
  await using unused = fakeAgent("c", ["HTTP/1.1 200 OK\r\n\r\n"]);
  const { status, message } = await failure([refused.agent, unused.agent]);
  assert.deepEqual([status, message], [504, "b: 10.0.0.5:80 has not answered"]);
  assert.deepEqual(unused.requests, []);
});

Deno.test("forward() keeps no connection to an agent that refuses", async () => {
  await using held = fakeAgent("held", refusal(503, "this host is on hold"));
  for (let i = 0; i < 100; i++) assert.match((await failure([held.agent])).message, /on hold/);
  const port = Number(held.agent.apiHostname.split(":")[1]);
  await until("all are closed", (see) => {
    return see(tcpSockets().filter(({ remotePort, isOpen }) => remotePort === port && isOpen).length) === 0;
  });
});

Deno.test("forward() gives up when the client has gone", async () => {
  await using mute = fakeAgent("mute", undefined);
  const gone = new AbortController();
  const forwarding = forward([mute.agent], where, options, gone.signal);
  gone.abort(new Error("the client has gone"));
  await assert.rejects(forwarding, /the client has gone/);
});

Deno.test("addressesOf() takes an agent's word, then its VTEP", () => {
  const of = (apiHostname: string, ip = "192.0.2.1") =>
    addressesOf({ hostname: "b", apiHostname, ip }, 9999).map(({ host, port }) => `${host} ${port}`);
  assert.deepEqual(of("b.example"), ["b.example 9999", "192.0.2.1 9999"]);
  assert.deepEqual(of("b.example:8000"), ["b.example 8000", "192.0.2.1 8000"]);
  assert.deepEqual(of("192.0.2.1"), ["192.0.2.1 9999"]);
  assert.deepEqual(of(""), ["192.0.2.1 9999"]);
  assert.deepEqual(of("[2001:db8::1]:1", ""), ["2001:db8::1 1"]);
});
