/**
 * Accepts TCP connections of a listening socket that another process has opened, through node:net, since
 * Deno.listen() takes no descriptor.
 */
import net from "node:net";
import type { Listening } from "../common/http/acceptor.ts";

/** Connections that wait to be taken; while there are more, they are closed. */
const MOST_WAITING = 16;

/** A listening socket by its descriptor, which is closed with it. */
export class ReceivedListener implements Listening {
  readonly #server: net.Server;
  readonly #waiting: net.Socket[] = [];
  #taker: PromiseWithResolvers<Deno.Conn> | undefined;
  #closed = false;

  constructor(fd: number) {
    this.#server = net.createServer({ pauseOnConnect: true }, (socket) => this.#arrived(socket));
    this.#server.on("error", (error) => this.#taker?.reject(error));
    this.#server.listen({ fd });
  }

  accept(): Promise<Deno.Conn> {
    const socket = this.#waiting.shift();
    if (socket) return Promise.resolve(asConn(socket));
    if (this.#closed) return Promise.reject(new Error("closed"));
    this.#taker = Promise.withResolvers();
    return this.#taker.promise;
  }

  #arrived(socket: net.Socket): void {
    // An error is reported by the call that it makes fail.
    socket.on("error", () => {});
    const taker = this.#taker;
    this.#taker = undefined;
    if (taker) taker.resolve(asConn(socket));
    else if (this.#waiting.length < MOST_WAITING && !this.#closed) this.#waiting.push(socket);
    else socket.destroy();
  }

  close(): void {
    this.#closed = true;
    this.#server.close();
    for (const socket of this.#waiting) socket.destroy();
    this.#taker?.reject(new Error("closed"));
  }
}

/** The members of a Deno.Conn that are used. */
function asConn(socket: net.Socket): Deno.Conn {
  return new HandedConn(socket) as Pick<Deno.Conn, "read" | "write" | "close" | "remoteAddr"> as Deno.Conn;
}

class HandedConn {
  readonly remoteAddr: Deno.NetAddr;

  constructor(private readonly socket: net.Socket) {
    const { remoteAddress: hostname = "", remotePort: port = 0 } = socket;
    this.remoteAddr = { transport: "tcp", hostname, port };
  }

  /** Reads what is there, at most until `into` is full. @returns null at the end */
  async read(into: Uint8Array): Promise<number | null> {
    const { socket } = this;
    for (;;) {
      const available = Math.min(socket.readableLength, into.length);
      const octets: Uint8Array | null = socket.read(available || undefined);
      if (octets) {
        // With nothing to wait for, read() may give more than was there just before.
        if (octets.length > into.length) socket.unshift(octets.subarray(into.length));
        into.set(octets.subarray(0, into.length));
        return Math.min(octets.length, into.length);
      }
      if (socket.readableEnded || socket.destroyed) return null;
      await new Promise<void>((resolve) => {
        const events = ["readable", "end", "close"] as const;
        const done = () => {
          for (const event of events) socket.off(event, done);
          resolve();
        };
        for (const event of events) socket.on(event, done);
      });
    }
  }

  write(octets: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) =>
      this.socket.write(octets, (error) => error ? reject(error) : resolve(octets.length))
    );
  }

  close(): void {
    this.socket.destroy();
  }
}
