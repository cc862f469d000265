/** Servers of HTTP and HTTPS as the agent has them, whatever they serve. */
import { Buffer } from "node:buffer";
import { createServer, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { Duplex } from "node:stream";
import { formatHostPort, type HostPort } from "../../common/host_port.ts";
import type { Log } from "../../common/log.ts";
import { Refusal } from "../../common/refusal.ts";
import type { TlsMaterial } from "../../common/tls.ts";
import { type Answer, json, rawAnswer } from "./answers.ts";
import { farewell } from "./farewell.ts";
import { logHandshakes } from "./handshakes.ts";

/** In milliseconds: until a client has sent a request's head, its body, and how long it may be silent between two. */
export interface Limits {
  readonly head: number;
  readonly request: number;
  readonly idle: number;
}

/** Clients that the kernel lets wait to be accepted: thousands may come at once. */
const BACKLOG = 4096;

/** A server that does not listen yet: HTTPS, with clients' certificates required, where there is a certificate. */
export function createHttpServer(tls: TlsMaterial | undefined, limits: Limits, log: Log): Server {
  const options = {
    // Without it the answer to a client is lost that has said all it has to say.
    allowHalfOpen: true,
    headersTimeout: limits.head,
    requestTimeout: limits.request,
    keepAliveTimeout: limits.idle,
    // Node's own refusal has no sentence, and nothing here goes by the header.
    requireHostHeader: false,
    connectionsCheckingInterval: Math.min(limits.head / 2, 5000),
  };
  if (!tls) return ready(createServer(options));
  const pem = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []);
  const server = createSecureServer({
    ...options,
    handshakeTimeout: limits.head,
    cert: pem(tls.cert),
    key: pem(tls.key),
    ca: pem(tls.ca),
    requestCert: true,
    // Deciding on `authorized` afterwards would let in whoever resumes a session that was refused.
    rejectUnauthorized: true,
  });
  logHandshakes(server, log);
  return ready(server);
}

function ready(server: Server): Server {
  // A client that has ended its side still waits for its answer; Node knows this switch, its types do not.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on("clientError", refuse);
  return server;
}

/** Sends an answer; the last one of its connection when the server is closing. */
export function send(
  response: ServerResponse,
  { status, body, type, headers }: Answer,
  closing: boolean,
): void {
  response.writeHead(status, {
    ...headers,
    ...(closing && { connection: "close" }),
    ...(status !== 204 && {
      "content-type": type ?? "text/plain",
      "content-length": Buffer.byteLength(body),
      "cache-control": "no-store",
    }),
  });
  response.end(body);
}

/** Statuses for what is no request; anything else is a 400. */
const refusals: Readonly<Record<string, [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, "the request's head is larger than 16 KiB"],
  ERR_HTTP_REQUEST_TIMEOUT: [408, "the request did not come to its end in time"],
};

function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === "ECONNRESET") {
    socket.destroy();
    return;
  }
  const [status, sentence] = refusals[error.code ?? ""] ??
    [400, "this is no request of HTTP/1.1, like GET /networks HTTP/1.1 with a header Host"];
  farewell(socket, rawAnswer(json(status, { error: sentence })));
}

/**
 * Has it listen.
 *
 * @param settings What to change where that cannot be listened on.
 * @returns With the port that the kernel chose, when 0 was asked for. @throws Refusal
 */
export function listening(server: Server, listen: HostPort, settings: string): Promise<HostPort> {
  const { promise, resolve, reject } = Promise.withResolvers<HostPort>();
  const failed = (error: Error) => {
    const message = `${settings}: cannot listen on ${formatHostPort(listen)}: ${error.message}`;
    reject(new Refusal("unavailable", message, { cause: error }));
  };
  server.once("error", failed);
  server.listen(listen.port, listen.host, BACKLOG, () => {
    server.off("error", failed);
    const bound = server.address();
    resolve({ host: listen.host, port: typeof bound === "object" && bound ? bound.port : listen.port });
  });
  return promise;
}
