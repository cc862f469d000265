/** CONNECT streams into networks, over HTTP and HTTPS, through one agent and through two. */
import assert from "node:assert/strict";
import { connect } from "node:net";
import { Netlink } from "../../ffi/netlink.ts";
import { changeLink } from "../../ffi/netlink_link.ts";
import { home, inNamespace, namespaceIdentity } from "../../ffi/netns.ts";
import { listenIn } from "../../ffi/sockets_in.ts";
import { fakeApi, testServer } from "../../services/agent/http/testing.ts";
import { TestNamespace } from "../ffi/namespaces.ts";
import { certificates } from "../lab/certificates.ts";
import { curl } from "../lab/curl.ts";
import { until } from "../lab/until.ts";
import {
  connectHead,
  dial,
  echo,
  encode,
  fourWays,
  OK,
  readAll,
  readOnce,
  remoteApi,
  stream,
  target,
  type Way,
  writeAll,
} from "./http_lab.ts";

const streamsOf = async ({ metrics }: { metrics: { metrics(): Promise<string> } }) =>
  Number(/^agent_connect_streams (\d+)$/m.exec(await metrics.metrics())?.[1]);

Deno.test("streams, by HTTP and HTTPS, from this agent and through another", async (t) => {
  await using certs = await certificates();
  await using lab = await fourWays(certs);
  const eachWay = async (name: string, body: (way: Way) => Promise<void>) => {
    for (const way of lab.ways) await t.step(`${name}: ${way.name}`, () => body(way));
  };

  await eachWay("the head is sent alone, though the target speaks first", async (way) => {
    await using banner = target(async (connection) => {
      await writeAll(connection, encode("220 ready"));
      await readAll(connection);
    });
    for (let i = 0; i < 20; i++) {
      const client = await dial(way);
      // As slowly as a client may send it.
      for (const byte of i ? [connectHead(banner.port)] : connectHead(banner.port)) {
        await writeAll(client, encode(byte));
      }
      assert.equal(await readOnce(client), OK);
      assert.equal(await readOnce(client), "220 ready");
      client.close();
    }
  });

  await eachWay("what a client sends right after its head reaches the target", async (way) => {
    await using echoing = target(echo);
    const client = await dial(way);
    await writeAll(client, encode(connectHead(echoing.port) + "early "));
    await writeAll(client, encode("and more"));
    await client.closeWrite();
    assert.equal(await readAll(client), OK + "early and more");
    client.close();
  });

  await eachWay("a client that has said all hears the answer", async (way) => {
    let received = "";
    await using answering = target(async (connection) => {
      received = await readAll(connection);
      for (const part of ["an", "sw", "er"]) {
        await writeAll(connection, encode(part));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
    const client = await stream(way, answering.port);
    await writeAll(client, encode("question"));
    await client.closeWrite();
    assert.equal(await readAll(client), "answer");
    assert.equal(received, "question");
    client.close();
  });

  await eachWay("a target that has said all hears what the client goes on to say", async (way) => {
    const heard = Promise.withResolvers<string>();
    await using ending = target(async (connection) => {
      await writeAll(connection, encode("that is all"));
      await connection.closeWrite();
      heard.resolve(await readAll(connection));
    });
    const client = await stream(way, ending.port);
    assert.equal(await readAll(client), "that is all");
    await writeAll(client, encode("still "));
    await writeAll(client, encode("here"));
    await client.closeWrite();
    assert.equal(await heard.promise, "still here");
    client.close();
  });

  await eachWay("10 MB each way arrive whole", async (way) => {
    await using echoing = target(echo);
    const client = await stream(way, echoing.port);
    const block = crypto.getRandomValues(new Uint8Array(65_536)), blocks = 160;
    const sending = (async () => {
      for (let i = 0; i < blocks; i++) await writeAll(client, block);
      await client.closeWrite();
    })();
    const buffer = new Uint8Array(65_536);
    let at = 0;
    for (let n; (n = await client.read(buffer)) !== null;) {
      for (let i = 0; i < n; i++) {
        if (buffer[i] !== block[(at + i) % block.length]) assert.fail(`byte ${at + i}`);
      }
      at += n;
    }
    await sending;
    assert.equal(at, block.length * blocks);
    client.close();
  });

  await eachWay("a client that breaks off takes the target's side with it", async (way) => {
    const ended = Promise.withResolvers<void>();
    await using waiting = target((connection) => readAll(connection).then(() => {}).finally(ended.resolve));
    const client = await stream(way, waiting.port);
    await writeAll(client, encode("x"));
    client.close();
    await ended.promise;
  });

  await eachWay("a target that breaks off takes the client's side with it", async (way) => {
    await using breaking = target(async (connection) => {
      await connection.read(new Uint8Array(1));
      // Closed with bytes unread, it is reset.
    });
    const client = await stream(way, breaking.port);
    await writeAll(client, encode("xxxxxxxx"));
    await readAll(client).catch(() => {});
    client.close();
  });

  await eachWay("a target that refuses is a 502 with a sentence", async (way) => {
    const client = await dial(way);
    await writeAll(client, encode(connectHead(1)));
    const answer = await readAll(client);
    assert.match(answer, /^HTTP\/1\.1 502 Bad Gateway\r\n/);
    assert.match(
      answer,
      /\{"error":"(near: )?no connection to 127\.0\.0\.1:1 inside the network: Connection refused"\}\n$/,
    );
    client.close();
  });

  await t.step("and nothing is left of them", async () => {
    for (const server of lab.servers) {
      await until("no streams", async (see) => see(await streamsOf(server)) === 0);
      await until(
        "no connections",
        async (see) => /connections 0$/m.test(see(await server.metrics.metrics())),
      );
      assert.deepEqual(server.lines, []);
    }
    assert.match(
      await lab.servers[0]!.metrics.metrics(),
      /agent_connect_bytes_total\{direction="out"\} [1-9]\d{7}/,
    );
  });
});

Deno.test("a client's reset, before and after the 200, leaves nothing", async () => {
  await using server = await testServer();
  await using echoing = target(echo);
  for (let i = 0; i < 100; i++) {
    const socket = connect(server.at.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(connectHead(echoing.port));
    if (i % 2) await new Promise((resolve) => socket.once("data", resolve));
    socket.resetAndDestroy();
  }
  await until("no streams", async (see) => see(await streamsOf(server)) === 0);
  await until("no connections", async (see) => /connections 0$/m.test(see(await server.metrics.metrics())));
  assert.deepEqual(server.lines, []);
});

Deno.test("a connection is made from inside the endpoint's namespace", async () => {
  using place = new TestNamespace();
  {
    using netlink = new Netlink(place.fd);
    await netlink.run(changeLink("lo", { up: true }));
  }
  const here = fakeApi({
    route: () => Promise.resolve({ kind: "local", netns: place.path, identity: namespaceIdentity(place.fd) }),
  });
  await using server = await testServer(here);
  const listener = listenIn(place.fd, { hostname: "127.0.0.1", port: 7 });
  try {
    const way = { port: server.at.port, tls: undefined };
    const client = await stream(way, 7);
    (await listener.accept()).close();
    assert.equal(await readAll(client), "");
    client.close();
    // Outside, this port has an agent's API.
    await assert.rejects(stream(way, server.at.port), /502.*Connection refused/s);
  } finally {
    listener.close();
  }
  {
    // Another one has come to that path.
    const identity = namespaceIdentity(home);
    const route = () => Promise.resolve({ kind: "local", netns: place.path, identity } as const);
    await using other = await testServer(fakeApi({ route }));
    await assert.rejects(stream({ port: other.at.port, tls: undefined }, 7), /502.*another one is at/s);
  }
  // A listener that takes no more: what knocks gets no answer.
  const full = inNamespace(place.fd, () => Deno.listen({ hostname: "127.0.0.1", port: 8, tcpBacklog: 1 }));
  const knocking: Deno.Conn[] = [];
  try {
    await using impatient = await testServer(here, { limits: { dial: 300 } });
    const way = { port: impatient.at.port, tls: undefined };
    await assert.rejects(async () => {
      for (;;) knocking.push(await stream(way, 8));
    }, /^Error: HTTP\/1\.1 504 .*"127\.0\.0\.1:8 has not answered within 0\.3 s"/s);
  } finally {
    full.close();
    for (const client of knocking) client.close();
  }
  await server.close();
});

Deno.test("a namespace that is gone is a 502, and what is no CONNECT to a network says so", async () => {
  const netns = "/run/netns/strand-nowhere";
  await using server = await testServer(
    fakeApi({ route: () => Promise.resolve({ kind: "local", netns, identity: "" }) }),
  );
  const { port } = server.at;
  const exchange = async (head: string) => {
    const client = await dial({ port, tls: undefined });
    await writeAll(client, encode(head));
    const answer = await readAll(client);
    client.close();
    return answer;
  };
  assert.match(
    await exchange(connectHead(80)),
    /^HTTP\/1\.1 502 .*namespace cannot be entered.*strand-nowhere/s,
  );
  assert.match(
    await exchange(connectHead(80, { ip: "x" })),
    /^HTTP\/1\.1 400 .*ip: \\"x\\" is not an IPv4 address/s,
  );
  const other = crypto.randomUUID();
  const unknown = fakeApi();
  await using second = await testServer(unknown);
  const client = await dial({ port: second.at.port, tls: undefined });
  await writeAll(client, encode(connectHead(80, { network: other })));
  assert.match(await readAll(client), /^HTTP\/1\.1 404 .*there is no network/s);
  client.close();
  assert.match(
    await exchange("CONNECT 10.0.0.5:80 HTTP/1.1\r\nHost: a\r\n\r\n"),
    /^HTTP\/1\.1 400 .*a proxy's/s,
  );
  assert.match(
    await exchange("CONNECT /version HTTP/1.1\r\nHost: a\r\n\r\n"),
    /^HTTP\/1\.1 405 .*\r\nallow: GET, HEAD\r\n/s,
  );
});

Deno.test("curl: a proxy's CONNECT is refused, CONNECT to a network's path is a stream", async () => {
  await using server = await testServer();
  await using banner = target((connection) => writeAll(connection, encode("220 ready")));
  const url = `http://127.0.0.1:${server.at.port}`;
  const proxy = await curl(["-p", "-x", url, "http://10.0.0.5/"]);
  assert.match(proxy.stderr, /CONNECT tunnel failed, response 400/);
  const path = `${url}/networks/320a669f-e465-4806-ab46-f2e6620c4311?ip=127.0.0.1&port=${banner.port}`;
  const { code, body } = await curl(["-X", "CONNECT", path]);
  assert.deepEqual([code, body], [0, "220 ready"]);
});

Deno.test("two agents that each think the other has the network do not ask each other for ever", async () => {
  const agents: { hostname: string; apiHostname: string; ip: string }[] = [];
  const api = fakeApi({ route: () => Promise.resolve({ kind: "remote", agents }) });
  await using one = await testServer(api);
  await using two = await testServer(api);
  for (const { at } of [two, one]) {
    agents.push({ hostname: `h${at.port}`, apiHostname: `127.0.0.1:${at.port}`, ip: "127.0.0.1" });
  }
  const client = await dial({ port: one.at.port, tls: undefined });
  await writeAll(client, encode(connectHead(80)));
  assert.match(await readAll(client), /^HTTP\/1\.1 502 .*has no active endpoint on this host any more/s);
  client.close();
});

Deno.test("an agent that has no TLS, or another authority, is not spoken to by one that has", async () => {
  await using certs = await certificates();
  await using others = await certificates("stranger");
  await using near = await testServer();
  const { fourWays: _, ...lab } = await import("./http_lab.ts");
  await using far = await testServer(remoteApi(near.at.port), { tls: await lab.materialOf(certs, "server") });
  const way = { port: far.at.port, tls: await lab.materialOf(certs, "client") };
  await assert.rejects(stream(way, 80), /502.*near at 127\.0\.0\.1:\d+ cannot be reached: /s);
  await using strange = await testServer(fakeApi(), { tls: await lab.materialOf(others, "server") });
  await using forwarding = await testServer(remoteApi(strange.at.port), {
    tls: await lab.materialOf(certs, "server"),
  });
  await assert.rejects(
    stream({ ...way, port: forwarding.at.port }, 80),
    /502.*cannot be reached: invalid peer certificate: (UnknownIssuer|BadSignature)/s,
  );
});

Deno.test("a stream may be silent for longer than requests may take; close() ends it", async () => {
  const limits = { head: 100, request: 200, idle: 100 };
  await using server = await testServer(fakeApi(), { limits });
  await using echoing = target(echo);
  const way = { port: server.at.port, tls: undefined };
  // On a busy machine its head may come too late.
  let opened: Deno.TcpConn | undefined;
  await until("a stream is open", async () => {
    opened = await stream(way, echoing.port).catch(() => undefined);
    return opened !== undefined;
  });
  const client = opened!;
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await writeAll(client, encode("still here"));
  assert.equal(await readOnce(client), "still here");
  await server.close();
  await readAll(client).catch(() => {});
  client.close();
});
