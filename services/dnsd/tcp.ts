/** DNS over TCP (RFC 7766). Several queries of one connection are answered at once. */
import { abortConnection } from "../../ffi/abort.ts";
import { Mutex } from "../common/async.ts";
import { read16, write16 } from "../common/bytes.ts";
import { checkEvery } from "../common/check_every.ts";
import {
  type AcceptedConnection,
  Acceptor,
  connectionLimit,
  type Listening,
} from "../common/http/acceptor.ts";
import { HEADER } from "./wire.ts";

/** While the answers that a client has not read are longer than this in octets, no query is read from it. */
const UNWRITTEN_MAX = 65536;

/** Answers a query; undefined: it gets no answer. */
export type StreamAnswer = (query: Uint8Array) => Promise<Uint8Array | undefined> | Uint8Array | undefined;

export interface TcpOptions {
  /** The address at which it listens, for messages: `TCP on 10.0.0.1:53`. */
  readonly name: string;
  readonly answer: StreamAnswer;
  /** Connections at once; one more closes the one that has been idle the longest, or is refused. Default 256. */
  readonly maxConnections?: number;
  /** Of these, of one client's address. Default a quarter, but two at least. */
  readonly maxOfClient?: number;
  /** Milliseconds without a whole query after which a connection is closed (RFC 7766 §6.2.3). Default 10,000. */
  readonly idle?: number;
  /** Queries of one connection that are answered at once; no more are read meanwhile. Default 32. */
  readonly maxPipelined?: number;
  readonly onConnection?: (accepted: boolean) => void;
  /** Called with a sentence when a connection is refused or none can be accepted. */
  readonly onTrouble?: (what: string) => void;
}

/** A listening socket and its connections. */
export class TcpServer {
  readonly #acceptor: Acceptor;
  readonly #name: string;

  /** @param listener closed with this */
  constructor(listener: Listening, options: TcpOptions) {
    const { name, maxConnections = 256, onConnection, onTrouble } = options;
    this.#name = name;
    const most = connectionLimit(maxConnections, 1 / 4);
    this.#acceptor = new Acceptor(listener, {
      most,
      mostOfClient: options.maxOfClient ?? Math.max(2, Math.floor(most / 4)),
      serve: (conn, closed) => {
        onConnection?.(true);
        const connection = new TcpConnection(conn, options, closed);
        connection.serve();
        return connection;
      },
      onTrouble: (what) => onTrouble?.(`${name}: ${what}`),
      onRefused: () => onConnection?.(false),
    });
  }

  /** The problem for /readyz, if there is one. */
  problem(): ReturnType<Acceptor["problem"]> {
    return this.#acceptor.problem(this.#name);
  }

  async stop(): Promise<void> {
    const stopped = this.#acceptor.stop();
    for (const connection of this.#acceptor.clients) connection.close();
    await stopped;
  }
}

class TcpConnection implements AcceptedConnection {
  lastUse = performance.now();
  underWay = 0;
  readonly #conn: Deno.Conn;
  readonly #options: TcpOptions;
  readonly #onClose: () => void;
  readonly #endChecks: () => void;
  readonly #idle: number;
  /** Answers go out one after another. */
  readonly #writes = new Mutex();
  #unwritten = 0;
  #resume: (() => void) | undefined;
  #open = true;

  constructor(conn: Deno.Conn, options: TcpOptions, onClose: () => void) {
    this.#conn = conn;
    this.#options = options;
    this.#onClose = onClose;
    this.#idle = options.idle ?? 10_000;
    this.#endChecks = checkEvery(Math.max(this.#idle / 4, 10), () => this.#checkIdle());
  }

  async serve(): Promise<void> {
    try {
      await this.#read();
      // The client may have closed its side only: answers that are under way are still sent.
      while (this.#open && this.underWay > 0) await new Promise<void>((resolve) => this.#resume = resolve);
    } catch {
      // Reset by the peer, or closed by us.
    } finally {
      this.close();
    }
  }

  idleSince(): number | undefined {
    return this.underWay ? undefined : this.lastUse;
  }

  /** Splits the stream into messages: each is two octets of length and the message itself. */
  async #read(): Promise<void> {
    const { maxPipelined = 32 } = this.#options;
    let have = new Uint8Array(512), used = 0;
    for (;;) {
      const count = await this.#conn.read(have.subarray(used));
      if (count === null) return;
      used += count;
      let at = 0;
      while (used - at >= 2) {
        const length = read16(have, at);
        if (used - at - 2 < length) break;
        if (length < HEADER) return;
        this.lastUse = performance.now();
        this.underWay++;
        this.#answer(have.slice(at + 2, at + 2 + length));
        at += 2 + length;
        while (this.#open && (this.underWay >= maxPipelined || this.#unwritten > UNWRITTEN_MAX)) {
          await new Promise<void>((resolve) => this.#resume = resolve);
        }
      }
      have.copyWithin(0, at, used);
      used -= at;
      const wanted = used >= 2 ? 2 + read16(have, 0) : 2;
      if (wanted > have.length || used === have.length) {
        const larger = new Uint8Array(Math.max(wanted, 512));
        larger.set(have.subarray(0, used));
        have = larger;
      }
    }
  }

  async #answer(query: Uint8Array): Promise<void> {
    try {
      const answer = await this.#options.answer(query);
      if (answer) {
        const message = new Uint8Array(2 + answer.length);
        write16(message, 0, answer.length);
        message.set(answer, 2);
        this.#unwritten += message.length;
        await this.#writes.run(() => this.#write(message));
        this.#unwritten -= message.length;
      }
    } catch {
      this.close();
    } finally {
      this.underWay--;
      this.lastUse = performance.now();
      this.#resume?.();
    }
  }

  async #write(message: Uint8Array): Promise<void> {
    for (let at = 0; at < message.length;) at += await this.#conn.write(message.subarray(at));
  }

  /** Closes the connection of a client that sends no query, or does not read its answers. */
  #checkIdle(): void {
    if (performance.now() - this.lastUse >= this.#idle) this.close();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#endChecks();
    this.#onClose();
    // An answer that the client does not read would keep the socket open.
    if (this.#unwritten) abortConnection(this.#conn);
    this.#conn.close();
    this.#resume?.();
  }
}
