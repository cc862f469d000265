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

/** A connection of Deno's. Over TLS it can be half-closed too, though its type does not say so. */
export class ConnectionEnd implements End {
  readonly #connection: Deno.TcpConn;
  #buffer = new Uint8Array(SMALLEST);
  #closed = false;

  constructor(connection: Deno.TcpConn | Deno.TlsConn) {
    this.#connection = connection as Deno.TcpConn;
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
    while (bytes.length) bytes = bytes.subarray(await this.#connection.write(bytes));
  }

  finish(): Promise<void> {
    return this.#connection.closeWrite();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }
}

/** A TCP connection whose other side's silent end the kernel notices. */
export function lasting(connection: Deno.TcpConn): End {
  connection.setKeepAlive(true);
  connection.setNoDelay(true);
  return new ConnectionEnd(connection);
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
