import assert from "node:assert/strict";
import { type Report, serveStatus } from "./http_status.ts";
import { createMetrics } from "./metrics.ts";

const loopback = { host: "127.0.0.1", port: 0 };

Deno.test("serveStatus() answers what lives, what is ready and what was counted", async () => {
  let report: Report = {
    service: "dnsd",
    version: "1",
    ready: false,
    problems: [{ what: "etcd is away", fix: "start it", blocks: true }],
  };
  const server = await serveStatus(loopback, () => report, createMetrics("dnsd", "1"));
  const url = `http://127.0.0.1:${server.at.port}`;
  try {
    const get = async (path: string) => {
      const response = await fetch(url + path);
      return { status: response.status, body: await response.text() };
    };
    assert.deepEqual(await get("/healthz"), { status: 200, body: "ok\n" });
    const waiting = await get("/readyz?verbose");
    assert.equal(waiting.status, 503);
    assert.deepEqual(JSON.parse(waiting.body), report);
    report = { ...report, ready: true, problems: [] };
    assert.equal((await get("/readyz")).status, 200);
    const { body } = await get("/metrics");
    assert.match(body, /^strand_info\{service="dnsd",version="1"\} 1$/m);
    assert.match(body, /^process_resident_memory_bytes \d+$/m);
    assert.match(body, /^process_cpu_seconds_total \d/m);
    assert.equal((await get("/elsewhere")).status, 404);
  } finally {
    await server.close();
  }
});

Deno.test("serveStatus() refuses an address in use and names it", async () => {
  const server = await serveStatus(
    loopback,
    () => ({ service: "a", version: "1", ready: true, problems: [] }),
    createMetrics("a", "1"),
  );
  try {
    await assert.rejects(
      serveStatus(
        server.at,
        () => ({ service: "b", version: "1", ready: true, problems: [] }),
        createMetrics("b", "1"),
      ),
      /--metrics-listen 127\.0\.0\.1:\d+: .*(in use|EADDRINUSE)/i,
    );
  } finally {
    await server.close();
  }
});
