/** One side of a stream. Only one read and one write are under way at a time. */
export interface End {
  /** What came, until the next read; undefined: the other side has no more to say. */
  read(): Promise<Uint8Array | undefined>;
  /** Resolves when the system has taken the bytes: who reads slowly is waited for. */
  write(bytes: Uint8Array): Promise<void>;
  /** Says that nothing more will come; reading goes on. */
  finish(): Promise<void>;
  /** Tears both directions down; what waits fails. */
  close(): void;
}

/** Reads begin small, since most streams are, and one that fills its buffer gets a larger one; in bytes. */
const SMALLEST = 4096, LARGEST = 65_536;

/** Ends a TCP connection on which a write is pending: Deno's close() leaves such a socket open. */
export type Abort = (connection: Deno.Conn) => void;

export interface ConnectionOptions {
  readonly abort?: Abort;
  readonly onClose?: () => void;
}

/** A connection of Deno's. Over TLS it can be half-closed too, though its type does not say so. */
export class ConnectionEnd implements End {
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
    if (this.#closed) return;
    this.#closed = true;
    if (this.#writing) this.#options.abort?.(this.#connection);
    this.#connection.close();
    this.#options.onClose?.();
  }
}

/** An end of which something was read before. */
export class RestEnd implements End {
  #rest: Uint8Array;
  readonly #end: End;

  constructor(rest: Uint8Array, end: End) {
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
}
