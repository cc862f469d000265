/** Accepts connections up to a limit, and continues after errors such as a lack of file descriptors. */
import { delay } from "../async.ts";
import { formatHostPort, type HostPort } from "../host_port.ts";
import { reasonOf, Refusal } from "../refusal.ts";

/** The backlog of the listening socket: thousands of connections may arrive at once. */
const BACKLOG = 4096;
/** The pause in ms after accepting failed, as it does when file descriptors have run out. */
const RETRY_MS = 100;

/** The remedies when connections are not accepted. */
const ACCEPT_FIX =
  "wait, since accepting is retried; if file descriptors ran out, raise LimitNOFILE or find the clients that connect";

/** A listening socket of any kind. */
export type Listening = Pick<Deno.Listener, "accept" | "close">;

/** An accepted connection, as far as closing idle ones needs it. */
export interface AcceptedConnection {
  /** Since when it has been idle, by performance.now(); undefined: it is in use. */
  idleSince(): number | undefined;
  close(): void;
}

export interface AcceptorOptions {
  /** Connections at once. One more closes the one that has been idle for longest; where none is idle, it is refused. */
  readonly most: number;
  /** Of these, from one address, in the same way: its own connections are closed then, and no others. Default: any number. */
  readonly mostOfClient?: number;
  /** Serves a connection; it calls `closed` once when the connection has been closed. */
  readonly serve: (connection: Deno.Conn, closed: () => void) => AcceptedConnection;
  /** Called with a sentence when a connection is refused or accepting fails. */
  readonly onTrouble: (what: string) => void;
  readonly onRefused?: () => void;
}

/** Why connections of a socket cannot be accepted; `since` by performance.now(). */
interface Failing {
  readonly since: number;
  readonly reason: string;
}

/** Listening sockets of any kind, and all of their connections. */
export class Acceptor {
  readonly #listeners: readonly Listening[];
  readonly #options: AcceptorOptions;
  /** With the address that each comes from. */
  readonly #clients = new Map<AcceptedConnection, string>();
  readonly #done: Promise<unknown>;
  #stopped = false;
  readonly #failing = new Map<Listening, Failing>();

  /** @param listeners Closed with this. */
  constructor(listeners: Listening | readonly Listening[], options: AcceptorOptions) {
    this.#listeners = [listeners].flat();
    this.#options = options;
    this.#done = Promise.all(this.#listeners.map((listener) => this.#accept(listener)));
  }

  get clients(): ReadonlySet<AcceptedConnection> {
    return new Set(this.#clients.keys());
  }

  /** Set while connections of one of the sockets cannot be accepted. */
  get failing(): Failing | undefined {
    return this.#failing.values().next().value;
  }

  async #accept(listener: Listening): Promise<void> {
    while (!this.#stopped) {
      let connection: Deno.Conn;
      try {
        connection = await listener.accept();
      } catch (error) {
        if (this.#stopped) return;
        if (!this.#failing.has(listener)) {
          this.#failing.set(listener, { since: performance.now(), reason: reasonOf(error) });
        }
        this.#options.onTrouble(`connections cannot be accepted: ${reasonOf(error)}`);
        // An idle connection may free the descriptor that is missing.
        this.#closeIdlest();
        await delay(RETRY_MS);
        continue;
      }
      this.#failing.delete(listener);
      try {
        this.#take(connection);
      } catch (error) {
        // An exception here would end the loop, and no further connection would be accepted.
        this.#options.onTrouble(`a connection is closed, since it cannot be served: ${reasonOf(error)}`);
        closeQuietly(connection);
      }
    }
  }

  #take(connection: Deno.Conn): void {
    const { most, mostOfClient = Infinity, serve, onTrouble, onRefused } = this.#options;
    const from = addressOf(connection);
    const refuse = (why: string) => {
      onRefused?.();
      onTrouble(`a connection is refused: ${why}`);
      connection.close();
    };
    if (this.#count(from) >= mostOfClient) this.#closeIdlest(from);
    if (this.#count(from) >= mostOfClient) {
      // Without its address, so that clients with many cause no more log lines than one.
      return refuse(`one client has ${mostOfClient} in use, which is the most that it may have`);
    }
    if (this.#clients.size >= most) this.#closeIdlest();
    if (this.#clients.size >= most) return refuse(`${most} are in use, which is the most that it takes`);
    const client = serve(connection, () => this.#clients.delete(client));
    this.#clients.set(client, from);
  }

  #count(from: string): number {
    let count = 0;
    for (const its of this.#clients.values()) if (its === from) count++;
    return count;
  }

  /** @param from Of connections from this address alone. */
  #closeIdlest(from?: string): void {
    const idlest = this.#idlest(from);
    if (idlest) closeQuietly(idlest);
  }

  #idlest(from: string | undefined): AcceptedConnection | undefined {
    let idlest: AcceptedConnection | undefined, since = Infinity;
    for (const [client, its] of this.#clients) {
      if (from !== undefined && its !== from) continue;
      const idle = client.idleSince();
      if (idle === undefined || idle >= since) continue;
      idlest = client;
      since = idle;
    }
    return idlest;
  }

  /** The problem for /readyz while connections cannot be accepted. */
  problem(name: string): { what: string; fix: string; blocks: true } | undefined {
    if (!this.failing) return undefined;
    const { since, reason } = this.failing, seconds = Math.round((performance.now() - since) / 1000);
    return {
      what: `${name} accepts no connections since ${seconds} s: ${reason}`,
      fix: ACCEPT_FIX,
      blocks: true,
    };
  }

  /** Accepts no more connections; existing ones stay open. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const listener of this.#listeners) listener.close();
    await this.#done;
  }
}

/** The address that a connection comes from; empty where that is not known, as of a Unix socket. */
function addressOf({ remoteAddr }: Deno.Conn): string {
  return remoteAddr && "hostname" in remoteAddr ? remoteAddr.hostname : "";
}

/** Closes a connection that its client or an error may have closed already. */
function closeQuietly(connection: { close(): void }): void {
  try {
    connection.close();
  } catch {
    // It is closed already.
  }
}

/**
 * Listens for TCP connections.
 *
 * @param settings The settings to change when the address cannot be listened on.
 * @throws Refusal "unavailable"
 */
export function listenOn(listen: HostPort, settings: string): Deno.TcpListener {
  try {
    return Deno.listen({ hostname: listen.host, port: listen.port, tcpBacklog: BACKLOG });
  } catch (error) {
    const message = `${settings}: cannot listen on ${formatHostPort(listen)}: ${reasonOf(error)}`;
    throw new Refusal("unavailable", message, { cause: error });
  }
}

/**
 * The limit of connections of a listener: `most`, or `share` of the file descriptors that this process may open, if
 * that is less.
 */
export function connectionLimit(most: number, share: number): number {
  return Math.min(most, Math.max(8, Math.floor(descriptorLimit() * share)));
}

let descriptors: number | undefined;

/** RLIMIT_NOFILE, or Linux's default where it cannot be read. It is read once, since gatewayd has a thousand listeners. */
function descriptorLimit(): number {
  return descriptors ??= readDescriptorLimit();
}

function readDescriptorLimit(): number {
  try {
    const [, soft] = /^Max open files +(\d+|unlimited)/m.exec(Deno.readTextFileSync("/proc/self/limits")) ??
      [];
    if (soft === "unlimited") return Infinity;
    if (soft !== undefined) return Number(soft);
  } catch {
    // No /proc, or no right to read it.
  }
  return 1024;
}
