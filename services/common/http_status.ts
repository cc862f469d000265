/** The HTTP side door of every process: /healthz, /readyz and /metrics. */
import { createServer, type ServerResponse } from "node:http";
import type { Registry } from "prom-client";
import { formatHostPort, type HostPort } from "./host_port.ts";
import { Refusal } from "./refusal.ts";

/** Something that is wrong, and what to do about it. */
export interface Problem {
  readonly what: string;
  readonly fix: string;
  /** True: the process must not be given work until this is mended. */
  readonly blocks: boolean;
}

/** What a process says of itself: the body of /readyz, and a row of `strand status`. */
export interface Report {
  readonly service: string;
  readonly version: string;
  readonly ready: boolean;
  /** etcd's revision that its mirror has taken in; absent where there is none. */
  readonly revision?: number;
  /** Milliseconds since its mirror fell out of step; 0 while in step. */
  readonly lag?: number;
  readonly problems: readonly Problem[];
}

export interface StatusServer {
  /** With the port that the kernel chose, when 0 was asked for. */
  readonly at: HostPort;
  close(): Promise<void>;
}

/**
 * Serves /healthz (200 while the process lives), /readyz (200 or 503, a {@link Report} as JSON) and /metrics.
 *
 * @throws Refusal when the address cannot be listened on.
 */
export function serveStatus(
  listen: HostPort,
  report: () => Report,
  metrics: Registry,
): Promise<StatusServer> {
  const server = createServer((request, response) => {
    const path = (request.url ?? "").split("?", 1)[0];
    if (request.method !== "GET" && request.method !== "HEAD") answer(response, 405, "GET only\n");
    else if (path === "/healthz") answer(response, 200, "ok\n");
    else if (path === "/readyz") {
      const body = report();
      answer(response, body.ready ? 200 : 503, JSON.stringify(body) + "\n", "application/json");
    } else if (path === "/metrics") {
      metrics.metrics().then(
        (text) => answer(response, 200, text, metrics.contentType),
        (error: unknown) => answer(response, 500, `${error}\n`),
      );
    } else answer(response, 404, "known are /healthz, /readyz and /metrics\n");
  });
  const { promise, resolve, reject } = Promise.withResolvers<StatusServer>();
  server.on("error", (error) => {
    reject(
      new Refusal("unavailable", `--metrics-listen ${formatHostPort(listen)}: ${error.message}`, {
        cause: error,
      }),
    );
  });
  server.listen(listen.port, listen.host, () => {
    const bound = server.address();
    const port = typeof bound === "object" && bound ? bound.port : listen.port;
    resolve({ at: { host: listen.host, port }, close: () => closing(server) });
  });
  return promise;
}

function answer(response: ServerResponse, status: number, body: string, type = "text/plain"): void {
  response.writeHead(status, { "content-type": type, "cache-control": "no-store" });
  response.end(body);
}

function closing(server: ReturnType<typeof createServer>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeAllConnections();
  return promise;
}
