/**
 * Serves the dashboard of the demo at this machine's loopback, since the demo's server is in a namespace that no
 * browser reaches.
 */
import { libc } from "../../ffi/libc.ts";
import { openNamespace } from "../../ffi/netns.ts";
import { connectIn } from "../../ffi/sockets_in.ts";
import { delay } from "../../services/common/async.ts";
import type { LabHost } from "./lab.ts";

/** The address at which the dashboard listens by default. */
const PORT = 8090, LOOPBACK = "127.0.0.1";
/** A browser that is quicker than the dashboard's start waits: how often is tried, and how long between tries, in ms. */
const TRIES = 100, PAUSE = 100;

/** Passes connections on to the dashboard of a host. */
export class DemoPage implements Disposable {
  readonly #namespace: number;
  readonly #listener: Deno.TcpListener;
  readonly #connections = new Set<Deno.TcpConn>();
  #isClosed = false;

  constructor(server: LabHost) {
    this.#namespace = openNamespace(server.path);
    this.#listener = listen();
    void this.#run();
  }

  get url(): string {
    return `http://${LOOPBACK}:${this.#listener.addr.port}`;
  }

  async #run(): Promise<void> {
    while (!this.#isClosed) {
      const client = await this.#listener.accept().catch(() => undefined);
      if (client) void this.#pass(client);
      else await delay(PAUSE); // It is being closed, or this process has too many files open.
    }
  }

  async #pass(client: Deno.TcpConn): Promise<void> {
    this.#connections.add(client);
    let server: Deno.TcpConn | undefined;
    try {
      server = await this.#connect();
      this.#connections.add(server);
      const { readable, writable } = server;
      // HTTP has no use for half of a connection: once one side is done, the other is closed.
      await Promise.race([client.readable.pipeTo(writable), readable.pipeTo(client.writable)]);
    } catch {
      // The browser or the demo has ended it.
    } finally {
      for (const connection of [client, server]) if (connection) this.#end(connection);
    }
  }

  async #connect(): Promise<Deno.TcpConn> {
    for (let tries = 1;; tries++) {
      try {
        return await connectIn(this.#namespace, { hostname: LOOPBACK, port: PORT });
      } catch (error) {
        if (this.#isClosed || tries === TRIES) throw error;
        await delay(PAUSE);
      }
    }
  }

  #end(connection: Deno.TcpConn): void {
    if (!this.#connections.delete(connection)) return;
    try {
      connection.close();
    } catch {
      // Its streams have closed it.
    }
  }

  [Symbol.dispose](): void {
    this.#isClosed = true;
    this.#listener.close();
    for (const connection of this.#connections) this.#end(connection);
    libc.close(this.#namespace);
  }
}

/** Another demo, or a dashboard of this machine, may have the port that readers of the documentation expect. */
function listen(): Deno.TcpListener {
  try {
    return Deno.listen({ hostname: LOOPBACK, port: PORT });
  } catch {
    return Deno.listen({ hostname: LOOPBACK, port: 0 });
  }
}
