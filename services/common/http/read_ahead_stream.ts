/** A byte stream that reads a little ahead of its reader, by which a lost connection is noticed while nothing is read. */
import type { ByteStream } from "./byte_stream.ts";

/** The most bytes that are read ahead of the reader; then TCP holds the sender back. */
const AHEAD = 262_144;

/**
 * An end that reads ahead of its reader, so that a reset is noticed at once. Only a little is read ahead: TCP holds
 * back a sender that is faster than the reader.
 */
export class ReadAheadStream implements ByteStream {
  readonly #end: ByteStream;
  readonly #gone = new AbortController();
  readonly #queue: Uint8Array[] = [];
  #queued = 0;
  #ended = false;
  /** Called when data or the end has arrived, and when data was taken. */
  #came = () => {};
  #taken = () => {};

  constructor(end: ByteStream) {
    this.#end = end;
    void this.#pump();
  }

  /** Aborted once the connection is lost or closed; not when the other side has only ended its own direction. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Resolves when there is something to read, or after that many ms. */
  async speaks(within: number): Promise<void> {
    if (this.#queued || this.#ended || this.gone.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#came = resolve;
    const timer = setTimeout(resolve, within);
    await promise;
    clearTimeout(timer);
  }

  async read(): Promise<Uint8Array | undefined> {
    for (;;) {
      const bytes = this.#queue.shift();
      if (bytes) {
        this.#queued -= bytes.length;
        this.#taken();
        return bytes;
      }
      if (this.#ended) return undefined;
      this.gone.throwIfAborted();
      await new Promise<void>((resolve) => this.#came = resolve);
    }
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#end.write(bytes);
  }

  finish(): Promise<void> {
    return this.#end.finish();
  }

  close(): void {
    this.#lost(new Error("the connection is closed"));
    this.#end.close();
  }

  abort(): void {
    this.#lost(new Error("the connection is closed"));
    this.#end.abort();
  }

  async #pump(): Promise<void> {
    try {
      for (let bytes; (bytes = await this.#end.read());) {
        // An end's bytes are valid only until its next read.
        this.#queue.push(bytes.slice());
        this.#queued += bytes.length;
        this.#came();
        while (this.#queued > AHEAD && !this.gone.aborted) {
          await new Promise<void>((resolve) => this.#taken = resolve);
        }
      }
      this.#ended = true;
      this.#came();
    } catch (error) {
      this.#lost(error);
    }
  }

  #lost(error: unknown): void {
    this.#gone.abort(error);
    this.#came();
    this.#taken();
  }
}
