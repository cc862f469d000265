import assert from "node:assert/strict";
import { createLog, type LoggedFailure, OncePerMinute } from "./log.ts";

function logged(format: "text" | "json", use: (log: ReturnType<typeof createLog>) => void): string {
  let out = "";
  use(createLog("dnsd", { level: "info", format }, { write: (line) => out += line }));
  return out;
}

Deno.test("createLog() writes a readable line with its fields", () => {
  const line = logged("text", (log) => log.info({ network: "mini", free: 3 }, "leases go on"));
  assert.match(line, /^\d{4}-\d\d-\d\d [\d:.]{12} INFO {2}dnsd: leases go on \(network=mini free=3\)\n$/);
});

Deno.test("createLog() writes an error's message on the same line", () => {
  assert.match(
    logged("text", (log) => log.error(new Error("no route"), "etcd is away")),
    /ERROR dnsd: etcd is away: no route\n$/,
  );
  assert.match(logged("text", (log) => log.error(new Error("no route"))), /ERROR dnsd: no route\n$/);
});

Deno.test("createLog() shows control characters instead of sending them to the terminal", () => {
  assert.match(
    logged("text", (log) => log.info({ host: "\u001b[2Ja\nb" }, "x")),
    /host=\\x1b\[2Ja\\x0ab\)\n$/,
  );
});

Deno.test("createLog() writes JSON, and leaves out what is below the level", () => {
  const line = logged("json", (log) => {
    log.debug("not this");
    log.warn({ network: "mini" }, "pool exhausted");
  });
  const { service, network, msg, level } = JSON.parse(line);
  assert.deepEqual({ service, network, msg, level }, {
    service: "dnsd",
    network: "mini",
    msg: "pool exhausted",
    level: 40,
  });
});

Deno.test("createLog() tells of errors and of what is worse", () => {
  const failures: LoggedFailure[] = [];
  const options = { write: () => {}, onFailure: (failure: LoggedFailure) => failures.push(failure) };
  const log = createLog("agent", { level: "info", format: "text" }, options);
  const error = new Error("no route");
  log.warn("not this");
  log.error("alone");
  log.error(error);
  log.error({ err: error, network: "n" }, "a call failed");
  log.fatal({ network: "n" }, "over");
  assert.deepEqual(failures, [
    { message: "alone", error: undefined, fields: {}, fatal: false },
    { message: "no route", error, fields: {}, fatal: false },
    { message: "a call failed", error, fields: { network: "n" }, fatal: false },
    { message: "over", error: undefined, fields: { network: "n" }, fatal: true },
  ]);
});

Deno.test("OncePerMinute lets each key through once a minute", () => {
  let now = 0;
  const limit = new OncePerMinute(() => now);
  assert.deepEqual([limit.due("a"), limit.due("a"), limit.due("b")], [true, false, true]);
  now = 60_000;
  assert.equal(limit.due("a"), true);
});

Deno.test("createLog() begins each line with its priority for the journal", () => {
  for (const format of ["text", "json"] as const) {
    let out = "";
    const log = createLog("dnsd", { level: "trace", format }, {
      write: (line) => out += line,
      journal: true,
    });
    for (const level of ["trace", "debug", "info", "warn", "error", "fatal"] as const) log[level]("x");
    assert.deepEqual(out.match(/^<\d>/gm), ["<7>", "<7>", "<6>", "<4>", "<3>", "<2>"]);
  }
});
