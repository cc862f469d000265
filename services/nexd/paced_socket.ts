/**
 * A connection as nexd gives it to HTTP/2: its bytes are passed on a kilobyte at a time. However many clients send, all of
 * them together get only a part of this process's time, see {@link Turns}.
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { EndDuplex } from "../common/http/end_duplex.ts";
import type { End } from "../common/http/ends.ts";
import { Turns } from "../common/http/turns.ts";

/** The bytes that are parsed at a time: they may contain some 30 calls, each begun and reset at once. */
const PIECE = 1024;

export class PacedSocket extends EndDuplex {
  #wake = () => {};
  static readonly #turns = new Turns();

  /** The address and port are the client's; grpc-js names a call's peer by them. */
  constructor(end: End, readonly remoteAddress: string | undefined, readonly remotePort: number | undefined) {
    super(end);
    void this.#feed();
  }

  override _read(): void {
    this.#wake();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    super._destroy(error, done);
    this.#wake();
  }

  async #feed(): Promise<void> {
    try {
      for (let read; (read = await this.transport.read());) {
        for (let at = 0; at < read.length; at += PIECE) {
          await PacedSocket.#turns.next();
          if (this.destroyed) return;
          if (this.push(Buffer.from(read.subarray(at, at + PIECE)))) continue;
          await new Promise<void>((resolve) => this.#wake = resolve);
        }
      }
      this.push(null);
    } catch {
      // The client has closed the connection, or this socket was destroyed.
      this.destroy();
    }
  }
}

/** A connection of node:net. While nothing is read from it, TCP holds the client back. */
export class SocketEnd implements End {
  readonly #socket: Socket;
  #wake = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    for (const event of ["readable", "end", "close"]) socket.on(event, () => this.#wake());
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const bytes: Uint8Array | null = this.#socket.read();
      if (bytes) return bytes;
      if (this.#socket.readableEnded) return undefined;
      if (this.#socket.destroyed) throw new Error("the connection is closed");
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve());
    });
  }

  finish(): Promise<void> {
    return new Promise((resolve) => this.#socket.end(() => resolve()));
  }

  close(): void {
    this.#socket.destroy();
  }
}
