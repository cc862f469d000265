/** The dashboard's HTTP server. It hands requests to the application, and requests for event streams to events.ts. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { HostPort } from "../common/host_port.ts";
import { connectionLimit, listenOn } from "../common/http/acceptor.ts";
import { HttpError, json, send } from "../common/http/answers.ts";
import { ClientGone, readBody } from "../common/http/body.ts";
import type { Abort } from "../common/http/byte_stream.ts";
import { certificateOf, HttpServer } from "../common/http/server.ts";
import type { Log } from "../common/log.ts";
import { messageOf, printable } from "../common/refusal.ts";
import type { TlsMaterial } from "../common/tls.ts";
import { type SpanContext, spanOfRequest } from "../common/tracing.ts";
import type { App } from "./app.tsx";
import type { EventStreams } from "./events.ts";
import { hostRefusal } from "./listen.ts";
import { changeRefusal, typeOf } from "./write/origin.ts";

/** Limits in ms. Browsers keep connections open. */
const LIMITS = { head: 10_000, request: 10_000, idle: 120_000 };
/** The longest path with its query. */
const LONGEST_URL = 2048;
/** The paths that take POST. */
const CHANGES = /^\/(apply|delete)(\.json)?(\?|$)/;
/** Header names of the application's answers that are not set by the server itself. */
const OWN = new Set(["content-type", "content-length", "cache-control"]);

export interface DashboardServerOptions {
  readonly listen: HostPort;
  readonly tls: TlsMaterial | undefined;
  readonly app: App;
  readonly events: EventStreams;
  readonly log: Log;
  readonly abort: Abort;
  /** Called with each answer's status, how long it took, in seconds, and the request's span, where spans are made. */
  readonly onAnswer: (status: number, seconds: number, span: SpanContext | undefined) => void;
}

/** Serves the dashboard. Throws Refusal when the address cannot be listened on. */
export function serveDashboard(options: DashboardServerOptions): HttpServer & { readonly port: number } {
  const { listen, tls, log, abort } = options, listener = listenOn(listen, "dashboard.listen");
  const server = new HttpServer(listener, {
    name: "the dashboard",
    arePages: true,
    tls,
    limits: LIMITS,
    most: connectionLimit(512, 1 / 2),
    log,
    abort,
    onRequest: (request, response, proceed) => void respond(options, request, response, proceed),
  });
  return Object.assign(server, { port: listener.addr.port });
}

async function respond(
  options: DashboardServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
  proceed?: () => void,
): Promise<void> {
  const { app, events, log, onAnswer, listen } = options, begun = performance.now();
  const span = spanOfRequest(request, response);
  try {
    const { url = "", method = "GET", headers } = request;
    const refusal = hostRefusal(listen.host, headers.host);
    if (refusal !== undefined) return send(response, json(403, { error: refusal }), true);
    const isChange = method === "POST" && CHANGES.test(url);
    if (method !== "GET" && method !== "HEAD" && !isChange) {
      return send(response, { ...json(405, { error: "GET only" }), headers: { allow: "GET, HEAD" } }, true);
    }
    const foreign = isChange ? changeRefusal(headers) : undefined;
    if (foreign !== undefined) return send(response, json(403, { error: foreign }), true);
    if (!url.startsWith("/")) {
      return send(response, json(400, { error: "the target is no path, like /" }), true);
    }
    if (url.length > LONGEST_URL) {
      return send(response, json(414, { error: `the path is longer than ${LONGEST_URL} characters` }), true);
    }
    if (url === "/events" && method === "GET") {
      if (!events.open(response)) {
        send(response, json(503, { error: "too many pages are open: this one is not refreshed" }), false);
      }
      return;
    }
    const { accept } = headers;
    using body = isChange ? await readBody(request, proceed) : undefined;
    const answer = await app.fetch(
      new Request(`http://dashboard${url}`, { method, headers: accept === undefined ? {} : { accept } }),
      body && {
        type: typeOf(headers),
        body: body.bytes,
        by: printable(certificateOf(request) ?? `a client at ${request.socket.remoteAddress}`),
      },
    );
    const text = method === "HEAD" ? "" : await answer.text();
    const own = Object.fromEntries([...answer.headers].filter(([name]) => !OWN.has(name)));
    const type = answer.headers.get("content-type") ?? "text/plain";
    const cache = answer.headers.get("cache-control") ?? "no-store";
    send(response, { status: answer.status, body: text, type, headers: own, cache }, false);
    onAnswer(answer.status, (performance.now() - begun) / 1000, span);
  } catch (error) {
    if (error instanceof ClientGone) return;
    if (error instanceof HttpError) {
      return send(
        response,
        { ...json(error.status, { error: error.message }), headers: error.headers },
        true,
      );
    }
    log.error({ err: error }, "a request to the dashboard failed");
    if (!response.headersSent) send(response, json(500, { error: messageOf(error) }), true);
    else response.destroy();
  }
}
