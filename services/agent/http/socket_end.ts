import type { Socket } from "node:net";
import type { End } from "./ends.ts";

/** So much is read ahead of who takes it, in bytes. */
const AHEAD = 262_144;

/** A socket of Node's, plain or TLS, that was opened with allowHalfOpen. */
export class SocketEnd implements End {
  readonly #socket: Socket;
  readonly #gone = new AbortController();
  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  #held = false;
  #ended = false;
  /** Called when something has happened to the socket. */
  #wake = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (bytes: Uint8Array) => {
      this.#queue.push(bytes);
      this.#queued += bytes.length;
      this.#flow();
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

  /** Aborted once both directions are closed. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Resolves when there is something to read, or after so many ms. */
  async speaks(within: number): Promise<void> {
    if (this.#queued || this.#ended || this.gone.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const timer = setTimeout(resolve, within);
    await promise;
    clearTimeout(timer);
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const bytes = this.#queue.shift();
      if (bytes) {
        this.#queued -= bytes.length;
        this.#flow();
        return bytes;
      }
      if (this.#ended) return undefined;
      this.gone.throwIfAborted();
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  write(bytes: Uint8Array | string): Promise<void> {
    return this.#settled((done) => this.#socket.write(bytes, done));
  }

  finish(): Promise<void> {
    return this.#settled((done) => this.#socket.end(done));
  }

  close(): void {
    this.#socket.destroy();
  }

  #lost(error: Error): void {
    this.#gone.abort(error);
    this.#wake();
  }

  /** Holds the sender back while more is queued than ought to be. */
  #flow(): void {
    const hold = this.#queued > (this.#held ? AHEAD / 2 : AHEAD);
    if (hold === this.#held || this.#ended || this.#socket.destroyed) return;
    this.#held = hold;
    const handle = tcpUnder(this.#socket);
    if (handle) hold ? handle.readStop() : handle.readStart();
    else hold ? this.#socket.pause() : this.#socket.resume();
  }

  /** A socket that is destroyed may never call back. */
  #settled(begin: (done: (error?: Error | null) => void) => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const lost = () => reject(this.gone.reason);
    this.gone.addEventListener("abort", lost, { once: true });
    if (this.gone.aborted) lost();
    else begin((error) => error ? reject(error) : resolve());
    return promise.finally(() => this.gone.removeEventListener("abort", lost));
  }
}

/** What Node calls a handle, as far as it is used here. */
interface Handle {
  readStop(): unknown;
  readStart(): unknown;
}

/**
 * The TCP connection under TLS; undefined for plain TCP. A TLS socket of Deno 2.9.3 that is paused reads on into memory
 * without limit, and forgets that the client has ended its side; where TCP is not read, the kernel holds the client back.
 */
function tcpUnder(socket: Socket): Handle | undefined {
  const raw: unknown = Reflect.get(socket, "_parent");
  const handle: unknown = typeof raw === "object" && raw ? Reflect.get(raw, "_handle") : undefined;
  return typeof handle === "object" && handle && "readStop" in handle ? handle as Handle : undefined;
}
