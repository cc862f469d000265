import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import { Cidr, Ip } from "../common/ip.ts";
import { parseHostPort } from "../common/host_port.ts";
import { tcpSockets } from "../../tests/lab/tcp_sockets.ts";
import { until } from "../../tests/lab/until.ts";
import { type DnsOptions, type DnsServer, startDns } from "./server.ts";
import { decode, encodeQuery, type Message, mini, type Query } from "./testing.ts";

async function withServer(options: Partial<DnsOptions>, test: (server: DnsServer) => Promise<void>) {
  const server = await startDns({ listen: ["127.0.0.1:0"], ...options });
  try {
    server.zones.setNetwork({ ...mini, subnets: [Cidr.parse("10.0.0.0/16")] });
    server.zones.setName("whiskey.mini.net", [Ip.parse("10.0.0.10")]);
    server.zones.publish(1);
    await test(server);
  } finally {
    await server.stop();
  }
}

const portOf = (server: DnsServer, i = 0) => parseHostPort(server.addresses[i] ?? "", "address").port;

async function udp(port: number, query: Query, host = "127.0.0.1"): Promise<Message & { from: string }> {
  const client = dgram.createSocket(host.includes(":") ? "udp6" : "udp4");
  try {
    client.send(encodeQuery(query), port, host);
    const [message, from] = await once(client, "message", { signal: AbortSignal.timeout(60_000) });
    return { ...decode(new Uint8Array(message)), from: from.address };
  } finally {
    client.close();
  }
}

function framed(...messages: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(messages.flatMap((m) => [m.length >> 8, m.length & 255, ...m]));
}

/** Reads `count` answers of a stream; fewer when the server closes it. */
async function readAnswers(conn: Deno.Conn, count: number): Promise<Message[]> {
  const all: number[] = [];
  const messages: Message[] = [];
  const piece = new Uint8Array(65536);
  while (messages.length < count) {
    const length = ((all[0] ?? 0) << 8) | (all[1] ?? 0);
    if (all.length >= 2 && all.length >= 2 + length) {
      messages.push(decode(Uint8Array.from(all.splice(0, 2 + length).slice(2))));
      continue;
    }
    const got = await conn.read(piece);
    if (got === null) break;
    all.push(...piece.subarray(0, got));
  }
  return messages;
}

Deno.test("startDns() answers over UDP and counts", async () => {
  await withServer({}, async (server) => {
    const port = portOf(server);
    assert.equal((await udp(port, { name: "whiskey.mini.net" })).answer[0]?.data, "10.0.0.10");
    assert.equal((await udp(port, { name: "nobody.mini.net" })).rcode, 3);
    assert.equal((await udp(port, { name: "example.org", rd: true })).rcode, 5);
    const { queries, noerror, nxdomain, refused } = server.counters();
    assert.deepEqual([queries, noerror, nxdomain, refused], [3, 1, 1, 1]);
  });
});

Deno.test("the NS of a network that names no name server is where this server listens", async () => {
  await withServer({}, async (server) => {
    server.zones.setNetwork({ name: "n", domain: "n.net", subnets: [], nameservers: [], ttl: 60 });
    server.zones.publish(2);
    const port = portOf(server), { answer: [ns] } = await udp(port, { name: "n.net", type: 2 });
    assert.equal((await udp(port, { name: ns?.data ?? "" })).answer[0]?.data, "127.0.0.1");
  });
});

Deno.test("bound to every address, it answers from the one that was asked; IPv4 and IPv6 side by side", async () => {
  await withServer({ listen: ["0.0.0.0:0", "[::]:0"] }, async (server) => {
    for (const host of ["127.0.0.1", "127.9.8.7"]) {
      assert.equal((await udp(portOf(server), { name: "whiskey.mini.net" }, host)).from, host);
    }
    assert.equal((await udp(portOf(server, 1), { name: "whiskey.mini.net" }, "::1")).from, "::1");
  });
});

Deno.test("one port of IPv4 and IPv6 together, TCP too", async () => {
  const onOnePort = async () => {
    let port = 0;
    await withServer({ listen: ["0.0.0.0:0"] }, async (first) => void (port = await portOf(first)));
    await withServer({ listen: [`0.0.0.0:${port}`, `[::]:${port}`] }, async () => {
      for (const hostname of ["127.0.0.1", "::1"]) {
        assert.equal((await udp(port, { name: "whiskey.mini.net" }, hostname)).rcode, 0);
        const conn = await Deno.connect({ hostname, port });
        await conn.write(framed(encodeQuery({ name: "whiskey.mini.net" })));
        assert.equal((await readAnswers(conn, 1)).length, 1);
        conn.close();
      }
    });
  };
  // Another program may have the port, once it is let go or for IPv6.
  for (let tries = 1;; tries++) {
    try {
      return await onOnePort();
    } catch (error) {
      if (tries === 20 || !String(error).includes("address already in use")) throw error;
    }
  }
});

Deno.test("a change is answered at once, also when the table moves", async () => {
  await withServer({}, async (server) => {
    const port = portOf(server);
    const took: number[] = [];
    for (let i = 0; i < 20; i++) {
      for (let j = i * 500; j < (i + 1) * 500; j++) {
        server.zones.setName(`h${j}.mini.net`, [Ip.from4(0x0a000000 + j)]);
      }
      server.zones.publish(i);
      const begun = performance.now(), wanted = Ip.from4(0x0a000000 + i * 500 + 499).toString();
      // The thread that answers hears of a table that moved when it is its turn.
      let data: unknown;
      while (data !== wanted && performance.now() - begun < 60_000) {
        data = (await udp(port, { name: `h${i * 500 + 499}.mini.net` })).answer[0]?.data;
      }
      took.push(performance.now() - begun);
      assert.equal(data, wanted);
    }
    // A thread that is not woken would take what its next query takes; the machine may stop us for longer now and then.
    took.sort((a, b) => a - b);
    assert((took[10] ?? 0) < 1000, took.join());
  });
});

Deno.test("the thread that answers gives a sign of life whenever it is asked for one", async () => {
  const server = await startDns({ listen: ["127.0.0.1:0"], forward: [] });
  try {
    assert.equal(server.isAlive(), true);
    for (let i = 0; i < 3; i++) await until("it has answered", () => server.isAlive());
  } finally {
    await server.stop();
  }
});

Deno.test("TCP: queries in one piece, in single octets, many on one connection, and half-closed", async () => {
  await withServer({}, async (server) => {
    const port = portOf(server);
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    const two = framed(
      encodeQuery({ name: "whiskey.mini.net", id: 1 }),
      encodeQuery({ name: "nobody.mini.net", id: 2 }),
    );
    await conn.write(two);
    assert.deepEqual((await readAnswers(conn, 2)).map((m) => [m.id, m.rcode]), [[1, 0], [2, 3]]);
    for (const octet of two) await conn.write(Uint8Array.of(octet));
    assert.deepEqual((await readAnswers(conn, 2)).map((m) => [m.id, m.rcode]), [[1, 0], [2, 3]]);
    const hundred = Array.from({ length: 100 }, (_, id) => encodeQuery({ name: "whiskey.mini.net", id }));
    await conn.write(framed(...hundred));
    await conn.closeWrite();
    assert.equal((await readAnswers(conn, 101)).length, 100);
    conn.close();
  });
});

Deno.test("TCP: idle and rubbish connections are closed, and too many close the idlest", async () => {
  const open = (server: DnsServer) => Deno.connect({ hostname: "127.0.0.1", port: portOf(server) });
  await withServer({ tcp: { idle: 200 } }, async (server) => {
    const rubbish = await open(server), idle = await open(server);
    await rubbish.write(Uint8Array.of(0, 1, 7));
    for (const conn of [rubbish, idle]) {
      assert.deepEqual(await readAnswers(conn, 1), []);
      conn.close();
    }
  });
  // Here none is idle for too long.
  await withServer({ tcp: { idle: 60_000, maxConnections: 2 } }, async (server) => {
    const first = await open(server), second = await open(server), third = await open(server);
    assert.deepEqual(await readAnswers(first, 1), []);
    for (const conn of [second, third]) {
      await conn.write(framed(encodeQuery({ name: "whiskey.mini.net" })));
      assert.equal((await readAnswers(conn, 1)).length, 1);
    }
    for (const conn of [first, second, third]) conn.close();
  });
});

Deno.test("TCP: the connection of a client that does not read its answers is closed, its descriptor too", async () => {
  await withServer({ tcp: { idle: 200 } }, async (server) => {
    const port = portOf(server), query = framed(encodeQuery({ name: "whiskey.mini.net" }));
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    const isOpen = () =>
      tcpSockets().some(({ localPort, remotePort, isOpen }) => localPort === port && remotePort && isOpen);
    const many = new Uint8Array(query.length * 1000);
    for (let at = 0; at < many.length; at += query.length) many.set(query, at);
    const sending = (async () => {
      for (let i = 0; i < 1000; i++) {
        for (let at = 0; at < many.length;) at += await conn.write(many.subarray(at));
      }
    })().catch(() => {});
    await until("the server has accepted it", isOpen);
    await until("the server has closed it", () => !isOpen());
    await sending;
    conn.close();
  });
});

Deno.test("names outside our zones are forwarded, by the socket and address that were asked", async () => {
  const upstream = await startDns({ listen: ["127.0.0.1:0"] });
  upstream.zones.setNetwork({
    name: "far",
    domain: "far.test",
    subnets: [],
    nameservers: [Ip.parse("192.0.2.53")],
    ttl: 300,
  });
  upstream.zones.setName("www.far.test", [Ip.parse("192.0.2.80")]);
  upstream.zones.setName("whiskey.mini.net", [Ip.parse("192.0.2.66")]);
  upstream.zones.publish(1);
  try {
    await withServer({ listen: ["0.0.0.0:0"], forward: [...upstream.addresses] }, async (server) => {
      const port = portOf(server);
      const m = await udp(port, { name: "WWW.far.test", rd: true }, "127.3.2.1");
      assert.deepEqual([m.answer[0]?.data, m.aa, m.ra, m.from], ["192.0.2.80", false, true, "127.3.2.1"]);
      assert.equal((await udp(port, { name: "no.far.test", rd: true })).rcode, 3);
      assert.equal((await udp(port, { name: "www.far.test" })).rcode, 5);
      assert.equal((await udp(port, { name: "whiskey.mini.net", rd: true })).answer[0]?.data, "10.0.0.10");
      const conn = await Deno.connect({ hostname: "127.0.0.1", port });
      await conn.write(framed(encodeQuery({ name: "www.far.test", rd: true })));
      assert.equal((await readAnswers(conn, 1))[0]?.answer[0]?.data, "192.0.2.80");
      conn.close();
      assert.equal(server.counters().forwarded, 3);
      assert.equal(server.counters().cacheHits, 1);
    });
  } finally {
    await upstream.stop();
  }
});

Deno.test("stop() still answers what is with a resolver", async () => {
  const resolver = dgram.createSocket("udp4").bind(0, "127.0.0.1");
  await once(resolver, "listening");
  const server = await startDns({
    listen: ["127.0.0.1:0"],
    forward: [`127.0.0.1:${resolver.address().port}`],
  });
  const answer = udp(portOf(server), { name: "example.org", rd: true });
  const [query, from] = await once(resolver, "message");
  const stopped = server.stop();
  query[2] |= 0x80;
  resolver.send(query, from.port, from.address);
  assert.equal((await answer).question?.name, "example.org");
  await stopped;
  resolver.close();
});

Deno.test("no resolver there: SERVFAIL", async () => {
  const gone = await startDns({ listen: ["127.0.0.1:0"] });
  const forward = [...gone.addresses];
  await gone.stop();
  await withServer({ forward, patience: 200 }, async (server) => {
    const m = await udp(portOf(server), { name: "example.org", rd: true, edns: {} });
    assert.deepEqual([m.rcode, m.question?.name, m.edns?.size], [2, "example.org", 1232]);
  });
});

Deno.test("startDns() names the address that it cannot have, and leaves nothing open", async () => {
  await withServer({}, async (server) => {
    const taken = server.addresses[0] ?? "";
    await assert.rejects(
      startDns({ listen: ["127.0.0.1:0", taken] }),
      new RegExp(
        `dnsd.listen: ${taken} cannot be listened on: listen on ${taken}/udp: address already in use`,
      ),
    );
    await assert.rejects(startDns({ listen: ["localhost:0"] }), /listen: "localhost:0" is not an address/);
    await assert.rejects(
      startDns({ listen: ["127.0.0.1:0"], forward: ["nine"] }),
      /forward: "nine" is not an/,
    );
  });
});
