/**
 * A connection as Node's HTTP parser sees it: the parser gets one request, and the next only when that has been
 * answered.
 */
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Duplex } from "node:stream";
import { ReadAheadStream } from "./read_ahead_stream.ts";
import { type ByteStream, PrefixedStream } from "./byte_stream.ts";
import { PATIENCE } from "./answers.ts";
import { nextTurn, WorkScheduler } from "./work_scheduler.ts";

/** The bytes that are written at a time: each piece that the client takes shows that it still reads. */
const PIECE = 65_536;
/** After this many pieces of input other connections get their turn: the parser may take 100 µs for one. */
const TURN = 16;
const LF = 10, CR = 13;

/** Limits in milliseconds: for a request's head, for its body, and for the silence between two requests. */
export interface Limits {
  readonly head: number;
  readonly request: number;
  readonly idle: number;
}

/** Addresses of a connection, where it has them. */
export interface ClientPeer {
  readonly remoteAddress: string | undefined;
  readonly localAddress: string | undefined;
  /** The name in the client's certificate, where it has shown one. */
  readonly certificate?: string | undefined;
}

/**
 * Node's parser consumes everything it is given: thousands of pipelined requests in one read become thousands of
 * objects and responses, before it is known whether the client reads them. So the parser gets one head at a time, as
 * much of a body as its length says, or one line of a chunked body; and no byte of the next request before the last
 * one has been answered and the client has taken the response. The connection is not read meanwhile, so TCP holds the
 * client back. All clients together get only a part of this process's time, see {@link WorkScheduler}.
 */
export class RequestSocket extends Duplex {
  readonly remoteAddress: string | undefined;
  readonly localAddress: string | undefined;
  readonly certificate: string | undefined;
  readonly #end: ByteStream;
  readonly #limits: Limits;
  #request: IncomingMessage | undefined;
  #response: ServerResponse | undefined;
  /** The remaining bytes of the request's body, where its length is known. */
  #left = 0;
  /** The number of responses sent. */
  #served = 0;
  /** True when a part of the next request has arrived. */
  #begun = false;
  /** The time of the last change of state, and since when the client has not read, by performance.now(). */
  #since = performance.now();
  #writing: number | undefined;
  /** Bytes that were read and not yet passed to the parser. */
  #rest = Buffer.alloc(0);
  #taken = false;
  #wake = () => {};
  static readonly #turns = new WorkScheduler();

  constructor(end: ByteStream, { remoteAddress, localAddress, certificate }: ClientPeer, limits: Limits) {
    super({ allowHalfOpen: true });
    this.#end = end;
    this.#limits = limits;
    this.remoteAddress = remoteAddress;
    this.localAddress = localAddress;
    this.certificate = certificate;
    void this.#feed();
  }

  /** Must be called when the parser has read a request's head. */
  begin(request: IncomingMessage, response: ServerResponse): void {
    const { "transfer-encoding": coding, "content-length": length } = request.headers;
    this.#request = request;
    this.#response = response;
    this.#left = coding === undefined ? Number(length ?? 0) : 0;
    response.once("close", () => {
      this.#request = undefined;
      this.#begun = false;
      this.#served++;
      this.#since = performance.now();
      this.#wake();
    });
  }

  /** Since when it has been idle; undefined: a request is being answered, or the connection was detached. */
  get idleSince(): number | undefined {
    if (this.#taken) return undefined;
    return this.#writing ?? (this.#request?.complete ? undefined : this.#since);
  }

  /** True while no response has been begun that closing would cut short. */
  get unanswered(): boolean {
    return this.#request === undefined || !this.#response?.headersSent;
  }

  /** True between two requests, and before the first. */
  get idle(): boolean {
    return !this.#request && !this.#begun;
  }

  /** The limit that is exceeded at this time; undefined: none. */
  late(now: number): "idle" | "request" | "answer" | undefined {
    if (this.destroyed) return undefined;
    const { head, request, idle } = this.#limits, took = now - this.#since;
    if (this.#writing !== undefined) return now - this.#writing > request ? "answer" : undefined;
    if (this.#request) return !this.#request.complete && took > request ? "request" : undefined;
    if (this.idle && this.#served) return took > idle ? "idle" : undefined;
    return took > head ? "request" : undefined;
  }

  /** Detaches the connection from the parser, with the bytes that the parser was not given. */
  detach(): ByteStream {
    this.#taken = true;
    this.destroy();
    return new PrefixedStream(this.#rest, this.#end);
  }

  /** Like {@link detach}, for a stream in both directions. */
  detachStream(): ReadAheadStream {
    return new ReadAheadStream(this.detach());
  }

  /** Called by Node after the last answer of a connection. */
  destroySoon(): void {
    this.end();
    // Further input is read and discarded: a reset would discard the response.
    const timer = setTimeout(() => this.destroy(), PATIENCE);
    this.once("close", () => clearTimeout(timer));
  }

  /** Called by Node between requests; {@link late} says when one is overdue. */
  setTimeout(): this {
    return this;
  }

  override resume(): this {
    super.resume();
    this.#wake();
    return this;
  }

  override _read(): void {}

  override _write(bytes: Uint8Array, _encoding: string, done: (error?: Error) => void): void {
    this.#send(bytes).then(() => done(), done);
  }

  override _final(done: (error?: Error) => void): void {
    this.#end.finish().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#taken) this.#end.close();
    this.#wake();
    done(error);
  }

  async #send(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; at += PIECE) {
      this.#writing = performance.now();
      await this.#end.write(bytes.subarray(at, at + PIECE));
    }
    this.#writing = undefined;
  }

  async #feed(): Promise<void> {
    try {
      for (let read; (read = await this.#end.read());) {
        const bytes = Buffer.from(read);
        // After the last response of a connection nothing is parsed any more.
        for (let at = 0, turn = 0; !this.destroyed && !this.writableEnded; turn++) {
          if (this.idle) at = afterEmptyLines(bytes, at);
          if (at === bytes.length) break;
          if (turn % TURN === 0) await RequestSocket.#turns.next();
          if (this.destroyed) return;
          const from = at;
          at = this.#boundary(bytes, from);
          this.#rest = bytes.subarray(at);
          this.#give(bytes.subarray(from, at));
          if (this.#request?.complete || this.readableLength) await this.#turn();
        }
        if (this.destroyed) return;
      }
      this.push(null);
    } catch {
      // The client has closed, or this socket was destroyed.
      if (!this.#taken) this.destroy();
    }
  }

  /** How far the parser may be given these bytes: to the end of a head or line, or of the rest of a body. */
  #boundary(bytes: Buffer, from: number): number {
    if (this.#left) return Math.min(bytes.length, from + this.#left);
    // A read may begin with the rest of a line, even of the empty line that ends a head.
    const oneLine = this.#request !== undefined || from === 0 && this.#begun;
    return oneLine ? bytes.indexOf(LF, from) + 1 || bytes.length : endOfHead(bytes, from);
  }

  #give(bytes: Buffer): void {
    if (this.#left) this.#left -= bytes.length;
    else if (this.idle) {
      this.#begun = true;
      this.#since = performance.now();
    }
    this.push(bytes);
  }

  /** Waits while a request is being answered, or the parser has not taken its input. */
  async #turn(): Promise<void> {
    while (!this.destroyed && (this.#request?.complete || this.readableLength)) {
      // While it is paused or busy, an event says when it continues; otherwise Node passes on what is buffered by
      // itself.
      if (this.#request?.complete || this.isPaused()) {
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
      await nextTurn();
    }
  }
}

/** Empty lines may precede a request (RFC 9112 §2.2). */
function afterEmptyLines(bytes: Buffer, at: number): number {
  while (bytes[at] === LF || bytes[at] === CR) at++;
  return at;
}

/**
 * The position after the first empty line from `at`, which is the start of a line; the end of the bytes when there is
 * none.
 */
function endOfHead(bytes: Buffer, at: number): number {
  while (at < bytes.length) {
    const end = bytes.indexOf(LF, at) + 1 || bytes.length;
    if (end - at === 1 || end - at === 2 && bytes[at] === CR) return end;
    at = end;
  }
  return bytes.length;
}
