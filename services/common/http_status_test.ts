import assert from "node:assert/strict";
import { type Report, serveStatus } from "./http_status.ts";
import { createLog } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import { Refusal } from "./refusal.ts";

const loopback = { host: "127.0.0.1", port: 0 };
const abort = () => {};
const log = createLog("dnsd", { level: "fatal", format: "text" });

Deno.test("serveStatus() answers what lives, what is ready and what was counted", async () => {
  let report: Report = {
    service: "dnsd",
    version: "1",
    ready: false,
    problems: [{ what: "etcd is away", fix: "start it", blocks: true }],
  };
  const server = serveStatus(loopback, {
    report: () => report,
    metrics: createMetrics("dnsd", "1"),
    abort,
    log,
  });
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
    const headers = { accept: "application/openmetrics-text" },
      scraped = await fetch(`${url}/metrics`, { headers });
    assert.equal(
      scraped.headers.get("content-type"),
      "text/plain; version=0.0.4; charset=utf-8",
      "there are no traces",
    );
    await scraped.body?.cancel();
    assert.equal((await get("/elsewhere")).status, 404);
  } finally {
    await server.close();
  }
});

Deno.test("serveStatus() does not build the text of the metrics for each of many requests at once", async () => {
  const metrics = createMetrics("dnsd", "1");
  const build = metrics.metrics.bind(metrics);
  let builds = 0;
  metrics.metrics = () => {
    builds++;
    return build();
  };
  const report = () => ({ service: "dnsd", version: "1", ready: true, problems: [] });
  const server = serveStatus(loopback, { report, metrics, abort, log });
  try {
    const started = performance.now();
    await Promise.all(Array.from({ length: 40 }, async () => {
      const response = await fetch(`http://127.0.0.1:${server.at.port}/metrics`);
      assert.match(await response.text(), /^strand_info/m);
    }));
    const atMost = 1 + (performance.now() - started) / 100;
    assert.ok(builds <= atMost, `${builds} builds where ${atMost} are due`);
  } finally {
    await server.close();
  }
});

Deno.test("serveStatus() refuses an address in use and names it", async () => {
  const report = () => ({ service: "a", version: "1", ready: true, problems: [] });
  const options = { report, metrics: createMetrics("a", "1"), abort, log };
  const server = serveStatus(loopback, options);
  try {
    assert.throws(
      () => serveStatus(server.at, options),
      /--metrics-listen: cannot listen on 127\.0\.0\.1:\d+: .*in use/i,
    );
  } finally {
    await server.close();
  }
});

Deno.test("serveStatus() does what it is told to, once, by POST, and only for this machine's commands", async () => {
  let done = 0;
  const actions = new Map([
    ["/release", () => Promise.resolve(`released ${++done}`)],
    ["/refuse", () => Promise.reject(new Refusal("invalid", "nothing is held"))],
    ["/break", () => Promise.reject(new Error("a fault"))],
  ]);
  const report = { service: "agent", version: "1", ready: true, problems: [] };
  const server = serveStatus(loopback, {
    report: () => report,
    metrics: createMetrics("agent", "1"),
    abort,
    log,
    actions,
  });
  try {
    const post = async (path: string, init: RequestInit = {}) => {
      const response = await fetch(`http://127.0.0.1:${server.at.port}${path}`, { method: "POST", ...init });
      return [response.status, await response.text()];
    };
    assert.deepEqual(await post("/release"), [200, "released 1\n"]);
    assert.deepEqual(await post("/release", { method: "GET" }), [405, "POST only\n"]);
    assert.equal((await post("/release", { headers: { origin: "http://evil.example" } }))[0], 403);
    assert.equal((await post("/release", { headers: { "sec-fetch-site": "cross-site" } }))[0], 403);
    assert.deepEqual(await post("/refuse"), [409, "nothing is held\n"]);
    assert.deepEqual(await post("/break"), [500, "a fault\n"]);
    assert.equal((await post("/elsewhere"))[0], 405);
    assert.equal(done, 1);
  } finally {
    await server.close();
  }
});
