import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import { COUNTER, DnsCounters } from "./counters.ts";
import { Forwarder, type ForwarderOptions } from "./forward.ts";
import { decode, encodeQuery, type Query } from "./testing.ts";

interface Rr {
  type: number;
  ttl: number;
  data: number[];
}

/** A response to `query`: answer and authority records owned by the question's name, then an OPT. */
function response(
  query: Uint8Array,
  rcode: number,
  answer: Rr[],
  authority: Rr[] = [],
  tc = false,
): Uint8Array {
  const decoded = decode(query);
  const question = query.subarray(12, 12 + (decoded.question?.name.length ?? 0) + 2 + 4);
  const rr = ({ type, ttl, data }: Rr) => [
    ...[0xc0, 12, type >> 8, type & 255, 0, 1],
    ...[ttl >>> 24, (ttl >> 16) & 255, (ttl >> 8) & 255, ttl & 255],
    ...[data.length >> 8, data.length & 255, ...data],
  ];
  return Uint8Array.from([
    ...query.subarray(0, 2),
    ...[0x80 | (tc ? 2 : 0) | 1, 0x80 | rcode, 0, 1, 0, answer.length, 0, authority.length, 0, 1],
    ...question,
    ...answer.flatMap(rr),
    ...authority.flatMap(rr),
    ...[0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0],
  ]);
}

const a = (ttl: number, last = 1): Rr => ({ type: 1, ttl, data: [192, 0, 2, last] });
const soa = (ttl: number, minimum: number): Rr => ({
  type: 6,
  ttl,
  data: [0, 0, ...new Array(16).fill(0), 0, 0, minimum >> 8, minimum & 255],
});

/** A resolver on loopback: `handle` gets each query and sends what it likes. */
async function resolver(
  handle: (query: Uint8Array, send: (message: Uint8Array) => void, from: dgram.RemoteInfo) => void,
) {
  const socket = dgram.createSocket("udp4");
  socket.on("message", (query, from) => {
    handle(new Uint8Array(query), (message) => socket.send(message, from.port, from.address), from);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    address: `127.0.0.1:${socket.address().port}`,
    port: socket.address().port,
    close: () => socket.close(),
  };
}

/** A resolver, and a TCP listener on its port, which another program may have for TCP. */
async function withTcp<T extends { readonly port: number; close(): void }>(make: () => Promise<T>) {
  for (;;) {
    const up = await make();
    try {
      return [up, Deno.listen({ hostname: "127.0.0.1", port: up.port })] as const;
    } catch (error) {
      up.close();
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
}

/** A clock that stands still: a pause of this process does not use up the time that a query has. */
const still = () => 0;

async function withForwarder(
  resolvers: { address: string; close(): void }[],
  options: Partial<ForwarderOptions>,
  test: (
    lookup: (query: Query, room?: number) => Promise<ReturnType<typeof decode> | undefined>,
    counters: () => ReturnType<typeof DnsCounters.sum>,
  ) => Promise<void>,
) {
  const counters = new DnsCounters();
  const forwarder = new Forwarder({ resolvers: resolvers.map((r) => r.address), counters, ...options });
  try {
    await test(async (query, room = 1232) => {
      const answer = await forwarder.resolve(encodeQuery({ rd: true, ...query }), room);
      return answer && decode(answer);
    }, () => DnsCounters.sum([counters]));
  } finally {
    forwarder.close();
    for (const r of resolvers) r.close();
  }
}

Deno.test("an answer is the client's own: id, letters, flags, EDNS only when asked with it", async () => {
  const seen: ReturnType<typeof decode>[] = [];
  const up = await resolver((query, send) => {
    seen.push(decode(query));
    send(response(query, 0, [a(300)]));
  });
  await withForwarder([up], { patience: 60_000 }, async (lookup) => {
    const m = await lookup({ name: "Example.ORG", id: 99 });
    assert.deepEqual([m?.id, m?.aa, m?.ra, m?.rd, m?.rcode, m?.edns], [99, false, true, true, 0, undefined]);
    assert.deepEqual(m?.answer, [{ name: "Example.ORG", type: 1, class: 1, ttl: 300, data: "192.0.2.1" }]);
    const other = await lookup({ name: "example.org", id: 7, edns: { options: Uint8Array.of(0, 10, 0, 0) } });
    assert.deepEqual([other?.id, other?.question?.name, other?.edns?.size], [7, "example.org", 1232]);
    assert.equal(seen.length, 1);
    assert.deepEqual([seen[0]?.rd, seen[0]?.edns?.size, seen[0]?.edns?.dnssecOk], [true, 1232, false]);
    assert.equal((await lookup({ name: "example.org", edns: { dnssecOk: true } }))?.edns?.dnssecOk, true);
    assert.equal(seen[1]?.edns?.dnssecOk, true);
  });
});

Deno.test("TTLs count down, run out, and negative answers last as long as their SOA says", async () => {
  let now = 0, queries = 0;
  const up = await resolver((query, send) => {
    queries++;
    const name = decode(query).question?.name;
    if (name === "yes.test") send(response(query, 0, [a(60), a(90, 2)]));
    else if (name === "no.test") send(response(query, 3, [], [soa(3600, 30)]));
    else send(response(query, 3, []));
  });
  await withForwarder([up], { patience: 60_000, now: () => now }, async (lookup, counters) => {
    await lookup({ name: "yes.test" });
    now = 59_999;
    assert.deepEqual((await lookup({ name: "YES.test" }))?.answer.map((r) => r.ttl), [1, 31]);
    assert.equal(queries, 1);
    now = 60_000;
    assert.deepEqual((await lookup({ name: "yes.test" }))?.answer.map((r) => r.ttl), [60, 90]);
    assert.equal(queries, 2);
    assert.equal((await lookup({ name: "no.test" }))?.rcode, 3);
    now += 29_000;
    assert.deepEqual((await lookup({ name: "no.test" }))?.authority.map((r) => r.ttl), [3571]);
    assert.equal(queries, 3);
    now += 1000;
    await lookup({ name: "no.test" });
    assert.equal(queries, 4);
    await lookup({ name: "no-soa.test" });
    await lookup({ name: "no-soa.test" });
    assert.equal(queries, 6);
    assert.equal(counters().cacheHits, 2);
  });
});

Deno.test("a resolver that is silent, away, refuses or fails is followed by the next one", async () => {
  const silent = await resolver(() => {});
  const away = await resolver(() => {});
  away.close();
  const refuses = await resolver((query, send) => send(response(query, 5, [])));
  const good = await resolver((query, send) => send(response(query, 0, [a(60)])));
  const resolvers = [silent, { ...away, close: () => {} }, refuses, good];
  await withForwarder(resolvers, { now: still }, async (lookup, counters) => {
    assert.equal((await lookup({ name: "one.test" }))?.answer.length, 1);
    assert.equal(counters().upstreamFailures, 3);
  });
});

/**
 * Two resolvers: for `dead` names the first one has only what cannot be read, which is no answer but takes no time;
 * the second one knows all names otherwise.
 */
async function internalAndPublic(dead: (name: string) => boolean) {
  const queries: string[] = [];
  const internal = await resolver((query, send) => {
    const name = decode(query).question?.name ?? "";
    queries.push(name);
    send(dead(name) ? response(query, 0, [a(60)]).slice(0, -20) : response(query, 0, [a(60, 10)]));
  });
  const open = await resolver((query, send) => send(response(query, 0, [a(60, 99)])));
  return { resolvers: [internal, open], queries };
}

Deno.test("a name that the first resolver never answers leaves it the first for all others", async () => {
  const { resolvers } = await internalAndPublic((name) => name === "dead.test" || name === "worse.test");
  await withForwarder(resolvers, { patience: 60_000 }, async (lookup) => {
    const last = async (name: string, type = 1) =>
      (await lookup({ name, type }))?.answer[0]?.data.split(".")[3];
    // Two names do not count as several, in any types and letters and however often.
    for (const name of ["dead.test", "DEAD.test", "worse.test"]) {
      for (const type of [1, 28, 15]) await lookup({ name, type });
    }
    for (let i = 0; i < 3; i++) assert.equal(await last(`good${i}.test`), "10");
    // An answer in between: no names in a row.
    for (let i = 0; i < 3; i++) {
      await lookup({ name: "dead.test", type: 100 + i });
      await lookup({ name: "worse.test", type: 100 + i });
      assert.equal(await last(`between${i}.test`), "10");
    }
  });
});

Deno.test("a resolver is down after three names in a row, tried by one query at a time, and then first again", async () => {
  let dead = true, now = 0;
  const { resolvers, queries } = await internalAndPublic(() => dead);
  const told: string[] = [];
  const options = { patience: 60_000, now: () => now, onDown: (what: string) => void told.push(what) };
  await withForwarder(resolvers, options, async (lookup) => {
    const last = async (name: string) => (await lookup({ name }))?.answer[0]?.data.split(".")[3];
    for (let i = 0; i < 3; i++) assert.equal(await last(`n${i}.test`), "99");
    assert.match(
      told.join(),
      /^forward: 127\.0\.0\.1:\d+ left 3 names in a row unanswered and is asked last/,
    );
    queries.length = 0;
    for (let i = 0; i < 5; i++) assert.equal(await last(`down${i}.test`), "99");
    assert.deepEqual(queries, []);
    now += 2000;
    const names = Array.from({ length: 20 }, (_, i) => `probe${i}.test`);
    assert.deepEqual(new Set(await Promise.all(names.map(last))), new Set(["99"]));
    assert.deepEqual(new Set(queries), new Set(["probe0.test"]));
    dead = false;
    assert.equal(await last("soon.test"), "99");
    now += 2000;
    assert.equal(await last("back.test"), "10");
    assert.equal(await last("first.test"), "10");
  });
});

Deno.test("names that no resolver answers put none of them last", async () => {
  const deadZone = (last: number) =>
    resolver((query, send) => {
      const dead = decode(query).question?.name.startsWith("dead");
      send(dead ? response(query, 0, [a(60)]).slice(0, -20) : response(query, 0, [a(60, last)]));
    });
  const told: string[] = [];
  const options = { patience: 60_000, onDown: (what: string) => void told.push(what) };
  await withForwarder([await deadZone(10), await deadZone(99)], options, async (lookup) => {
    for (let i = 0; i < 4; i++) assert.equal(await lookup({ name: `dead${i}.test` }), undefined);
    assert.equal((await lookup({ name: "alive.test" }))?.answer[0]?.data, "192.0.2.10");
    assert.deepEqual(told, []);
  });
});

Deno.test("a resolver without EDNS is asked without OPT, and no more with it for a while", async () => {
  const bare = (query: Uint8Array, rcode: number) =>
    Uint8Array.of(...query.subarray(0, 2), 0x81, 0x80 | rcode, ...new Array<number>(8).fill(0));
  const withoutOpt = (message: Uint8Array) => {
    const copy = message.slice(0, -11);
    copy[11] = 0;
    return copy;
  };
  const refusals: Record<string, (query: Uint8Array) => Uint8Array | undefined> = {
    "FORMERR": (query) => withoutOpt(response(query, 1, [])),
    "FORMERR as a header alone": (query) => bare(query, 1),
    "FORMERR with what it could not read": (query) => Uint8Array.of(...bare(query, 1), ...query.subarray(12)),
    "FORMERR with the query's own OPT": (query) => response(query, 1, []),
    "NOTIMP": (query) => bare(query, 4),
    "SERVFAIL": (query) => withoutOpt(response(query, 2, [])),
    "BADVERS": (query) => {
      const message = response(query, 0, []);
      message[message.length - 6] = 1;
      return message;
    },
    "nothing": () => undefined,
  };
  for (const [what, refuse] of Object.entries(refusals)) {
    let now = 0;
    const seen: boolean[] = [];
    const up = await resolver((query, send) => {
      const { edns } = decode(query);
      seen.push(edns !== undefined);
      const answer = edns ? refuse(query) : withoutOpt(response(query, 0, [a(60)]));
      if (answer) send(answer);
    });
    await withForwarder(
      [up],
      { now: () => now, patience: 60_000, ...what === "nothing" && { impatience: 300 } },
      async (lookup) => {
        const first = await lookup({ name: "one.test", edns: { dnssecOk: true } });
        assert.deepEqual([first?.rcode, first?.answer.length, first?.edns?.size], [0, 1, 1232], what);
        assert.equal((await lookup({ name: "two.test" }))?.answer.length, 1, what);
        assert.deepEqual(seen, [true, false, false], what);
        now += 1e6;
        assert.equal((await lookup({ name: "three.test" }))?.answer.length, 1, what);
        assert.deepEqual(seen.slice(3), [true, false], what);
      },
    );
  }
});

Deno.test("a resolver that knows EDNS is asked with OPT after any failure, and a lost query changes nothing", async () => {
  const plain: string[] = [];
  let lose = 0;
  const up = await resolver((query, send) => {
    const { edns, question } = decode(query);
    if (!edns) plain.push(question?.name ?? "");
    if (lose-- > 0) return;
    send(response(query, question?.name === "fails.test" ? 2 : 0, [a(60)]));
  });
  await withForwarder([up], { now: still }, async (lookup) => {
    assert.equal((await lookup({ name: "fails.test" }))?.rcode, 2);
    assert.equal((await lookup({ name: "one.test" }))?.rcode, 0);
    lose = 1;
    assert.equal((await lookup({ name: "two.test" }))?.rcode, 0);
    assert.deepEqual(plain, []);
  });
});

Deno.test("an error that concerns the question is the client's, with OPT and without", async () => {
  const up = await resolver((query, send) => send(response(query, 4, []).slice(0, 12).fill(0, 4)));
  let now = 0;
  await withForwarder([up], { now: () => now }, async (lookup, counters) => {
    for (let i = 1; i < 3; i++) {
      const m = await lookup({ name: "one.test" });
      assert.deepEqual([m?.rcode, m?.question?.name, m?.answer], [4, "one.test", []]);
      assert.equal(counters().upstreamQueries, 2 * i);
      now += 1;
    }
  });
});

Deno.test("without an answer the result is undefined within the patience", async () => {
  const silent = await resolver(() => {});
  await withForwarder([silent], { patience: 1000, now: still }, async (lookup, counters) => {
    const begun = performance.now();
    const both = await Promise.all([lookup({ name: "one.test" }), lookup({ name: "one.test" })]);
    assert.deepEqual(both, [undefined, undefined]);
    // What it has by default is 4 s.
    assert(performance.now() - begun < 4000);
    // Twice, with OPT and without.
    assert.equal(counters().upstreamQueries, 4);
  });
});

Deno.test("answers with another id, question or source are passed over, and ids and ports vary", async () => {
  const ids = new Set<number>(), ports = new Set<number>();
  const stranger = dgram.createSocket("udp4");
  const up = await resolver((query, send, from) => {
    ids.add(decode(query).id);
    ports.add(from.port);
    const forged = response(query, 0, [a(60, 66)]);
    stranger.send(forged, from.port, from.address);
    const id = forged.slice();
    id[1]! ^= 1;
    send(id);
    send(response(encodeQuery({ name: "other.test", id: decode(query).id }), 0, [a(60, 66)]));
    send(query);
    send(query.subarray(0, 5));
    stranger.send("x", from.port, from.address, () => send(response(query, 0, [a(60, 1)])));
  });
  await withForwarder([up], {}, async (lookup) => {
    for (let i = 0; i < 10; i++) {
      assert.deepEqual((await lookup({ name: `n${i}.test` }))?.answer.map((r) => r.data), ["192.0.2.1"]);
    }
    assert(ids.size > 8 && ports.size > 5, `${ids.size} ids, ${ports.size} ports`);
  });
  stranger.close();
});

Deno.test("a cut answer is fetched by TCP, and cut again for a client that cannot take it", async () => {
  const many = Array.from({ length: 100 }, (_, i) => a(60, i));
  const [up, listener] = await withTcp(() =>
    resolver((query, send) => send(response(query, 0, [], [], true)))
  );
  const serving = (async () => {
    for await (const conn of listener) {
      const bytes = new Uint8Array(600);
      const count = await conn.read(bytes) ?? 0;
      const message = response(bytes.slice(2, count), 0, many);
      await conn.write(Uint8Array.of(message.length >> 8, message.length & 255));
      await conn.write(message);
      conn.close();
    }
  })();
  await withForwarder([up], {}, async (lookup) => {
    const cut = await lookup({ name: "big.test", edns: {} });
    assert.deepEqual([cut?.tc, cut?.answer.length, cut?.edns?.size], [true, 0, 1232]);
    assert.equal((await lookup({ name: "big.test" }, 65535))?.answer.length, 100);
  });
  listener.close();
  await serving;
});

Deno.test("the cache stays within its bound", async () => {
  const up = await resolver((query, send) => send(response(query, 0, [a(60)])));
  await withForwarder([up], { cacheBytes: 5000 }, async (lookup, counters) => {
    for (let i = 0; i < 50; i++) await lookup({ name: `n${i}.test` });
    await lookup({ name: "n49.test" });
    assert.equal(counters().cacheHits, 1);
    await lookup({ name: "n0.test" });
    assert.equal(counters().cacheHits, 1);
  });
  assert(COUNTER.cacheHits > 0);
});
