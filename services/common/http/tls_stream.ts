/** A byte stream over the TLS socket of an accepted connection. */
import type { TLSSocket } from "node:tls";
import type { ByteStream } from "./byte_stream.ts";
import type { UnderTls } from "../deno/under_tls.ts";

/** The most bytes that are read ahead of the reader. */
const AHEAD = 65_536;

/** The decrypted side of a TLS connection. */
export class TlsStream implements ByteStream {
  readonly #socket: TLSSocket;
  readonly #under: UnderTls;
  readonly #gone = new AbortController();
  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  #ended = false;
  /** Called at each event of the socket. */
  #wake = () => {};

  /** @param socket Opened with allowHalfOpen, on `under`. */
  constructor(socket: TLSSocket, under: UnderTls) {
    this.#socket = socket;
    this.#under = under;
    socket.on("data", (bytes: Uint8Array) => {
      this.#queue.push(bytes);
      this.#queued += bytes.length;
      if (this.#queued > AHEAD) under.hold();
      this.#wake();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
    socket.on("error", (error) => this.#lost(error));
    socket.on("close", () => this.#lost(new Error("the connection is closed")));
    if (socket.destroyed) this.#lost(new Error("the connection is closed"));
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const bytes = this.#queue.shift();
      if (bytes) {
        this.#queued -= bytes.length;
        if (this.#queued < AHEAD / 2) this.#under.release();
        return bytes;
      }
      if (this.#ended) return undefined;
      this.#gone.signal.throwIfAborted();
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#settled((done) => this.#socket.write(bytes, done));
  }

  async finish(): Promise<void> {
    await this.#settled((done) => this.#socket.end(done));
    await this.#under.written();
  }

  close(): void {
    this.#socket.destroy();
    this.#under.close();
  }

  /** Without close_notify, which {@link finish} sends, the client knows that something is missing. */
  abort(): void {
    this.#socket.destroy();
    this.#under.abort();
  }

  #lost(error: Error): void {
    this.#gone.abort(error);
    this.#wake();
  }

  /** Waits for a callback, or for the end of the socket: a destroyed socket may never call back. */
  #settled(begin: (done: (error?: Error | null) => void) => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { signal } = this.#gone;
    const lost = () => reject(signal.reason);
    signal.addEventListener("abort", lost, { once: true });
    if (signal.aborted) lost();
    else begin((error) => error ? reject(error) : resolve());
    return promise.finally(() => signal.removeEventListener("abort", lost));
  }
}
