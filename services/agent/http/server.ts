/** The agent's HTTP API: sockets to requests, and answers back. Nothing in here knows what is asked. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Registry } from "prom-client";
import type { HostPort } from "../../common/host_port.ts";
import type { Report } from "../../common/http_status.ts";
import { type Log, OncePerMinute } from "../../common/log.ts";
import { messageOf } from "../../common/refusal.ts";
import { STOP_WITHIN } from "../../common/signals.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import type { AgentApi, AttachmentsApi } from "../api.ts";
import type { Answer } from "./answers.ts";
import { ClientGone, readBody } from "./body.ts";
import { createCounters } from "./counters.ts";
import { Faults } from "./faults.ts";
import { createHttpServer, type Limits, listening, send } from "./listener.ts";
import { listenLocally } from "./local.ts";
import { answerTo, routeLabel, type Sources } from "./routes.ts";
import { Streams } from "./streams.ts";

export interface ApiServerOptions {
  readonly listen: HostPort;
  /** Certificate, key and authority: HTTPS, and clients must show a certificate of that authority. */
  readonly tls: TlsMaterial | undefined;
  /** Where other agents' APIs are whose API_HOSTNAME names no port. */
  readonly port: number;
  readonly report: () => Report;
  readonly metrics: Registry;
  readonly log: Log;
  readonly limits?: Partial<ApiLimits>;
  readonly local?: LocalOptions;
}

/** The way in for programs of this machine. */
export interface LocalOptions {
  /** Of the Unix socket. */
  readonly path: string;
  /** False: without it the API is served all the same, and the log says why. */
  readonly required: boolean;
  readonly attachments: AttachmentsApi;
}

/** In milliseconds. */
export interface ApiLimits extends Limits {
  /** Until the target of a CONNECT has answered, another agent is reached, and that has answered. */
  readonly dial: number;
  readonly reach: number;
  readonly answer: number;
}

/** Go's clients keep an idle connection for 90 s: it is not closed while they send. */
const usual: ApiLimits = {
  head: 10_000,
  request: 30_000,
  idle: 120_000,
  dial: 10_000,
  reach: 3000,
  answer: 12_000,
};

export interface ApiServer {
  /** With the port that the kernel chose, when 0 was asked for. */
  readonly at: HostPort;
  /** Ends streams, lets requests finish that are being answered. */
  close(): Promise<void>;
}

/**
 * Serves the API, /healthz, /readyz and /metrics.
 *
 * @throws Refusal when the address, or a local way in that is required, cannot be listened on.
 */
export async function serveAgentApi(api: AgentApi, options: ApiServerOptions): Promise<ApiServer> {
  const { listen, tls, port, log, report, metrics, local } = options;
  const limits = { ...usual, ...options.limits };
  const counters = createCounters(metrics), faults = new Faults(log), once = new OncePerMinute();
  const streams = new Streams(
    api,
    { tls, port, dialWithin: limits.dial, reachWithin: limits.reach, answerWithin: limits.answer },
    counters,
    faults,
  );
  const servers: Server[] = [];
  let closing = false;

  const serve = async (
    sources: Sources,
    request: IncomingMessage,
    response: ServerResponse,
    proceed?: () => void,
  ) => {
    const started = performance.now(), { method = "", url: target = "" } = request;
    const route = routeLabel(target);
    let answer: Answer;
    try {
      answer = await answerTo(sources, { method, target, body: await readBody(request, proceed) });
    } catch (error) {
      if (error instanceof ClientGone) return;
      answer = faults.answer(error, method, route);
    }
    if (closing) response.on("finish", closeIdle);
    send(response, answer, closing);
    counters.answered(method, route, answer.status, (performance.now() - started) / 1000);
  };
  const closeIdle = () => servers.forEach((server) => server.closeIdleConnections());

  /** A server that answers from these, and does not listen yet. */
  const open = (tls: TlsMaterial | undefined, sources: Sources) => {
    const server = createHttpServer(tls, limits, log);
    server.on("request", (request, response) => void serve(sources, request, response));
    server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
      void serve(sources, request, response, () => response.writeContinue());
    });
    server.on("connect", (request: IncomingMessage, socket: Duplex, early: Uint8Array) => {
      void streams.serve(request, socket as Socket, early);
    });
    server.on("connection", (socket: Socket) => {
      counters.connections.inc();
      socket.once("close", () => counters.connections.dec());
    });
    return server;
  };
  /** It listens. */
  const keep = (server: Server) => {
    servers.push(server);
    server.on("error", (error) => {
      if (once.due(error.message)) log.error(`the API's socket: ${error.message}`);
    });
  };
  const close = async () => {
    closing = true;
    const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    streams.close();
    closeIdle();
    const overdue = setTimeout(() => servers.forEach((server) => server.closeAllConnections()), STOP_WITHIN);
    await Promise.all(closed);
    clearTimeout(overdue);
  };

  const server = open(tls, { api, report, metrics });
  const at = await listening(server, listen, "HTTP_HOST and PORT");
  keep(server);
  if (local) {
    const { path, required, attachments } = local;
    const server = open(undefined, { api, report, metrics, attachments });
    try {
      await listenLocally(server, path);
      keep(server);
    } catch (error) {
      if (required) {
        await close();
        throw error;
      }
      log.warn(`programs of this machine cannot ask this agent: ${messageOf(error)}`);
    }
  }
  return { at, close };
}
