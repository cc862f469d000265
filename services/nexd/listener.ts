/** nexd's listening sockets. The number of connections is limited, and accepting goes on after a lack of file descriptors. */
import { lookup } from "node:dns/promises";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { formatHostPort, type HostPort } from "../common/host_port.ts";
import { ACCEPT_FIX } from "../common/http/acceptor.ts";
import type { Problem } from "../common/http_status.ts";
import { Ip } from "../common/ip.ts";
import { reasonOf, Refusal } from "../common/refusal.ts";

/** How often connections, and whether any is accepted, are checked, in ms. */
const EVERY = 1000;
/** After this time without an accepted connection the listener connects to itself, in ms. */
const QUIET = 5000;
/**
 * How often, and at what interval in ms, it then checks whether that connection was accepted. Checks are counted rather than
 * time, since a process that is stopped accepts nothing and does not check either.
 */
const CHECKS = 100, INTERVAL = 20;
/** After this many failed attempts in a row a socket counts as one that accepts nothing. */
const FAILURES = 2;
/** A connection that has made no call within this time is closed, in ms. */
const SILENT = 30_000;

export interface ListenerOptions {
  /** Port 0: the kernel chooses one. */
  readonly listen: HostPort;
  /** Connections at once. One more closes the one that has been idle for longest; where none is idle, it is refused. */
  readonly most: number;
  readonly onConnection: (socket: Socket) => void;
  /** Called with a sentence when a connection is refused or none is accepted. */
  readonly onTrouble: (what: string) => void;
  /** After this time without an accepted connection, in ms, the listener connects to itself; for tests. */
  readonly quietMs?: number;
}

/** A listening socket; `server` is undefined while it could not be opened again. */
interface ListeningSocket {
  readonly host: string;
  readonly port: number;
  server: Server | undefined;
  /** Attempts to connect to it that have failed in a row. */
  failures: number;
}

interface GrpcConnection {
  readonly socket: Socket;
  calls: number;
  called: boolean;
  /** When it became idle, by performance.now(). */
  idleSince: number;
}

/**
 * Accepts TCP connections. Once accepting has failed for lack of a file descriptor, Deno's node:net silently accepts no further
 * connection. So this listener connects to itself, and opens its socket again where that is not accepted.
 */
export class Listener {
  readonly #connections = new Map<string, GrpcConnection>();
  readonly #opened: ListeningSocket[] = [];
  #accepted = 0;
  #lastAccepted = performance.now();
  #failing: { readonly since: number; readonly reason: string } | undefined;
  #checking = false;
  /** True while it connects to itself: then one connection more than `most` is allowed. */
  #probing = false;
  #closed = false;
  #timer: ReturnType<typeof setInterval> | undefined;

  private constructor(private readonly options: ListenerOptions) {}

  /** @throws Refusal "unavailable", naming nexd.listen, when the address cannot be listened on */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options);
    const { host, port } = options.listen;
    try {
      // A name may have several addresses, as localhost has.
      const found = Ip.tryParse(host) ? [{ address: host }] : await lookup(host, { all: true });
      for (const address of new Set(found.map(({ address }) => address))) {
        const server = await listener.#listen(address, listener.port || port);
        listener.#opened.push({
          host: address,
          port: (server.address() as AddressInfo).port,
          server,
          failures: 0,
        });
      }
    } catch (error) {
      listener.close();
      const reason = reasonOf(error).replace(/^listen (E\w+: .*?)(?: \S+:\d+)?$/, "$1");
      const message = `nexd.listen: cannot listen on ${formatHostPort(options.listen)}: ${reason}`;
      throw new Refusal("unavailable", message, { cause: error });
    }
    listener.#timer = setInterval(() => listener.#checkAll(), EVERY);
    return listener;
  }

  /** The port that the kernel chose, when 0 was asked for; 0 before that. */
  get port(): number {
    return this.#opened[0]?.port ?? 0;
  }

  /** The problem for /readyz, where connections cannot be accepted. */
  problem(): Problem | undefined {
    if (!this.#failing) return undefined;
    const { since, reason } = this.#failing;
    return {
      what: `nexd accepts no connections since ${
        Math.round((performance.now() - since) / 1000)
      } s: ${reason}`,
      fix: ACCEPT_FIX,
      blocks: true,
    };
  }

  get size(): number {
    return this.#connections.size;
  }

  /** A call on the connection from this address has begun. */
  begin(from: string): void {
    const connection = this.#connections.get(from);
    if (!connection) return;
    connection.calls++;
    connection.called = true;
  }

  /** A call on the connection from this address has ended. */
  end(from: string): void {
    const connection = this.#connections.get(from);
    if (connection && --connection.calls === 0) connection.idleSince = performance.now();
  }

  /** Closes the connection from this address. */
  drop(from: string): void {
    this.#connections.get(from)?.socket.destroy();
  }

  /** Accepts no more connections; existing ones stay open. */
  stop(): void {
    this.#closed = true;
    clearInterval(this.#timer);
    for (const opened of this.#opened) {
      opened.server?.close();
      opened.server = undefined;
    }
  }

  /** The same, and closes all connections. */
  close(): void {
    this.stop();
    for (const { socket } of this.#connections.values()) socket.destroy();
  }

  async #listen(host: string, port: number): Promise<Server> {
    const server = createServer({ noDelay: true, keepAlive: true }, (socket) => this.#take(socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, () => {
        server.off("error", reject);
        resolve();
      });
    });
    server.on("error", (error) => this.options.onTrouble(`accepting connections: ${reasonOf(error)}`));
    return server;
  }

  #take(socket: Socket): void {
    this.#accepted++;
    this.#lastAccepted = performance.now();
    // An error of a client's connection needs no action: "close" follows.
    socket.on("error", () => {});
    const { most, onConnection, onTrouble } = this.options;
    if (this.#connections.size >= most + Number(this.#probing) && !this.#closeIdlest()) {
      onTrouble(`a connection is refused: ${most} are in use, which is the most that it takes`);
      socket.destroy();
      return;
    }
    const from = `${socket.remoteAddress}:${socket.remotePort}`;
    const connection = { socket, calls: 0, called: false, idleSince: performance.now() };
    this.#connections.set(from, connection);
    socket.on("close", () => {
      if (this.#connections.get(from) === connection) this.#connections.delete(from);
    });
    onConnection(socket);
  }

  /** Closes the connection that has been idle for longest; false when all are in use. */
  #closeIdlest(): boolean {
    let idlest: [string, GrpcConnection] | undefined;
    for (const entry of this.#connections) {
      if (entry[1].calls === 0 && !(entry[1].idleSince >= (idlest?.[1].idleSince ?? Infinity))) {
        idlest = entry;
      }
    }
    if (!idlest) return false;
    this.#connections.delete(idlest[0]);
    idlest[1].socket.destroy();
    return true;
  }

  #checkAll(): void {
    const now = performance.now();
    for (const { socket, called, idleSince } of this.#connections.values()) {
      if (!called && now - idleSince > SILENT) socket.destroy();
    }
    const { quietMs = QUIET } = this.options;
    if (!this.#checking && (this.#failing || now - this.#lastAccepted > quietMs)) void this.#checkSockets();
  }

  /** Connects to each of its sockets, and opens those again that accept no connection. */
  async #checkSockets(): Promise<void> {
    this.#checking = true;
    let reason: string | undefined;
    for (const opened of this.#opened) {
      const problem = await this.#problem(opened);
      if (this.#closed) return;
      opened.failures = problem === undefined ? 0 : opened.failures + 1;
      if (problem === undefined || opened.failures < FAILURES) continue;
      reason = problem;
      if (!this.#failing) this.options.onTrouble(`connections cannot be accepted: ${reason}`);
      this.#failing ??= { since: performance.now(), reason };
      // An idle connection may have the descriptor that is missing.
      this.#closeIdlest();
      // Where no descriptor was left for the attempt, there is none to open the socket again with.
      if (!outOfDescriptors.test(reason)) await this.#reopen(opened);
    }
    if (reason === undefined) this.#failing = undefined;
    this.#checking = false;
  }

  /** Why a socket accepts no connection; undefined: it does. */
  #problem({ host, port, server }: ListeningSocket): Promise<string | undefined> {
    if (!server) return Promise.resolve("it is not listened on");
    const { promise, resolve } = Promise.withResolvers<string | undefined>();
    const before = this.#accepted;
    this.#probing = true;
    const probe = connect({
      host: ({ "0.0.0.0": "127.0.0.1", "::": "::1" } as Record<string, string>)[host] ?? host,
      port,
    });
    probe.on("error", (error) => resolve(reasonOf(error)));
    let checks = 0;
    const timer = setInterval(() => {
      if (this.#accepted > before) resolve(undefined);
      else if (++checks > CHECKS) resolve("nothing is accepted");
    }, INTERVAL);
    return promise.finally(() => {
      clearInterval(timer);
      this.#forgetProbe(probe);
    });
  }

  /** Closes the listener's connection to itself. A client may have connected meanwhile, so that there is one connection too many. */
  #forgetProbe(probe: Socket): void {
    this.#probing = false;
    const from = `${probe.localAddress}:${probe.localPort}`;
    this.#connections.get(from)?.socket.destroy();
    this.#connections.delete(from);
    probe.destroy();
    if (this.#connections.size > this.options.most) this.#closeIdlest();
  }

  async #reopen(opened: ListeningSocket): Promise<void> {
    opened.server?.close();
    opened.server = undefined;
    try {
      const server = await this.#listen(opened.host, opened.port);
      if (this.#closed) server.close();
      else opened.server = server;
    } catch {
      // This error is not the first cause, which is reported already; the socket is tried again a second later.
    }
  }
}

const outOfDescriptors = /EMFILE|ENFILE|Too many open files/i;
