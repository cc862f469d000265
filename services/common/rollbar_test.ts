import assert from "node:assert/strict";
import { createLog } from "./log.ts";
import { openReporter } from "./rollbar.ts";

/** Stands for Rollbar's API on loopback; answers with `status`. */
function api(status: number) {
  const items: { token: string | null; body: Item }[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    items.push({ token: request.headers.get("x-rollbar-access-token"), body: await request.json() });
    return Response.json({ err: status === 200 ? 0 : 1, message: "refused", result: {} }, { status });
  });
  return {
    items,
    endpoint: `http://127.0.0.1:${server.addr.port}/api/1/`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

interface Item {
  data: {
    environment: string;
    level: string;
    server: { host: string };
    custom?: unknown;
    body: { trace_chain?: { exception: { message: string } }[]; message?: { body: string } };
  };
}

Deno.test("openReporter() sends what is logged as an error, with its cause and fields", async () => {
  await using rollbar = api(200);
  const lost: string[] = [];
  const settings = { token: "t0ken", environment: "staging", endpoint: rollbar.endpoint };
  const reporter = openReporter(settings, "host1", (reason) => lost.push(reason));
  const log = createLog("agent", { level: "info", format: "text" }, {
    write: () => {},
    onFailure: reporter.report,
  });
  log.warn("not an error");
  log.error({ err: new Error("no such device"), network: "n1" }, "a network could not be set up");
  log.fatal("it is over");
  await reporter.flush();
  assert.deepEqual(lost, []);
  assert.equal(rollbar.items.length, 2);
  for (const { token, body: { data } } of rollbar.items) {
    assert.deepEqual([token, data.environment, data.server.host], ["t0ken", "staging", "host1"]);
  }
  const error = rollbar.items.find(({ body }) => body.data.level === "error")?.body.data;
  assert.equal(error?.body.trace_chain?.[0]?.exception.message, "no such device");
  assert.deepEqual(error?.custom, { network: "n1" });
  const fatal = rollbar.items.find(({ body }) => body.data.level === "critical")?.body.data;
  assert.equal(fatal?.body.message?.body, "it is over");
});

Deno.test("openReporter() says when Rollbar refuses a report, or is not there", async () => {
  await using rollbar = api(403);
  for (const endpoint of [rollbar.endpoint, "http://127.0.0.1:9/api/1/"]) {
    const lost: string[] = [];
    const settings = { token: "wrong", environment: "staging", endpoint };
    const reporter = openReporter(settings, "host1", (reason) => lost.push(reason));
    reporter.report({ message: "it failed", error: "a text", fields: {}, fatal: false });
    await reporter.flush();
    assert.equal(lost.length, 1, endpoint);
  }
});
