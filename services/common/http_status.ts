/** The status server of every process: /healthz, /readyz and /metrics over HTTP. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Registry } from "prom-client";
import { type HostPort, isLoopback } from "./host_port.ts";
import { connectionLimit, listenOn } from "./http/acceptor.ts";
import { send } from "./http/answers.ts";
import type { Abort } from "./http/byte_stream.ts";
import { HttpServer } from "./http/server.ts";
import type { Log } from "./log.ts";
import { OPENMETRICS, openMetricsText, prefersOpenMetrics } from "./openmetrics.ts";
import { messageOf, Refusal } from "./refusal.ts";
import { isTracing } from "./tracing.ts";
import type { Note, Problem, Report } from "./report.ts";

export type { Note, Problem, Report };

/** Actions that a process offers, by path, like POST /release. An action returns a sentence, or throws Refusal. */
export type Actions = ReadonlyMap<string, () => string | Promise<string>>;

export interface StatusServer {
  /** The address, with the port that the kernel chose when 0 was configured. */
  readonly at: HostPort;
  /** A problem, for the /readyz of another server. */
  problem(): Problem | undefined;
  close(): Promise<void>;
}

export interface StatusOptions {
  readonly report: () => Report;
  readonly metrics: Registry;
  readonly log: Log;
  readonly abort: Abort;
  /** Actions that requests from this machine alone may start, by path. */
  readonly actions?: Actions;
}

/** Limits in milliseconds. Prometheus keeps its connection open between scrapes. */
const LIMITS = { head: 10_000, request: 10_000, idle: 120_000 };

/**
 * Serves /healthz (200 while the process lives), /readyz (200 or 503, a {@link Report} as JSON) and /metrics.
 *
 * @throws Refusal when the address cannot be listened on.
 */
export function serveStatus(
  listen: HostPort,
  { report, metrics, log, abort, actions = new Map() }: StatusOptions,
): StatusServer {
  const listener = listenOn(listen, "--metrics-listen");
  const server = new HttpServer(listener, {
    name: "the status server",
    limits: LIMITS,
    most: connectionLimit(64, 1 / 16),
    log,
    abort,
    onRequest: (request, response) => {
      const path = (request.url ?? "").split("?", 1)[0] ?? "";
      const action = actions.get(path);
      if (action) void act(action, request, response);
      else if (request.method !== "GET" && request.method !== "HEAD") answer(response, 405, "GET only\n");
      else {
        void statusAnswer(path, report, metrics, request.headers.accept).then((known) => {
          const { status, body, type } = known ??
            { status: 404, body: "known are /healthz, /readyz and /metrics\n", type: "text/plain" };
          answer(response, status, body, type);
        });
      }
    },
  });
  return {
    at: { host: listen.host, port: listener.addr.port },
    problem: () => server.problem(),
    close: () => server.close(),
  };
}

export interface StatusAnswer {
  readonly status: number;
  readonly body: string;
  readonly type: string;
}

/**
 * Answers GET /healthz, /readyz and /metrics for any server; undefined: the path is another one.
 *
 * @param accept The header of that name: where there are exemplars, metrics are in OpenMetrics' form for a client that takes it.
 */
export async function statusAnswer(
  path: string,
  report: () => Report,
  metrics: Registry,
  accept?: string,
): Promise<StatusAnswer | undefined> {
  try {
    switch (path) {
      case "/healthz":
        return { status: 200, body: "ok\n", type: "text/plain" };
      case "/readyz": {
        const said = report();
        return {
          status: said.ready ? 200 : 503,
          body: JSON.stringify(said) + "\n",
          type: "application/json",
        };
      }
      case "/metrics":
        return isTracing && prefersOpenMetrics(accept)
          ? { status: 200, body: await textOf(metrics, "openmetrics"), type: OPENMETRICS }
          : { status: 200, body: await textOf(metrics, "plain"), type: metrics.contentType };
    }
    return undefined;
  } catch (error) {
    return { status: 500, body: `${messageOf(error)}\n`, type: "text/plain" };
  }
}

/** How long a text of metrics is reused, in ms: clients that ask without pause must not make it be built each time. */
const TEXT_MS = 100;

interface BuiltText {
  readonly text: Promise<string>;
  readonly at: number;
}

const built = {
  plain: new WeakMap<Registry, BuiltText>(),
  openmetrics: new WeakMap<Registry, BuiltText>(),
};

/** The metrics as text, at most {@link TEXT_MS} old. */
async function textOf(metrics: Registry, form: keyof typeof built): Promise<string> {
  const now = performance.now(), last = built[form].get(metrics);
  if (last && now - last.at < TEXT_MS) return await last.text;
  const text = form === "plain" ? metrics.metrics() : openMetricsText(metrics);
  built[form].set(metrics, { text, at: now });
  return await text;
}

async function act(
  action: () => string | Promise<string>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { remoteAddress = "", localAddress } = request.socket;
  if (request.method !== "POST") return answer(response, 405, "POST only\n");
  if (!isLoopback(remoteAddress) && remoteAddress !== localAddress) {
    return answer(response, 403, "only for commands on this machine\n");
  }
  try {
    answer(response, 200, await action() + "\n");
  } catch (error) {
    answer(response, error instanceof Refusal ? 409 : 500, messageOf(error) + "\n");
  }
}

function answer(response: ServerResponse, status: number, body: string, type?: string): void {
  send(response, { status, body, ...type !== undefined && { type } }, false);
}
