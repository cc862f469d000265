import assert from "node:assert/strict";
import type { Report } from "./http_status.ts";
import { createLog } from "./log.ts";
import { ServiceManager, takeNotifySocket } from "./service_manager.ts";

/** An environment of its own. */
function environment(variables: Record<string, string>) {
  const map = new Map(Object.entries(variables));
  return { map, get: (name: string) => map.get(name), delete: (name: string) => void map.delete(name) };
}

const away = { what: "etcd cannot be followed", fix: "start etcd", blocks: true };

/** A manager whose messages are kept; `set` changes what the service reports. */
function managed(
  variables: Record<string, string>,
  { send, isAlive }: { send?: (text: string) => void; isAlive?: () => boolean } = {},
) {
  const sent: string[] = [], logged: string[] = [];
  let report: Report = { service: "dnsd", version: "1", ready: false, problems: [away] };
  let now = 0, wake = () => {};
  const env = environment(variables);
  const manager = new ServiceManager({
    env,
    now: () => now,
    report: () => report,
    ...isAlive && { isAlive },
    log: createLog("dnsd", { level: "info", format: "text" }, { write: (line) => logged.push(line) }),
    send(_, text) {
      wake();
      send?.(text);
      sent.push(text);
    },
  });
  return {
    manager,
    sent,
    logged,
    left: env.map,
    set: (more: Partial<Report>) => report = { ...report, ...more },
    after: (ms: number) => now = ms,
    /** Resolves once something was sent, or tried. */
    next: () => new Promise<void>((resolve) => wake = resolve),
  };
}

const SOCKET = { NOTIFY_SOCKET: "/run/notify" };
// It gives a sign of life each millisecond then, and has its look as often.
const QUICK = { ...SOCKET, WATCHDOG_USEC: "3000" };

Deno.test("ServiceManager sends nothing without NOTIFY_SOCKET", () => {
  const { manager, sent } = managed({ WATCHDOG_USEC: "3000", NOTIFY_SOCKET: "" });
  manager.started();
  manager.stopping();
  assert.deepEqual(sent, []);
});

Deno.test("ServiceManager says READY=1 once, when the service is ready, and what keeps it from that before", () => {
  const { manager, sent, set } = managed(SOCKET);
  manager.started();
  set({ ready: true, problems: [{ what: "a certificate\nexpires", fix: "renew it", blocks: false }] });
  manager.started();
  set({ problems: [] });
  manager.started();
  manager.started();
  manager.stopping();
  assert.deepEqual(sent, [
    "STATUS=not ready; etcd cannot be followed: start etcd",
    "READY=1\nSTATUS=ready; a certificate\\x0aexpires: renew it",
    "STATUS=ready",
    "STOPPING=1\nSTATUS=stopping",
  ]);
});

Deno.test("ServiceManager says READY=1 after 30 s of waiting, and goes on saying what it waits for", async () => {
  const { manager, sent, after, next } = managed(QUICK);
  after(29_999);
  await next();
  after(30_000);
  await next();
  await next();
  manager.stopping();
  assert.deepEqual(sent.filter((text) => text.includes("READY=1")), ["READY=1\nWATCHDOG=1"]);
  assert.equal(sent[0], "STATUS=not ready; etcd cannot be followed: start etcd\nWATCHDOG=1");
});

Deno.test("ServiceManager gives signs of life until it stops, and only for the process that they are asked of", async () => {
  const { manager, sent, next, set } = managed({ ...QUICK, WATCHDOG_PID: `${Deno.pid}` });
  set({ ready: true, problems: [] });
  await next();
  await next();
  await next();
  manager.stopping();
  assert.equal(sent.at(-2), "WATCHDOG=1");
  assert.deepEqual(takeNotifySocket(environment({ ...QUICK, WATCHDOG_PID: `${Deno.pid}` })), {
    socket: "/run/notify",
    watchdog: 3,
  });
  assert.deepEqual(takeNotifySocket(environment({ ...QUICK, WATCHDOG_PID: "1" })), {
    socket: "/run/notify",
  });
});

Deno.test("ServiceManager gives no sign of life while a thread of the process gives none", async () => {
  let lives = true;
  const { manager, sent, next, set } = managed(QUICK, { isAlive: () => lives });
  set({ ready: true, problems: [] });
  await next();
  lives = false;
  set({ problems: [away] });
  await next();
  lives = true;
  await next();
  manager.stopping();
  assert.deepEqual(sent.slice(-3, -1).map((text) => text.includes("WATCHDOG=1")), [false, true]);
});

Deno.test("ServiceManager says again what could not be sent, and logs that once", async () => {
  let full = true;
  const { manager, sent, logged, set, next } = managed(QUICK, {
    send() {
      if (full) throw new Error("send to /run/notify: would block");
    },
  });
  set({ ready: true, problems: [] });
  await next();
  await next();
  assert.deepEqual(sent, []);
  full = false;
  await next();
  manager.stopping();
  assert.equal(sent[0], "READY=1\nSTATUS=ready\nWATCHDOG=1");
  assert.equal(logged.length, 1);
  assert.match(
    logged[0] ?? "",
    /WARN .*NOTIFY_SOCKET: systemd cannot be notified: send to \/run\/notify: would block/,
  );
});

Deno.test("ServiceManager takes its variables out of the environment", () => {
  const { manager, left } = managed({ ...QUICK, WATCHDOG_PID: "1", PATH: "/usr/bin" });
  manager.stopping();
  assert.deepEqual([...left], [["PATH", "/usr/bin"]]);
});
