/** nexd's listening sockets, and the connections that they have accepted, with the calls that are under way on each. */
import { lookup } from "node:dns/promises";
import type { HostPort } from "../common/host_port.ts";
import { type AcceptedConnection, Acceptor, listenOn } from "../common/http/acceptor.ts";
import { type Abort, type ByteStream, ConnectionStream } from "../common/http/byte_stream.ts";
import type { Problem } from "../common/http_status.ts";
import { Ip } from "../common/ip.ts";
import { reasonOf, Refusal } from "../common/refusal.ts";

/** How often connections without a call are looked for, in ms. */
const EVERY = 1000;
/** A connection that has made no call within this time is closed, in ms. */
const SILENT = 30_000;

/** The client's side of a connection. */
export interface Peer {
  readonly remoteAddress: string;
  readonly remotePort: number;
}

export interface ListenerOptions {
  /** Port 0: the kernel chooses one. */
  readonly listen: HostPort;
  /** Connections at once. One more closes the one that has been idle for longest; where none is idle, it is refused. */
  readonly most: number;
  readonly abort?: Abort | undefined;
  readonly onConnection: (end: ByteStream, peer: Peer) => void;
  /** Called with a sentence when a connection is refused or none is accepted. */
  readonly onTrouble: (what: string) => void;
}

interface GrpcConnection extends AcceptedConnection {
  calls: number;
  called: boolean;
  /** When it became idle, by performance.now(). */
  since: number;
}

/** Accepts TCP connections, and knows each by its client's address and port. */
export class Listener {
  readonly #connections = new Map<string, GrpcConnection>();
  readonly #acceptor: Acceptor;
  readonly #timer: ReturnType<typeof setInterval>;

  private constructor(
    /** The port that the kernel chose, when 0 was asked for. */
    readonly port: number,
    listeners: readonly Deno.TcpListener[],
    private readonly options: ListenerOptions,
  ) {
    const { most, onTrouble } = options;
    this.#acceptor = new Acceptor(listeners, {
      most,
      onTrouble,
      serve: (connection, closed) => this.#serve(connection as Deno.TcpConn, closed),
    });
    this.#timer = setInterval(() => this.#closeSilent(), EVERY);
  }

  /** @throws Refusal "unavailable", naming nexd.listen, when the address cannot be listened on */
  static async open(options: ListenerOptions): Promise<Listener> {
    const { host } = options.listen, listeners: Deno.TcpListener[] = [];
    let { port } = options.listen;
    try {
      for (const address of await addressesOf(host)) {
        const listener = listenOn({ host: address, port }, "nexd.listen");
        listeners.push(listener);
        port ||= listener.addr.port;
      }
    } catch (error) {
      for (const listener of listeners) listener.close();
      throw error;
    }
    return new Listener(port, listeners, options);
  }

  /** The problem for /readyz, where connections cannot be accepted. */
  problem(): Problem | undefined {
    return this.#acceptor.problem("nexd");
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
    if (connection && --connection.calls === 0) connection.since = performance.now();
  }

  /** Closes the connection from this address. */
  drop(from: string): void {
    this.#connections.get(from)?.close();
  }

  /** Accepts no more connections; existing ones stay open. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#acceptor.stop();
  }

  /** Closes all connections. */
  close(): void {
    for (const connection of [...this.#connections.values()]) connection.close();
  }

  #serve(connection: Deno.TcpConn, closed: () => void): AcceptedConnection {
    connection.setNoDelay(true);
    // The kernel notices when a client has ended without a word.
    connection.setKeepAlive(true);
    const { hostname, port } = connection.remoteAddr as Deno.NetAddr, from = `${hostname}:${port}`;
    const { abort, onConnection } = this.options;
    const end = new ConnectionStream(connection, {
      ...(abort && { abort }),
      onClose: () => {
        if (this.#connections.get(from) === client) this.#connections.delete(from);
        closed();
      },
    });
    const client: GrpcConnection = {
      calls: 0,
      called: false,
      since: performance.now(),
      idleSince: () => client.calls === 0 ? client.since : undefined,
      close: () => end.close(),
    };
    this.#connections.set(from, client);
    onConnection(end, { remoteAddress: hostname, remotePort: port });
    return client;
  }

  #closeSilent(): void {
    const now = performance.now();
    for (const connection of [...this.#connections.values()]) {
      if (!connection.called && now - connection.since > SILENT) connection.close();
    }
  }
}

/** The addresses to listen on: a name may have several, as localhost has. */
async function addressesOf(host: string): Promise<Set<string>> {
  if (Ip.tryParse(host)) return new Set([host]);
  try {
    return new Set((await lookup(host, { all: true })).map(({ address }) => address));
  } catch (error) {
    const message = `nexd.listen: the name ${host} is not found: ${reasonOf(error)}`;
    throw new Refusal("unavailable", message, { cause: error });
  }
}
