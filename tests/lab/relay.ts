/**
 * A relay on loopback, or between Unix sockets, whose replies can be held back: how an answer is lost after the request
 * arrived.
 */
export class Relay implements Disposable {
  readonly #listener: Deno.Listener;
  readonly #connections = new Set<Deno.Conn>();
  #swallow = false;
  #swallowed = Promise.withResolvers<void>();
  #called = Promise.withResolvers<void>();
  #open = 0;

  /**
   * @param target Where to, like `http://127.0.0.1:2379` or a Unix socket's path; asked for each connection.
   * @param path The Unix socket on which it listens, in place of a port.
   */
  constructor(private readonly target: () => string, path?: string) {
    this.#listener = path === undefined
      ? Deno.listen({ hostname: "127.0.0.1", port: 0 })
      : Deno.listen({ transport: "unix", path });
    this.#accept();
  }

  /** With a port. */
  get endpoint(): string {
    return `http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  /** How many connections are open. */
  get open(): number {
    return this.#open;
  }

  /** Resolves at the next connection. */
  called(): Promise<void> {
    this.#called = Promise.withResolvers();
    return this.#called.promise;
  }

  /** From now on nothing comes back; resolves when something would have. */
  swallowReplies(): Promise<void> {
    this.#swallowed = Promise.withResolvers();
    this.#swallow = true;
    return this.#swallowed.promise;
  }

  /** Breaks every connection and lets new ones work. */
  cut(): void {
    this.#swallow = false;
    for (const connection of this.#connections) close(connection);
    this.#connections.clear();
  }

  [Symbol.dispose](): void {
    this.#listener.close();
    this.cut();
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      this.#open++;
      this.#called.resolve();
      const server = await connect(this.target()).catch(() => undefined);
      if (!server) {
        close(client);
        this.#open--;
        continue;
      }
      this.#connections.add(client).add(server);
      const copies = [
        this.#copy(client, server, () => true),
        this.#copy(server, client, () => !this.#swallow),
      ];
      void Promise.all(copies).then(() => this.#open--);
    }
  }

  async #copy(from: Deno.Conn, to: Deno.Conn, passes: () => boolean): Promise<void> {
    const buffer = new Uint8Array(65_536);
    try {
      for (let n; (n = await from.read(buffer)) !== null;) {
        if (!passes()) {
          this.#swallowed.resolve();
          continue;
        }
        for (let sent = 0; sent < n;) sent += await to.write(buffer.subarray(sent, n));
      }
    } catch {
      // Cut, by us or by one of the ends.
    }
    close(from);
    close(to);
  }
}

function connect(target: string): Promise<Deno.Conn> {
  if (target.startsWith("/")) return Deno.connect({ transport: "unix", path: target });
  const { hostname, port } = new URL(target);
  return Deno.connect({ hostname, port: Number(port) });
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
