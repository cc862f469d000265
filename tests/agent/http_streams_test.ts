/** Many CONNECT streams at once: their bytes, memory and descriptors, and slow readers. */
import assert from "node:assert/strict";
import { fakeApi, testServer } from "../../services/agent/http/testing.ts";
import { deadline } from "../../services/common/async.ts";
import { certificates } from "../lab/certificates.ts";
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
  stream,
  target,
  writeAll,
} from "./http_lab.ts";

const descriptors = () => [...Deno.readDirSync("/proc/self/fd")].length;
const MB = 1 << 20;

/** What is sent to a peer that does not read, in MB: twice what may be taken of it. */
const OFFERED = 60;
/** How long a busy machine may take to pass that on, in ms. */
const PATIENCE = 120_000;

Deno.test("2,000 streams at once, each with its own bytes", async () => {
  // So many at once take a busy machine longer than an agent waits for one client's request.
  await using server = await testServer(fakeApi(), { limits: { head: 120_000, dial: 120_000 } });
  await using echoing = target(echo);
  const way = { port: server.at.port, tls: undefined };
  const started = performance.now(), before = Deno.memoryUsage().rss;
  const clients = await Promise.all(Array.from({ length: 2000 }, () => stream(way, echoing.port)));
  const opened = performance.now() - started;
  assert.match(await server.metrics.metrics(), /^agent_connect_streams 2000$/m);
  const memory = Deno.memoryUsage().rss - before;
  await Promise.all(clients.map(async (client, i) => {
    await writeAll(client, encode(`stream ${i}`));
    assert.equal(await readOnce(client), `stream ${i}`);
  }));
  const spoke = performance.now() - started - opened;
  await Promise.all(clients.map(async (client, i) => {
    await writeAll(client, encode(`end of ${i}`));
    await client.closeWrite();
    assert.equal(await readAll(client), `end of ${i}`);
    client.close();
  }));
  console.log(
    `      2,000 streams opened in ${opened.toFixed(0)} ms, a message there and back on each in ${
      spoke.toFixed(0)
    } ms, ${(memory / 2000 / 1024).toFixed(0)} KB each with client and target`,
  );
});

Deno.test("who does not read holds the other side back, and no memory grows", async (t) => {
  await using certs = await certificates();
  await using lab = await fourWays(certs);
  const block = new Uint8Array(65_536), blocks = OFFERED * MB / block.length;
  for (const way of lab.ways) {
    for (const reader of ["client", "target"]) {
      await t.step(`${way.name}: the ${reader}`, async () => {
        let offered = 0, total = 0;
        const offer = async (connection: Deno.TcpConn) => {
          for (let i = 0; i < blocks; i++) {
            await writeAll(connection, block);
            offered += block.length;
          }
          await connection.closeWrite();
        };
        const go = Promise.withResolvers<void>(), counted = Promise.withResolvers<void>();
        const count = async (connection: Deno.TcpConn) => {
          await go.promise;
          const buffer = new Uint8Array(65_536);
          for (let n; (n = await connection.read(buffer)) !== null;) total += n;
        };
        const counts = (connection: Deno.TcpConn) => count(connection).then(counted.resolve, counted.reject);
        await using inside = target(reader === "client" ? offer : counts);
        // Where this fails, a target that waits would keep `inside` from its end, and the failure from being told.
        using _ = { [Symbol.dispose]: () => go.resolve() };
        const client = await stream(way, inside.port);
        const before = Deno.memoryUsage().rss;
        const working = reader === "client" ? counts(client) : offer(client);
        // Where something else fails first, that is what is told.
        for (const each of [working, counted.promise]) each.catch(() => {});
        let last = -1;
        await until("it is held back", async () => {
          const stalled = offered === last;
          last = offered;
          await new Promise((resolve) => setTimeout(resolve, 300));
          return stalled;
        });
        const grown = Deno.memoryUsage().rss - before;
        assert(offered < OFFERED / 2 * MB, `${offered / MB} MB were taken while the peer read nothing`);
        assert(grown < OFFERED / 2 * MB, `memory grew by ${grown / MB} MB`);
        go.resolve();
        const started = performance.now();
        await deadline(counted.promise, PATIENCE, () => {
          throw new Error(
            `of ${offered} bytes that were taken ${total} have come, and no more in ${PATIENCE} ms`,
          );
        });
        assert.equal(total, block.length * blocks);
        const seconds = (performance.now() - started) / 1000;
        console.log(
          `        ${(offered / MB).toFixed(0)} MB, held at ${(last / MB).toFixed(0)} MB and ${
            (grown / MB).toFixed(0)
          } MB of memory, then ${(OFFERED / seconds).toFixed(0)} MB/s`,
        );
        if (reader === "target") assert.equal(await readAll(client), "");
        else await client.closeWrite();
        await working;
        client.close();
      });
    }
  }
});

/** Four of each way, ending and target that there is. */
const STREAMS = 240;

Deno.test("hundreds of streams, however they end, leave no descriptor open", async () => {
  await using certs = await certificates();
  await using lab = await fourWays(certs);
  await using echoing = target(echo);
  const one = async (i: number) => {
    const way = lab.ways[i % 4]!;
    const client = await dial(way);
    await writeAll(client, encode(connectHead(i % 5 === 4 ? 1 : echoing.port) + (i % 2 ? "early" : "")));
    const kind = i % 3;
    if (kind > 0) assert.match(await readOnce(client), /^HTTP\/1\.1 (200|502)/);
    if (kind > 1) await client.closeWrite().then(() => readAll(client)).catch(() => {});
    client.close();
  };
  const idle = async () => {
    for (const { metrics } of lab.servers) {
      await until(
        "nothing open",
        async () =>
          /streams 0$/m.test(await metrics.metrics()) && /connections 0$/m.test(await metrics.metrics()),
      );
    }
  };
  for (let i = 0; i < 20; i++) await one(i);
  await idle();
  const before = descriptors();
  for (let i = 0; i < STREAMS; i += 10) await Promise.all(Array.from({ length: 10 }, (_, j) => one(i + j)));
  await idle();
  await until("no descriptor is left", (see) => see(descriptors()) <= before);
  for (const { lines } of lab.servers) {
    assert.deepEqual(lines.filter((line) => !/has left before TLS/.test(line)), []);
  }
});

Deno.test("a target that speaks at once never shares a read with the head", async () => {
  await using server = await testServer();
  await using banner = target((connection) => writeAll(connection, encode("220 ready")));
  const way = { port: server.at.port, tls: undefined };
  const heads: string[] = [];
  const one = async () => {
    const client = await dial(way);
    await writeAll(client, encode(connectHead(banner.port)));
    heads.push(await readOnce(client));
    await readAll(client);
    client.close();
  };
  for (let i = 0; i < 40; i++) await Promise.all(Array.from({ length: 5 }, one));
  assert.equal(heads.filter((head) => head === OK).length, heads.length);
});
