import type { IncomingMessage, ServerResponse } from "node:http";
import type { HostPort } from "../../common/host_port.ts";
import { type Log, OncePerMinute } from "../../common/log.ts";
import { messageOf } from "../../common/refusal.ts";
import { STOP_WITHIN } from "../../common/signals.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import { HttpError } from "../http/answers.ts";
import { ClientGone, readBody } from "../http/body.ts";
import { createHttpServer, listening, send } from "../http/listener.ts";
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
  /** Lets calls finish that are being answered. */
  close(): Promise<void>;
}

/** Serves libnetwork's remote drivers. Throws Refusal when the address cannot be listened on. */
export async function serveDocker(api: DockerApi, options: DockerServerOptions): Promise<DockerServer> {
  const { listen, tls, log } = options, once = new OncePerMinute();
  const server = createHttpServer(tls, LIMITS, log), asked = new AskedPools();
  let closing = false;
  const serve = async (request: IncomingMessage, response: ServerResponse) => {
    const [path = ""] = (request.url ?? "").split("?");
    const fault = (error: unknown) => {
      if (once.due(`${path} ${messageOf(error)}`)) log.error({ err: error }, `${path} failed`);
    };
    try {
      const answer = await answerCall(api, path, await readBody(request), fault, asked);
      if (closing) response.on("finish", () => server.closeIdleConnections());
      send(response, answer, closing);
    } catch (error) {
      if (error instanceof ClientGone) return;
      if (!(error instanceof HttpError)) fault(error);
      const status = error instanceof HttpError ? error.status : 500;
      send(response, { status, body: JSON.stringify({ Err: messageOf(error) }) }, true);
    }
  };
  server.on("request", (request, response) => void serve(request, response));
  const at = await listening(server, listen, "HTTP_HOST and DOCKER_PLUGIN_HTTP_PORT");
  server.on("error", (error) => {
    if (once.due(error.message)) log.error(`the Docker plugin's socket: ${error.message}`);
  });
  return {
    at,
    async close() {
      closing = true;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const overdue = setTimeout(() => server.closeAllConnections(), STOP_WITHIN);
      await closed;
      clearTimeout(overdue);
    },
  };
}
