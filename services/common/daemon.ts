/** Runs a long-running process: configuration, log, metrics, status server, and an orderly shutdown. */
import { parseArgs } from "node:util";
import type { Registry } from "prom-client";
import { deadline, unobserved, untilAborted } from "./async.ts";
import type { Certificate } from "./certificate.ts";
import { Certificates } from "./certificates.ts";
import { type Config, loadConfig } from "./config.ts";
import { formatHostPort, type HostPort, isLoopback, parseHostPort } from "./host_port.ts";
import { type Followed, Health, type Writer } from "./health.ts";
import type { Abort } from "./http/byte_stream.ts";
import { type Note, type Problem, type Report, serveStatus } from "./http_status.ts";
import { createLog, type Log } from "./log.ts";
import { createMetrics } from "./metrics.ts";
import { messageOf } from "./refusal.ts";
import type { Reporter } from "./rollbar.ts";
import { ServiceManager } from "./service_manager.ts";
import { onStopSignals, STOP_WITHIN } from "./signals.ts";
import { usageError } from "./usage.ts";
import { version } from "./version.ts";

export interface FollowOptions {
  /** The committer of the followed store. */
  readonly writer?: Writer;
  /** True for a key without which nothing is written: the process is not ready while it cannot be read. */
  readonly isNeeded?: (key: string) => boolean;
}

export interface Daemon {
  readonly config: Config;
  readonly log: Log;
  readonly metrics: Registry;
  /** Aborted when the process is asked to stop. */
  readonly stopping: AbortSignal;
  /** Runs `close` when the process stops; what was deferred last is closed first. */
  defer(what: string, close: () => unknown): void;
  /** Adds a check to /readyz; it returns a problem, or undefined. */
  check(run: () => Problem | undefined): void;
  /** Adds information that is no problem to /readyz and `strand status`. */
  note(note: () => readonly Note[]): void;
  /** The report of /readyz. */
  report(): Report;
  /** Sets what POST /NAME at the status server does: it answers with a sentence, or throws Refusal. */
  action(name: string, run: () => string | Promise<string>): void;
  /** Reports certificates that have expired or soon will, in the log now, and at /readyz and in /metrics. */
  certificates(certificates: readonly Certificate[]): void;
  /**
   * Makes readiness, revision and lag those of this mirror; writes that etcd refuses to the writer are reported too.
   */
  follow(mirror: Followed, options?: FollowOptions): void;
  /** Warns, once, when `address` can be reached from elsewhere without TLS; `setting` is the key to change. */
  warnIfOpen(address: HostPort, setting: string): void;
  /** systemd's watchdog gets no sign of life while one of these is false: for threads beside the main one. */
  keepAlive(isAlive: () => boolean): void;
  /** Stops the process with exit status 1 because of this error. */
  fail(error: unknown): void;
}

export type DaemonName = "nexd" | "dhcpd" | "dnsd" | "agent" | "gatewayd" | "dashboard";

export interface DaemonOptions {
  readonly name: DaemonName;
  /** The arguments after the command's name. */
  readonly args: readonly string[];
  /** Ends a connection of the status server on which a write is pending. */
  readonly abort: Abort;
  /** Sends a datagram to the service manager's socket. */
  readonly notify: (socket: string, text: string) => void;
}

/**
 * Runs a process to its end: reads the configuration, serves its status, runs `start`, waits for SIGTERM or
 * SIGINT, then closes what `start` deferred.
 *
 * @param start Opens everything; the process is ready when it resolves and every check is content.
 * @returns The exit status: 0.
 * @throws UsageError for a bad command line, and what `start` or {@link Daemon.fail} threw.
 */
export async function runDaemon(
  options: DaemonOptions,
  start: (daemon: Daemon) => Promise<void>,
): Promise<number> {
  const { name } = options;
  const { file, listen } = readArgs(options);
  const config = loadConfig({
    file,
    agent: name === "agent",
    networks: name === "nexd" || name === "dashboard",
    apart: name === "gatewayd",
  });
  const reporter = name === "agent" ? await openReporter(config, () => log) : undefined;
  const log = createLog(name, config.log, { onFailure: reporter?.report });
  const metrics = createMetrics(name, version);
  const stop = onStopSignals();
  const failure = unobserved<never>(); // Until `start` is under way.
  const deferred: { what: string; close: () => unknown }[] = [];
  const health = new Health(name, metrics);
  const actions = new Map<string, () => string | Promise<string>>();
  const certificates = new Certificates(metrics);
  const threads: (() => boolean)[] = [];
  const manager = new ServiceManager({
    send: options.notify,
    report: () => health.report(),
    // Each is asked, also where another one hangs.
    isAlive: () => threads.map((isAlive) => isAlive()).every(Boolean),
    log,
  });
  const daemon: Daemon = {
    config,
    log,
    metrics,
    stopping: stop.signal,
    defer: (what, close) => void deferred.push({ what, close }),
    check: (look) => health.check(look),
    note: (look) => health.note(look),
    report: () => health.report(),
    action: (name, run) => void actions.set(`/${name}`, run),
    certificates: (more) => certificates.add(more).forEach((trouble) => log.warn(trouble)),
    follow: (mirror, { writer, isNeeded = () => false } = {}) => {
      health.follow(mirror, config, isNeeded);
      if (writer) health.writes(writer);
    },
    warnIfOpen(address, setting) {
      if (isLoopback(address.host)) return;
      log.warn(`${formatHostPort(address)} can be reached from elsewhere without TLS: set ${setting}`);
    },
    keepAlive: (isAlive) => void threads.push(isAlive),
    fail: (error) => failure.reject(error),
  };
  try {
    if (reporter) {
      daemon.defer("Rollbar", () => reporter.flush());
      daemon.defer("uncaught errors", endOnUncaught(daemon));
    }
    if (config.etcd.tls?.unverified) log.warn("GO_ENV=development: etcd's certificate is not verified");
    daemon.check(() => certificates.problem());
    daemon.certificates(config.etcd.tls?.certificates ?? []);
    const at = listen ?? config[name].metricsListen;
    const status = serveStatus(at, { report: daemon.report, metrics, log, abort: options.abort, actions });
    daemon.defer("status server", () => status.close());
    daemon.check(() => status.problem());
    // There is no deadline: a failure and a signal each happen once, and end the process.
    await untilAborted(Promise.race([start(daemon), failure.promise]), stop.signal);
    if (!stop.signal.aborted) {
      health.started = true;
      manager.started();
      log.info({ metrics: formatHostPort(status.at), version }, "started");
      await untilAborted(failure.promise, stop.signal);
    }
    log.info("stopping");
    return 0;
  } catch (error) {
    reporter?.report({ message: `${name} ends: ${messageOf(error)}`, error, fields: {}, fatal: true });
    throw error;
  } finally {
    manager.stopping();
    await closeAll(deferred, log);
    stop.release();
  }
}

/** Opens the reporter to Rollbar where it is configured; its code is not loaded otherwise. */
async function openReporter({ agent }: Config, log: () => Log): Promise<Reporter | undefined> {
  if (!agent.rollbar) return undefined;
  const { openReporter } = await import("./rollbar.ts");
  return openReporter(
    agent.rollbar,
    agent.hostname,
    (why) => log().warn(`an error could not be reported to Rollbar: ${why}`),
  );
}

/** Makes an uncaught error end the process in order, so that it is reported; returns a function that undoes this. */
function endOnUncaught(daemon: Daemon): () => void {
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    daemon.fail(event.error);
  };
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    daemon.fail(event.reason);
  };
  addEventListener("error", onError);
  addEventListener("unhandledrejection", onRejection);
  return () => {
    removeEventListener("error", onError);
    removeEventListener("unhandledrejection", onRejection);
  };
}

/** Closes everything, last opened first; one that fails or hangs does not keep others from being closed. */
async function closeAll(deferred: { what: string; close: () => unknown }[], log: Log): Promise<void> {
  const overdue = performance.now() + STOP_WITHIN;
  for (const { what, close } of deferred.reverse()) {
    try {
      await deadline(Promise.resolve(close()), Math.max(0, overdue - performance.now()));
    } catch (error) {
      log.warn(`closing ${what}: ${messageOf(error)}`);
    }
  }
}

function readArgs({ name, args }: DaemonOptions): { file: string | undefined; listen: HostPort | undefined } {
  // Nex's and SAND's daemons took Go's single dash.
  const doubled = args.map((arg) => /^-(config|metrics-listen)(=|$)/.test(arg) ? `-${arg}` : arg);
  let values;
  try {
    ({ values } = parseArgs({
      args: doubled,
      options: { config: { type: "string" }, "metrics-listen": { type: "string" } },
    }));
  } catch (error) {
    throw usageError(error, ["config", "metrics-listen"]);
  }
  const listen = values["metrics-listen"];
  const port = { nexd: 9640, dhcpd: 9641, dnsd: 9642, agent: 9643, gatewayd: 9644, dashboard: 9645 }[name];
  return {
    file: values.config,
    listen: listen === undefined ? undefined : parseHostPort(listen, "--metrics-listen", port),
  };
}
