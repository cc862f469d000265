/** Clients that flood the agent's API with connections, pipelined requests and unfinished bodies. */
import assert from "node:assert/strict";
import { abortConnection } from "../../ffi/abort.ts";
import type { DockerApi } from "../../services/agent/docker/api.ts";
import { serveDocker } from "../../services/agent/docker/server.ts";
import { fakeApi, keptLog, network, testServer } from "../../services/agent/http/testing.ts";
import { serveStatus } from "../../services/common/http_status.ts";
import { createMetrics } from "../../services/common/metrics.ts";
import { certificates } from "../lab/certificates.ts";
import { run } from "../lab/host.ts";
import { until } from "../lab/until.ts";
import { dial, encode, materialOf, readOnce, writeAll } from "./http_lab.ts";

const MB = 1 << 20;

/** Sends pipelined requests and reads nothing until no more are taken; returns how many bytes were, and the memory. */
async function flood(connection: Deno.TcpConn, request: string): Promise<{ sent: number; grown: number }> {
  const block = encode(request.repeat(Math.ceil(65_536 / request.length)));
  let sent = 0, grown = 0;
  const before = Deno.memoryUsage().rss;
  const sending = (async () => {
    while (sent < 64 * MB) {
      await writeAll(connection, block);
      sent += block.length;
    }
  })().catch(() => {});
  let last = -1;
  await until("nothing more is taken", async () => {
    const stalled = sent === last;
    last = sent;
    grown = Math.max(grown, Deno.memoryUsage().rss - before);
    await new Promise((resolve) => setTimeout(resolve, 500));
    return stalled;
  });
  abortConnection(connection);
  connection.close();
  // TLS of Deno's client side goes on waiting, for a connection that is gone.
  await Promise.race([sending, new Promise((resolve) => setTimeout(resolve, 100))]);
  return { sent, grown };
}

Deno.test("pipelined requests whose answers are not read hold their client back, freeze nothing and cost no memory", async (t) => {
  await using certs = await certificates();
  const tls = await materialOf(certs, "server"), clientTls = await materialOf(certs, "client");
  const networks = Array.from({ length: 100 }, () => network);
  await using plain = await testServer(fakeApi({ networks: () => Promise.resolve(networks) }));
  await using secure = await testServer(fakeApi({ networks: () => Promise.resolve(networks) }), { tls });
  const { log } = keptLog(), listen = { host: "127.0.0.1", port: 0 };
  const addresses = { listen: [listen], otherwise: undefined, also: [], told: listen };
  const docker = serveDocker({} as DockerApi, { addresses, tls: undefined, log });
  const report = () => ({ service: "a", version: "1", ready: true, problems: [] });
  const metrics = createMetrics("agent", "1");
  const status = serveStatus(listen, { report, metrics, log, abort: abortConnection });
  try {
    const ways = [
      ["the API over HTTP", "/networks", { port: plain.at.port, tls: undefined }],
      ["the API over HTTPS", "/networks", { port: secure.at.port, tls: clientTls }],
      ["the Docker plugin", "/Plugin.Activate", { port: docker.at.port, tls: undefined }],
      ["the status server", "/metrics", { port: status.at.port, tls: undefined }],
    ] as const;
    for (const [name, path, way] of ways) {
      await t.step(name, async () => {
        // How long this process, and with it etcd's connection, went without a turn.
        let lag = 0, at = performance.now();
        const timer = setInterval(() => {
          lag = Math.max(lag, performance.now() - at);
          at = performance.now();
        }, 20);
        const { sent, grown } = await flood(await dial(way), `GET ${path} HTTP/1.1\r\n\r\n`);
        clearInterval(timer);
        console.log(
          `        ${(sent / MB).toFixed(1)} MB taken, ${(grown / MB).toFixed(0)} MB more memory, ` +
            `at most ${lag.toFixed(0)} ms without a turn`,
        );
        assert(sent < 64 * MB, "it is never held back");
        assert(grown < 80 * MB, `memory grew by ${grown / MB} MB`);
        assert(lag < 5000, `nothing else had a turn for ${lag} ms`);
        const other = await dial(way);
        await writeAll(other, encode(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`));
        assert.match(await readOnce(other), /^HTTP\/1\.1 200/);
        other.close();
      });
    }
  } finally {
    await Promise.all([docker.close(), status.close()]);
  }
});

Deno.test("bodies that many clients never finish cost no memory, and take no other's request away", async () => {
  await using server = await testServer(fakeApi(), { limits: { request: 120_000 } });
  const way = { port: server.at.port, tls: undefined }, before = Deno.memoryUsage();
  const head = encode(`POST /networks HTTP/1.1\r\nHost: a\r\nContent-Length: ${MB}\r\n\r\n`);
  const piece = encode("a".repeat(65_535));
  const attackers = await Promise.all(Array.from({ length: 400 }, () => dial(way)));
  // Those that are refused are reset at some time.
  await Promise.allSettled(attackers.map(async (connection) => {
    await writeAll(connection, head);
    for (let i = 0; i < 16; i++) await writeAll(connection, piece);
  }));
  const other = await dial(way), body = JSON.stringify({ name: "blue" });
  const request = `POST /networks HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  await writeAll(other, encode(request));
  assert.match(await readOnce(other), /^HTTP\/1\.1 201/);
  other.close();
  // What the clients themselves have written is in buffers too, until V8 has collected them.
  const grown = () => (Deno.memoryUsage().external - before.external) / MB;
  await until("buffers are no more than a part of what was sent, in MB", (see) => see(grown()) < 350);
  console.log(`        ${grown().toFixed(0)} MB more in buffers`);
  for (const connection of attackers) {
    abortConnection(connection);
    connection.close();
  }
});

Deno.test("a lack of file descriptors is said in readyz and ends no listener; a flood of connections takes none away", async () => {
  const directory = await Deno.makeTempDir(), socket = `${directory}/agent.sock`;
  const script = new URL("http_pressure_process.ts", import.meta.url).pathname;
  const args = [
    "--nofile=400:400",
    Deno.execPath(),
    "run",
    "-A",
    "--no-check",
    "--cached-only",
    script,
    socket,
  ];
  const process = new Deno.Command("prlimit", { args, stdout: "piped", stderr: "null" }).spawn();
  const open: Deno.Conn[] = [];
  try {
    const reader = process.stdout.getReader();
    const { value } = await reader.read();
    const { pid, ports, status } = JSON.parse(new TextDecoder().decode(value));
    const limit = (files: number) => run(["prlimit", `--pid=${pid}`, `--nofile=${files}:400`]);
    const connectors = [
      ...ports.map((port: number) => () => Deno.connect({ port })),
      () => Deno.connect({ transport: "unix", path: socket }),
    ] as (() => Promise<Deno.TcpConn>)[];
    const get = async (connection: Deno.TcpConn, path: string) => {
      await writeAll(connection, encode(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`));
      return await readOnce(connection);
    };
    // A server without descriptors closes what has been idle for longest, also where another program connects by chance.
    for (let i = 0; i < 4; i++) open.push(await Deno.connect({ port: status }));
    const kept = await Deno.connect({ port: status });
    open.push(kept);
    assert.match(await get(kept, "/readyz"), /^HTTP\/1\.1 200/);

    for (const connect of connectors) {
      for (let i = 0; i < 500; i++) open.push(await connect());
      const last = await connect();
      open.push(last);
      assert.match(await get(last, "/Plugin.Activate"), /^HTTP\/1\.1 [24]0/);
      assert.match(await get(kept, "/readyz"), /^HTTP\/1\.1 200/, "descriptors have run out");
    }

    await limit(10);
    const waiting = await Promise.all(connectors.map((connect) => connect()));
    open.push(...waiting);
    await until("readyz says it", async () => {
      const said = await get(kept, "/readyz");
      return /^HTTP\/1\.1 503/.test(said) &&
        /accepts no connections since \d+ s: Too many open files/.test(said);
    });
    await limit(400);
    for (const connection of waiting) {
      assert.match(await get(connection, "/Plugin.Activate"), /^HTTP\/1\.1 [24]0/);
    }
    assert.match(await get(kept, "/readyz"), /^HTTP\/1\.1 200/);
    await reader.cancel();
  } finally {
    for (const connection of open) connection.close();
    process.kill("SIGKILL");
    await process.status;
    await Deno.remove(directory, { recursive: true });
  }
});
