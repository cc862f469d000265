/** The HTTP side door of every process: /healthz, /readyz and /metrics. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Registry } from "prom-client";
import { formatHostPort, type HostPort, isLoopback } from "./host_port.ts";
import { messageOf, Refusal } from "./refusal.ts";

/** Something that is wrong, and what to do about it. */
export interface Problem {
  readonly what: string;
  readonly fix: string;
  /** True: the process must not be given work until this is mended. */
  readonly blocks: boolean;
}

/** Something worth knowing that is not wrong: `{what: "networks", value: 3}`. */
export interface Note {
  readonly what: string;
  readonly value: string | number;
}

/** What a process can be told to do, by its path: POST /release. It answers with a sentence, or throws Refusal. */
export type Actions = ReadonlyMap<string, () => string | Promise<string>>;

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
  readonly notes?: readonly Note[];
}

export interface StatusServer {
  /** With the port that the kernel chose, when 0 was asked for. */
  readonly at: HostPort;
  close(): Promise<void>;
}

/**
 * Serves /healthz (200 while the process lives), /readyz (200 or 503, a {@link Report} as JSON) and /metrics.
 *
 * @param actions What this machine's users may have it do besides; nobody else may.
 * @throws Refusal when the address cannot be listened on.
 */
export function serveStatus(
  listen: HostPort,
  report: () => Report,
  metrics: Registry,
  actions: Actions = new Map(),
): Promise<StatusServer> {
  const server = createServer((request, response) => {
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    const action = actions.get(path);
    if (action) void act(action, request, response);
    else if (request.method !== "GET" && request.method !== "HEAD") answer(response, 405, "GET only\n");
    else {
      void statusAnswer(path, report, metrics).then((known) => {
        const { status, body, type } = known ??
          { status: 404, body: "known are /healthz, /readyz and /metrics\n", type: "text/plain" };
        answer(response, status, body, type);
      });
    }
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

export interface StatusAnswer {
  readonly status: number;
  readonly body: string;
  readonly type: string;
}

/** What is answered to GET /healthz, /readyz and /metrics, wherever they are served; undefined: it is another path. */
export async function statusAnswer(
  path: string,
  report: () => Report,
  metrics: Registry,
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
        return { status: 200, body: await metrics.metrics(), type: metrics.contentType };
    }
    return undefined;
  } catch (error) {
    return { status: 500, body: `${messageOf(error)}\n`, type: "text/plain" };
  }
}

async function act(
  action: () => string | Promise<string>,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { remoteAddress = "", localAddress } = request.socket;
  if (request.method !== "POST") return answer(response, 405, "POST only\n");
  // A browser on this machine sends its page's origin along, and speaks for whoever wrote the page.
  if (
    request.headers.origin !== undefined || !(isLoopback(remoteAddress) || remoteAddress === localAddress)
  ) {
    return answer(response, 403, "only for commands on this machine\n");
  }
  try {
    answer(response, 200, await action() + "\n");
  } catch (error) {
    answer(response, error instanceof Refusal ? 409 : 500, messageOf(error) + "\n");
  }
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
