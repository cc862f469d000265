/** A TCP relay on loopback whose replies can be held back: how an answer is lost after the request arrived. */
export class Relay implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #connections = new Set<Deno.Conn>();
  #swallow = false;
  #swallowed = Promise.withResolvers<void>();

  /** @param target Where to, like `http://127.0.0.1:2379`; asked for each connection. */
  constructor(private readonly target: () => string) {
    this.#accept();
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#listener.addr.port}`;
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
      const { hostname, port } = new URL(this.target());
      const server = await Deno.connect({ hostname, port: Number(port) }).catch(() => undefined);
      if (!server) {
        close(client);
        continue;
      }
      this.#connections.add(client).add(server);
      this.#copy(client, server, () => true);
      this.#copy(server, client, () => !this.#swallow);
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

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // Closed already.
  }
}
