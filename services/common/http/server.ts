/** HTTP and HTTPS servers with limits, used by every process for its API or status. */
import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import { checkEvery } from "../check_every.ts";
import { Ip } from "../ip.ts";
import { type Log, OncePerMinute } from "../log.ts";
import { STOP_WITHIN } from "../signals.ts";
import type { TlsMaterial } from "../tls.ts";
import { type AcceptedConnection, Acceptor, type Listening } from "./acceptor.ts";
import type { ReadAheadStream } from "./read_ahead_stream.ts";
import { closeWithResponse, json, send } from "./answers.ts";
import { browserRefusal } from "./browser.ts";
import { type Abort, type ByteStream, type ConnectionOptions, ConnectionStream } from "./byte_stream.ts";
import { handshake, logHandshakes } from "./handshakes.ts";
import { type ClientPeer, type Limits, RequestSocket } from "./request_socket.ts";

export interface HttpServerOptions {
  /** The name in the log, like `the API`. */
  readonly name: string;
  /** HTTPS, with clients' certificates required. */
  readonly tls?: TlsMaterial | undefined;
  readonly limits: Limits;
  /** Connections at once. */
  readonly most: number;
  readonly abort: Abort;
  /** Names of this host in addition to its own and localhost: a browser's request under another name is refused. */
  readonly names?: readonly string[];
  /** True: what is served are pages, to which links of other sites may lead; see browserRefusal(). */
  readonly arePages?: boolean;
  readonly log: Log;
  /**
   * Answers a request; it must call `proceed`, where given, before reading the body: the client waits for 100
   * Continue.
   */
  readonly onRequest: (request: IncomingMessage, response: ServerResponse, proceed?: () => void) => void;
  /** Takes over the connection of a CONNECT; without it such a connection is closed. */
  readonly onConnect?: (request: IncomingMessage, client: ReadAheadStream) => void;
  /** Called when the number of connections changes. */
  readonly onConnections?: (change: 1 | -1) => void;
}

/** A listening socket, with HTTP or HTTPS on its connections. */
export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #acceptor: Acceptor;
  readonly #http: Server;
  readonly #tls: TlsServer | undefined;
  readonly #once = new OncePerMinute();
  readonly #connections = new Set<HttpConnection>();
  readonly #endChecks: () => void;
  #closing = false;
  /** Called when a connection has been closed. */
  #closed = () => {};

  /** @param listener Closed with this. */
  constructor(listener: Listening, options: HttpServerOptions) {
    const { name, tls, limits, log } = options;
    this.#options = options;
    this.#http = this.#parser();
    this.#tls = tls && tlsServer(tls, limits.head);
    if (this.#tls) logHandshakes(this.#tls, log);
    this.#endChecks = checkEvery(Math.min(limits.head / 2, 5000), () => this.#dropLate());
    this.#acceptor = new Acceptor(listener, {
      most: options.most,
      serve: (connection, closed) => this.#serve(connection, closed),
      onTrouble: (what) => this.#once.due(what) && log.warn(`${name}: ${what}`),
    });
  }

  /** The problem for /readyz while connections cannot be accepted. */
  problem(): ReturnType<Acceptor["problem"]> {
    return this.#acceptor.problem(this.#options.name);
  }

  /** Closes connections that wait for a request. */
  closeIdle(): void {
    for (const { http } of this.#connections) if (http?.idle) http.destroy();
  }

  /** Accepts no more connections, lets running requests finish, and closes the rest after {@link STOP_WITHIN}. */
  async close(): Promise<void> {
    this.#closing = true;
    await this.#acceptor.stop();
    this.closeIdle();
    const overdue = setTimeout(() => {
      for (const connection of this.#connections) connection.close();
    }, STOP_WITHIN);
    while (this.#connections.size) await new Promise<void>((resolve) => this.#closed = resolve);
    clearTimeout(overdue);
    this.#endChecks();
  }

  /** Creates Node's HTTP server, which parses requests and has no socket of its own. */
  #parser(): Server {
    const { onRequest, onConnect, limits, tls, names = [], arePages = false } = this.#options;
    // Node's own check is turned off, since its refusal has no sentence; time limits are kept by RequestSocket.
    const server = createServer({
      requireHostHeader: false,
      headersTimeout: 0,
      requestTimeout: 0,
      keepAliveTimeout: limits.idle,
    });
    Object.defineProperties(server, {
      // A client that has ended its side still waits for its response. Node has this option, its types do not.
      httpAllowHalfOpen: { value: true },
      // Node closes connections of a server that does not listen after their first response.
      listening: { get: () => !this.#closing },
    });
    const own = {
      secure: tls !== undefined,
      arePages,
      names: [...new Set([...names, Deno.hostname()])].filter((name) => !Ip.tryParse(name)),
    };
    const refused = (request: IncomingMessage, response: ServerResponse) => {
      socketOf(request).begin(request, response);
      const error = browserRefusal(request.headers, own);
      if (error !== undefined) send(response, json(403, { error }), true);
      return error !== undefined;
    };
    server.on("request", (request, response) => {
      if (!refused(request, response)) onRequest(request, response);
    });
    server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
      if (!refused(request, response)) onRequest(request, response, () => response.writeContinue());
    });
    server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) => {
      socketOf(request).begin(request, response);
      response.writeHead(417, { connection: "close" }).end();
    });
    if (onConnect) {
      server.on("connect", (request: IncomingMessage) => {
        const client = socketOf(request).detachStream();
        onConnect(request, client);
      });
    }
    server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
      refuse(error, socket as unknown as RequestSocket);
    });
    return server;
  }

  #serve(connection: Deno.Conn, closed: () => void): AcceptedConnection {
    const { onConnections, abort } = this.#options;
    const onClose = () => {
      this.#connections.delete(client);
      closed();
      onConnections?.(-1);
      this.#closed();
    };
    const client = new HttpConnection(connection, { abort, onClose });
    this.#connections.add(client);
    onConnections?.(1);
    const parse = (end: ByteStream, certificate?: string) => this.#parse(client, end, certificate);
    if (this.#tls) handshake(this.#tls, client.end, client.peer, parse);
    else parse(client.end);
    return client;
  }

  #parse(client: HttpConnection, end: ByteStream, certificate: string | undefined): void {
    client.http = new RequestSocket(end, { ...client.peer, certificate }, this.#options.limits);
    this.#http.emit("connection", client.http);
  }

  #dropLate(): void {
    const now = performance.now();
    for (const { http } of this.#connections) {
      const late = http?.late(now);
      if (late === "request" && http?.unanswered) {
        void closeWithResponse(http.detach(), json(408, { error: TOO_LATE }));
      } else if (late) http?.destroy();
    }
  }
}

const TOO_LATE = "the request did not come to its end in time";

/** One connection from accept to close. */
class HttpConnection implements AcceptedConnection {
  readonly end: ConnectionStream;
  readonly peer: ClientPeer;
  /** Undefined until TLS is set up. */
  http: RequestSocket | undefined;
  readonly #accepted = performance.now();

  constructor(connection: Deno.Conn, options: ConnectionOptions) {
    this.end = new ConnectionStream(connection, options);
    const { remoteAddr, localAddr } = connection;
    this.peer = { remoteAddress: hostOf(remoteAddr), localAddress: hostOf(localAddr) };
    if (!("setNoDelay" in connection)) return;
    const tcp = connection as Deno.TcpConn;
    tcp.setNoDelay(true);
    tcp.setKeepAlive(true);
  }

  idleSince(): number | undefined {
    return this.http ? this.http.idleSince : this.#accepted;
  }

  close(): void {
    this.http?.destroy();
    this.end.close();
  }
}

function hostOf(address: Deno.Addr): string | undefined {
  return "hostname" in address ? address.hostname : undefined;
}

/** The name in the client's certificate; undefined: it has shown none. */
export function certificateOf(request: IncomingMessage): string | undefined {
  return socketOf(request).certificate;
}

function socketOf(request: IncomingMessage): RequestSocket {
  return request.socket as unknown as RequestSocket;
}

function tlsServer({ cert, key, ca }: TlsMaterial, handshakeTimeout: number): TlsServer {
  const pem = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []);
  return createTlsServer({
    ALPNProtocols: ["http/1.1"],
    handshakeTimeout,
    cert: pem(cert),
    key: pem(key),
    ca: pem(ca),
    requestCert: true,
    // Checking `authorized` afterwards would accept a client that resumes a session which was refused.
    rejectUnauthorized: true,
  });
}

/** Statuses for parse errors; any other is a 400. */
const refusals: Readonly<Record<string, [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, "the request's head is larger than 16 KiB"],
};

/** Answers bytes that are no HTTP request. */
function refuse(error: NodeJS.ErrnoException, socket: RequestSocket): void {
  if (socket.destroyed || !socket.unanswered) {
    socket.destroy();
    return;
  }
  const [status, sentence] = refusals[error.code ?? ""] ??
    [400, "this is no request of HTTP/1.1, like GET /networks HTTP/1.1 with a header Host"];
  void closeWithResponse(socket.detach(), json(status, { error: sentence }));
}
