/**
 * Serves the agent's HTTP API: it reads requests from sockets and sends the answers. The requests themselves are
 * handled in routes.ts.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { abortConnection } from "../../../ffi/abort.ts";
import type { Registry } from "prom-client";
import type { HostPort } from "../../common/host_port.ts";
import { connectionLimit, type Listening, listenOn } from "../../common/http/acceptor.ts";
import { type Answer, send } from "../../common/http/answers.ts";
import type { Limits } from "../../common/http/request_socket.ts";
import { HttpServer } from "../../common/http/server.ts";
import type { Problem, Report } from "../../common/http_status.ts";
import type { Log } from "../../common/log.ts";
import { messageOf } from "../../common/refusal.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import { spanOfRequest } from "../../common/tracing.ts";
import type { AgentApi, AttachmentsApi, PortsApi } from "../api.ts";
import { ClientGone, readBody } from "../../common/http/body.ts";
import { createCounters } from "./counters.ts";
import { Faults } from "./faults.ts";
import { listenLocally } from "./local.ts";
import { answerTo, routeLabel, type Sources } from "./routes.ts";
import { Streams } from "../connect/streams.ts";

export interface ApiServerOptions {
  readonly listen: HostPort;
  /**
   * Certificate, key and authority of HTTPS; clients must show a certificate of that authority. Undefined: plain
   * HTTP.
   */
  readonly tls: TlsMaterial | undefined;
  /** The port of other agents' APIs whose API_HOSTNAME has none. */
  readonly port: number;
  /** Names of this host by which a browser's own pages may be served. */
  readonly names?: readonly string[];
  readonly report: () => Report;
  readonly metrics: Registry;
  readonly log: Log;
  readonly limits?: Partial<ApiLimits>;
  readonly local?: LocalOptions;
}

/** The Unix socket for programs of this machine. */
export interface LocalOptions {
  /** The path of the Unix socket. */
  readonly path: string;
  /** False: if it cannot be created, the API is served without it, and the log says why. */
  readonly required: boolean;
  /** As the `api` of serveAgentApi(). */
  readonly attachments: () => AttachmentsApi;
  readonly ports: () => PortsApi;
}

/** Time limits in milliseconds. */
export interface ApiLimits extends Limits {
  /** How long the target of a CONNECT may take to answer, another agent to be reached, and that agent to answer. */
  readonly dial: number;
  readonly reach: number;
  readonly answer: number;
  /** How long another agent may be silent before it is asked whether it answers at all. */
  readonly silent: number;
}

/**
 * Go's clients keep an idle connection for 90 s; the server keeps it longer, so that it is not closed while they
 * send.
 */
const usual: ApiLimits = {
  head: 10_000,
  request: 30_000,
  idle: 120_000,
  dial: 10_000,
  reach: 3000,
  answer: 12_000,
  silent: 1500,
};

export interface ApiServer {
  /** The address, with the port that the kernel chose when 0 was configured. */
  readonly at: HostPort;
  /** A problem, for /readyz. */
  problem(): Problem | undefined;
  /** Ends streams, and lets running requests finish. */
  close(): Promise<void>;
}

/**
 * Serves the API, /healthz, /readyz and /metrics.
 *
 * @param api Called for each request that needs it; throws Refusal "unavailable" until there is an API.
 * @throws Refusal when the address, or a local way in that is required, cannot be listened on.
 */
export async function serveAgentApi(api: () => AgentApi, options: ApiServerOptions): Promise<ApiServer> {
  const { listen, tls, port, names = [], log, report, metrics, local } = options;
  const limits = { ...usual, ...options.limits };
  const counters = createCounters(metrics), faults = new Faults(log);
  const streams = new Streams(
    async (network, address) => await api().route(network, address),
    {
      tls,
      port,
      dialWithin: limits.dial,
      reachWithin: limits.reach,
      answerWithin: limits.answer,
      silentFor: limits.silent,
    },
    counters,
    faults,
  );
  const servers: HttpServer[] = [];
  let closing = false;

  const serve = async (
    sources: Sources,
    request: IncomingMessage,
    response: ServerResponse,
    proceed?: () => void,
  ) => {
    const started = performance.now(), { method = "", url: target = "" } = request;
    const route = routeLabel(target), span = spanOfRequest(request, response);
    let answer: Answer;
    try {
      using body = await readBody(request, proceed);
      const { accept } = request.headers;
      answer = await answerTo(sources, { method, target, body: body.bytes, accept, span });
    } catch (error) {
      if (error instanceof ClientGone) return;
      answer = faults.answer(error, method, route);
    }
    if (closing) response.on("finish", closeIdle);
    send(response, answer, closing);
    counters.answered(method, route, answer.status, (performance.now() - started) / 1000, span);
  };
  const closeIdle = () => servers.forEach((server) => server.closeIdle());

  const open = (
    listener: Listening,
    { name, most, tls }: { name: string; most: number; tls?: TlsMaterial | undefined },
    sources: Sources,
  ) => {
    servers.push(
      new HttpServer(listener, {
        name,
        tls,
        limits,
        most,
        names,
        log,
        abort: abortConnection,
        onRequest: (request, response, proceed) => void serve(sources, request, response, proceed),
        onConnect: (request, client) => void streams.serve(request, client),
        onConnections: (change) => counters.connections.inc(change),
      }),
    );
  };
  const close = async () => {
    closing = true;
    streams.close();
    await Promise.all(servers.map((server) => server.close()));
  };

  const openApi = async () => (await import("./openapi/document.ts")).documentText;
  const sources = { api, report, metrics, openApi };
  const listener = listenOn(listen, "HTTP_HOST and PORT");
  open(listener, { name: "the API", most: connectionLimit(4096, 1 / 4), tls }, sources);
  if (local) {
    const { path, required, attachments, ports } = local;
    try {
      const most = connectionLimit(1024, 1 / 16);
      open(await listenLocally(path), { name: path, most }, { ...sources, attachments, ports });
    } catch (error) {
      if (required) {
        await close();
        throw error;
      }
      log.warn(`programs of this machine cannot ask this agent: ${messageOf(error)}`);
    }
  }
  return {
    at: { host: listen.host, port: listener.addr.port },
    problem: () => servers.map((server) => server.problem()).find(Boolean),
    close,
  };
}
