import { abortConnection } from "../../../ffi/abort.ts";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { HostPort } from "../../common/host_port.ts";
import { connectionLimit, listenOn } from "../../common/http/acceptor.ts";
import { HttpError, send } from "../../common/http/answers.ts";
import { HttpServer } from "../../common/http/server.ts";
import type { Problem } from "../../common/http_status.ts";
import { type Log, OncePerMinute } from "../../common/log.ts";
import { messageOf } from "../../common/refusal.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import { ClientGone, readBody } from "../http/body.ts";
import type { DockerApi } from "./api.ts";
import { answerCall } from "./calls.ts";
import { AskedPools } from "./pools.ts";

/**
 * In milliseconds. An engine keeps its connections for ever, and what it repeats after one has been closed on it, it
 * sends without the body.
 */
const LIMITS = { head: 10_000, request: 30_000, idle: 86_400_000 };

export interface DockerServerOptions {
  readonly listen: HostPort;
  /** HTTPS, and the engine must show a certificate of the same authority. */
  readonly tls: TlsMaterial | undefined;
  readonly log: Log;
}

export interface DockerServer {
  readonly at: HostPort;
  /** What is wrong, for /readyz. */
  problem(): Problem | undefined;
  /** Lets calls finish that are being answered. */
  close(): Promise<void>;
}

/** Serves libnetwork's remote drivers. Throws Refusal when the address cannot be listened on. */
export function serveDocker(api: DockerApi, options: DockerServerOptions): DockerServer {
  const { listen, tls, log } = options, once = new OncePerMinute();
  const asked = new AskedPools();
  let closing = false;
  const serve = async (request: IncomingMessage, response: ServerResponse, proceed?: () => void) => {
    const [path = ""] = (request.url ?? "").split("?");
    const fault = (error: unknown) => {
      if (once.due(`${path} ${messageOf(error)}`)) log.error({ err: error }, `${path} failed`);
    };
    try {
      const answer = await answerCall(api, path, await readBody(request, proceed), fault, asked);
      if (closing) response.on("finish", () => server.closeIdle());
      send(response, answer, closing);
    } catch (error) {
      if (error instanceof ClientGone) return;
      if (!(error instanceof HttpError)) fault(error);
      const status = error instanceof HttpError ? error.status : 500;
      send(response, { status, body: JSON.stringify({ Err: messageOf(error) }) }, true);
    }
  };
  const listener = listenOn(listen, "HTTP_HOST and DOCKER_PLUGIN_HTTP_PORT");
  const server = new HttpServer(listener, {
    name: "the Docker plugin",
    tls,
    limits: LIMITS,
    most: connectionLimit(256, 1 / 16),
    log,
    abort: abortConnection,
    onRequest: (request, response, proceed) => void serve(request, response, proceed),
  });
  return {
    at: { host: listen.host, port: listener.addr.port },
    problem: () => server.problem(),
    close() {
      closing = true;
      return server.close();
    },
  };
}
