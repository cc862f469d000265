/** Accepts connections, and goes on doing so whatever clients and a lack of file descriptors do. */
import { delay } from "../async.ts";
import { formatHostPort, type HostPort } from "../host_port.ts";
import { reasonOf, Refusal } from "../refusal.ts";

/** Connections that the kernel keeps until they are accepted: thousands may come at once. */
const BACKLOG = 4096;
/** Milliseconds until accepting is tried again after it failed, as it does when file descriptors have run out. */
const AGAIN = 100;

/** A listening socket of any kind. */
export type Listening = Pick<Deno.Listener, "accept" | "close">;

/** A connection that was accepted, as far as making room for others goes. */
export interface Client {
  /** Since when it has been waiting for its client, by performance.now(); undefined: it is in use. */
  idleSince(): number | undefined;
  close(): void;
}

export interface AcceptorOptions {
  /** Connections at once. One more closes the one that has been idle for longest; where none is idle, it is refused. */
  readonly most: number;
  /** Serves a connection; `closed` is to be called once, when it has been closed. */
  readonly serve: (connection: Deno.Conn, closed: () => void) => Client;
  /** Told, in a sentence, when a connection is refused or accepting fails. */
  readonly onTrouble: (what: string) => void;
  readonly onRefused?: () => void;
}

/** A listening socket of any kind and its connections. */
export class Acceptor {
  readonly #listener: Listening;
  readonly #options: AcceptorOptions;
  readonly #clients = new Set<Client>();
  readonly #done: Promise<void>;
  #stopped = false;
  #failing: { readonly since: number; readonly reason: string } | undefined;

  /** @param listener Closed with this. */
  constructor(listener: Listening, options: AcceptorOptions) {
    this.#listener = listener;
    this.#options = options;
    this.#done = this.#accept();
  }

  get clients(): ReadonlySet<Client> {
    return this.#clients;
  }

  /** Set while connections cannot be accepted; `since` by performance.now(). */
  get failing(): { readonly since: number; readonly reason: string } | undefined {
    return this.#failing;
  }

  async #accept(): Promise<void> {
    while (!this.#stopped) {
      let connection: Deno.Conn;
      try {
        connection = await this.#listener.accept();
      } catch (error) {
        if (this.#stopped) return;
        this.#failing ??= { since: performance.now(), reason: reasonOf(error) };
        this.#options.onTrouble(`connections cannot be accepted: ${reasonOf(error)}`);
        // One that only waits has the descriptor that is missing.
        this.#closeIdlest();
        await delay(AGAIN);
        continue;
      }
      this.#failing = undefined;
      try {
        this.#take(connection);
      } catch (error) {
        // Nobody else would be accepted any more.
        this.#options.onTrouble(`a connection is closed, since it cannot be served: ${reasonOf(error)}`);
        closeQuietly(connection);
      }
    }
  }

  #take(connection: Deno.Conn): void {
    const { most, serve, onTrouble, onRefused } = this.#options;
    if (this.#clients.size >= most) this.#closeIdlest();
    if (this.#clients.size >= most) {
      onRefused?.();
      onTrouble(`a connection is refused: ${most} are in use, which is the most that it takes`);
      connection.close();
      return;
    }
    const client = serve(connection, () => this.#clients.delete(client));
    this.#clients.add(client);
  }

  #closeIdlest(): void {
    const idlest = this.#idlest();
    if (idlest) closeQuietly(idlest);
  }

  #idlest(): Client | undefined {
    let idlest: Client | undefined, since = Infinity;
    for (const client of this.#clients) {
      const idle = client.idleSince();
      if (idle === undefined || idle >= since) continue;
      idlest = client;
      since = idle;
    }
    return idlest;
  }

  /** What is wrong, for /readyz: connections cannot be accepted. */
  problem(name: string): { what: string; fix: string; blocks: true } | undefined {
    if (!this.#failing) return undefined;
    const { since, reason } = this.#failing, seconds = Math.round((performance.now() - since) / 1000);
    return {
      what: `${name} accepts no connections since ${seconds} s: ${reason}`,
      fix: "it is tried again all the time; where files are too many, raise LimitNOFILE or see who connects",
      blocks: true,
    };
  }

  /** Accepts no more; the connections there are stay. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#listener.close();
    await this.#done;
  }
}

/** It may be closed already, by its client or by what failed. */
function closeQuietly(connection: { close(): void }): void {
  try {
    connection.close();
  } catch {
    // It is gone, which is all that was wanted.
  }
}

/**
 * Listens for TCP connections.
 *
 * @param settings What to change where that cannot be listened on.
 * @throws Refusal
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
 * How many connections a listener may have: `most`, or `share` of the file descriptors that this process may open,
 * if that is less.
 */
export function connectionLimit(most: number, share: number): number {
  return Math.min(most, Math.max(8, Math.floor(descriptorLimit() * share)));
}

/** RLIMIT_NOFILE; what Linux gives by default where it cannot be read. */
function descriptorLimit(): number {
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
