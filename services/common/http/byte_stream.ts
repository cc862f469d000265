/** The interface of a byte stream in both directions, and its implementation over Deno's connections. */

/** One side of a byte stream in both directions. Only one read and one write may run at a time. */
export interface ByteStream {
  /** The next bytes, valid until the next read; undefined: the other side has ended its direction. */
  read(): Promise<Uint8Array | undefined>;
  /** Resolves when the system has accepted the bytes, so a slow reader is waited for. */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the own direction; reading continues. */
  finish(): Promise<void>;
  /** Closes both directions; pending reads and writes fail. */
  close(): void;
  /** Closes both directions, and the other side reads an error where it would read an end, if the kind of end allows. */
  abort(): void;
}

/** The sizes of read buffers in bytes: small at first, since most streams are short, and larger once one was filled. */
const SMALLEST = 4096, LARGEST = 65_536;

/**
 * Ends a TCP connection with a pending write, whose socket Deno's close() would leave open; with `reset`, the other side
 * is told that it broke.
 */
export type Abort = (connection: Deno.Conn, reset?: boolean) => void;

export interface ConnectionOptions {
  readonly abort?: Abort;
  readonly onClose?: () => void;
}

/** An end over a Deno connection. Over TLS it can be half-closed too, although its type does not say so. */
export class ConnectionStream implements ByteStream {
  readonly #connection: Deno.TcpConn;
  readonly #options: ConnectionOptions;
  #buffer = new Uint8Array(SMALLEST);
  #writing = false;
  #closed = false;

  constructor(connection: Deno.Conn, options: ConnectionOptions = {}) {
    this.#connection = connection as Deno.TcpConn;
    this.#options = options;
  }

  async read(): Promise<Uint8Array | undefined> {
    const n = await this.#connection.read(this.#buffer);
    if (n === null) return undefined;
    const bytes = this.#buffer.subarray(0, n);
    const { length } = this.#buffer;
    if (n === length && length < LARGEST) this.#buffer = new Uint8Array(length * 4);
    return bytes;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#writing = true;
    while (bytes.length) bytes = bytes.subarray(await this.#connection.write(bytes));
    this.#writing = false;
  }

  finish(): Promise<void> {
    return this.#connection.closeWrite();
  }

  close(): void {
    this.#close(false);
  }

  abort(): void {
    this.#close(true);
  }

  #close(reset: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    if (reset || this.#writing) this.#options.abort?.(this.#connection, reset);
    this.#connection.close();
    this.#options.onClose?.();
  }
}

/** An end from which some bytes were read before. */
export class PrefixedStream implements ByteStream {
  #rest: Uint8Array;
  readonly #end: ByteStream;

  constructor(rest: Uint8Array, end: ByteStream) {
    this.#rest = rest;
    this.#end = end;
  }

  read(): Promise<Uint8Array | undefined> {
    const rest = this.#rest;
    if (!rest.length) return this.#end.read();
    this.#rest = new Uint8Array();
    return Promise.resolve(rest);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#end.write(bytes);
  }

  finish(): Promise<void> {
    return this.#end.finish();
  }

  close(): void {
    this.#end.close();
  }

  abort(): void {
    this.#end.abort();
  }
}
