/** The Docker plugin's HTTP or HTTPS server. Over plain HTTP only processes of this machine may use it. */
import { abortConnection } from "../../../ffi/abort.ts";
import type { IncomingMessage, ServerResponse } from "node:http";
import { formatHostPort, type HostPort } from "../../common/host_port.ts";
import { connectionLimit, listenOn } from "../../common/http/acceptor.ts";
import { HttpError, send } from "../../common/http/answers.ts";
import { HttpServer } from "../../common/http/server.ts";
import type { Problem } from "../../common/http_status.ts";
import { type Log, OncePerMinute } from "../../common/log.ts";
import { messageOf } from "../../common/refusal.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import { spanOfRequest } from "../../common/tracing.ts";
import { ClientGone, readBody } from "../../common/http/body.ts";
import type { DockerApi } from "./api.ts";
import { answerCall } from "./calls.ts";
import { fromThisMachine, type ListenAddresses, whyNot } from "./listen_addresses.ts";
import { PoolRequests } from "./pools.ts";

/**
 * Limits in milliseconds. An engine keeps its connections open without limit, and repeats a request on a closed one
 * without the body, so idle connections are kept for a day.
 */
const LIMITS = { head: 10_000, request: 30_000, idle: 86_400_000 };

export interface DockerServerOptions {
  /** The addresses, see {@link listenAddresses}. With plain HTTP, connections from other machines are closed. */
  readonly addresses: ListenAddresses;
  /** HTTPS, for which the engine must show a certificate of the same authority. */
  readonly tls: TlsMaterial | undefined;
  /** Names of this host by which a browser's own pages may be served. */
  readonly names?: readonly string[];
  readonly log: Log;
}

export interface DockerServer {
  /** The first of the addresses, with the port that the kernel chose where 0 was asked for. */
  readonly at: HostPort;
  /** A problem, for /readyz. */
  problem(): Problem | undefined;
  /** Stops listening, and lets running calls finish. */
  close(): Promise<void>;
}

/** Serves libnetwork's protocol for remote drivers. Throws Refusal when none of the addresses can be listened on. */
export function serveDocker(api: DockerApi, options: DockerServerOptions): DockerServer {
  const { addresses, tls, names = [], log } = options, once = new OncePerMinute();
  const pools = new PoolRequests();
  let closing = false;
  const serve = async (request: IncomingMessage, response: ServerResponse, proceed?: () => void) => {
    const [path = ""] = (request.url ?? "").split("?"), span = spanOfRequest(request, response);
    const fault = (error: unknown) => {
      if (once.due(`${path} ${messageOf(error)}`)) log.error({ err: error }, `${path} failed`);
    };
    try {
      using body = await readBody(request, proceed);
      const answer = await answerCall(api, path, body.bytes, fault, pools, span);
      if (closing) response.on("finish", () => servers.forEach((server) => server.closeIdle()));
      send(response, answer, closing);
    } catch (error) {
      if (error instanceof ClientGone) return;
      if (!(error instanceof HttpError)) fault(error);
      const status = error instanceof HttpError ? error.status : 500;
      send(response, { status, body: JSON.stringify({ Err: messageOf(error) }) }, true);
    }
  };
  const onStranger = (from: string) => {
    if (!once.due("stranger")) return;
    log.warn(
      `the Docker plugin answers this machine alone: connections from elsewhere are closed, like that from ${from}`,
    );
  };
  const listeners = listenersOf(addresses, log);
  const { hostname: host = "", port = 0 } = listeners[0]?.addr ?? {};
  const servers = listeners.map((listener) =>
    new HttpServer(tls ? listener : fromThisMachine(listener, onStranger), {
      name: "the Docker plugin",
      tls,
      limits: LIMITS,
      names,
      most: connectionLimit(256, 1 / 16),
      log,
      abort: abortConnection,
      onRequest: (request, response, proceed) => void serve(request, response, proceed),
    })
  );
  return {
    at: { host, port },
    problem: () => servers.map((server) => server.problem()).find(Boolean),
    async close() {
      closing = true;
      await Promise.all(servers.map((server) => server.close()));
    },
  };
}

/** Listens on at least one required address, and on the others as far as possible. */
function listenersOf({ listen, otherwise, also }: ListenAddresses, log: Log): Deno.TcpListener[] {
  const settings = "HTTP_HOST and DOCKER_PLUGIN_HTTP_PORT";
  const attempt = (address: HostPort) => {
    try {
      return listenOn(address, settings);
    } catch (error) {
      return error;
    }
  };
  const found = listen.map(attempt), [failure] = found.filter((one) => one instanceof Error);
  const listeners = found.filter((one): one is Deno.TcpListener => !(one instanceof Error));
  if (!listeners.length) {
    if (!otherwise) throw failure;
    listeners.push(listenOn(otherwise, settings));
    if (failure) log.warn(`the Docker plugin listens on ${formatHostPort(otherwise)}: ${messageOf(failure)}`);
  }
  for (const address of also) {
    const listener = attempt(address);
    if (!(listener instanceof Error)) listeners.push(listener as Deno.TcpListener);
    // An address that is in use needs no warning: this agent or another one of the same engine listens there.
    else if (!(listener.cause instanceof Deno.errors.AddrInUse)) log.warn(whyNot(address, listener.cause));
  }
  return listeners;
}
