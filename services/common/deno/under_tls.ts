/** The connection under node:tls, which in Deno 2.9.3 reads on into memory without limit while it is paused. */
import { NodeStream } from "../http/node_stream.ts";
import type { ByteStream } from "../http/byte_stream.ts";
import type { ClientPeer } from "../http/request_socket.ts";

/** The reader of the decrypted side pauses this stream in place of TLS; the kernel then holds the client back. */
export class UnderTls extends NodeStream {
  readonly remoteAddress: string | undefined;
  #held = false;
  #waiting = false;
  /** The write that the connection has not taken yet. */
  #writing: Promise<void> = Promise.resolve();

  constructor(end: ByteStream, { remoteAddress }: Pick<ClientPeer, "remoteAddress">) {
    super(end);
    this.remoteAddress = remoteAddress;
  }

  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    if (this.#waiting) this._read();
  }

  /** Resolves when the connection has taken everything that TLS has given to it so far; rejects when it is lost. */
  written(): Promise<void> {
    return this.#writing;
  }

  /** Closes the connection at once, also while it takes bytes. */
  close(): void {
    this.destroy();
    this.transport.close();
  }

  abort(): void {
    this.destroy();
    this.transport.abort();
  }

  override _write(bytes: Uint8Array, encoding: string, done: (error?: Error) => void): void {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#writing = promise;
    this.#writing.catch(() => {}); // `done` is told.
    super._write(bytes, encoding, (error) => {
      if (error) reject(error);
      else resolve();
      done(error);
    });
  }

  /** TLS destroys this at once after it has written its last record, close_notify, which is waited for here. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (error) return super._destroy(error, done);
    this.#writing.then(() => super._destroy(null, done), (lost) => super._destroy(lost, done));
  }

  override _read(): void {
    this.#waiting = this.#held;
    if (!this.#waiting) super._read();
  }
}
