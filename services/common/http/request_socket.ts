/** A connection as Node's HTTP parser sees it: it is given one request, and the next when that has been answered. */
import { Buffer } from "node:buffer";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Duplex } from "node:stream";
import { AheadEnd } from "./ahead_end.ts";
import { type End, RestEnd } from "./ends.ts";
import { PATIENCE } from "./answers.ts";
import { nextTurn, Turns } from "./turns.ts";

/** So much is written at a time, in bytes: each piece that the client takes shows that it still reads. */
const PIECE = 65_536;
/** After so many pieces of input other connections have their turn: the parser takes up to 100 µs for one. */
const TURN = 16;
const LF = 10, CR = 13;

/** In milliseconds: until a client has sent a request's head, its body, and how long it may be silent between two. */
export interface Limits {
  readonly head: number;
  readonly request: number;
  readonly idle: number;
}

/** Addresses of a connection, where it has them. */
export interface ClientPeer {
  readonly remoteAddress: string | undefined;
  readonly localAddress: string | undefined;
}

/**
 * Node's parser takes whatever it is given: thousands of pipelined requests in one read become thousands of objects and
 * answers, before anyone looks whether the client reads them. So it is given a head at a time, as much of a body as its
 * length says, or a line of a body that comes in chunks; and never a byte of the next request before the last one has been
 * answered and the client has taken the answer. Nothing is read from the connection meanwhile, so that TCP holds the
 * client back. However many clients send, all of them together have only a part of this process's time, see {@link Turns}.
 */
export class RequestSocket extends Duplex {
  readonly remoteAddress: string | undefined;
  readonly localAddress: string | undefined;
  readonly #end: End;
  readonly #limits: Limits;
  #request: IncomingMessage | undefined;
  #response: ServerResponse | undefined;
  /** Bytes of the request's body that are still to come, where it says how many they are. */
  #left = 0;
  /** Answers that were sent. */
  #served = 0;
  /** Something of the next request has come. */
  #begun = false;
  /** Since when things are as they are, and since when the client has not read, by performance.now(). */
  #since = performance.now();
  #writing: number | undefined;
  /** What was read and not given to the parser. */
  #rest = Buffer.alloc(0);
  #taken = false;
  #wake = () => {};
  static readonly #turns = new Turns();

  constructor(end: End, { remoteAddress, localAddress }: ClientPeer, limits: Limits) {
    super({ allowHalfOpen: true });
    this.#end = end;
    this.#limits = limits;
    this.remoteAddress = remoteAddress;
    this.localAddress = localAddress;
    void this.#feed();
  }

  /** To be called when the parser has read a request's head. */
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

  /** Since when it has been waiting for the client; undefined: a request is being answered, or it was taken away. */
  get idleSince(): number | undefined {
    if (this.#taken) return undefined;
    return this.#writing ?? (this.#request?.complete ? undefined : this.#since);
  }

  /** True while no byte of an answer has been sent that would be cut short. */
  get unanswered(): boolean {
    return this.#request === undefined || !this.#response?.headersSent;
  }

  /** True between two requests, and before the first. */
  get idle(): boolean {
    return !this.#request && !this.#begun;
  }

  /** What the client takes too long for, at this time; undefined: nothing. */
  late(now: number): "idle" | "request" | "answer" | undefined {
    if (this.destroyed) return undefined;
    const { head, request, idle } = this.#limits, took = now - this.#since;
    if (this.#writing !== undefined) return now - this.#writing > request ? "answer" : undefined;
    if (this.#request) return !this.#request.complete && took > request ? "request" : undefined;
    if (this.idle && this.#served) return took > idle ? "idle" : undefined;
    return took > head ? "request" : undefined;
  }

  /** Takes the connection away from the parser, with what it has not been given. */
  detach(): End {
    this.#taken = true;
    this.destroy();
    return new RestEnd(this.#rest, this.#end);
  }

  /** The same, for a stream in both directions. */
  detachStream(): AheadEnd {
    return new AheadEnd(this.detach());
  }

  /** Called by Node after the last answer of a connection. */
  destroySoon(): void {
    this.end();
    // What the client still sends is read and thrown away: a reset would take the answer back.
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
        // After the last answer of a connection nothing is parsed any more.
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
      // The client has gone, or this was destroyed.
      if (!this.#taken) this.destroy();
    }
  }

  /** Up to where the parser may be given these bytes: the end of a head or line, or of what is left of a body. */
  #boundary(bytes: Buffer, from: number): number {
    if (this.#left) return Math.min(bytes.length, from + this.#left);
    // What a read begins with may be the rest of a line, even of the empty one that ends a head.
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

  /** Waits while a request is being answered, or what was given has not been taken. */
  async #turn(): Promise<void> {
    while (!this.destroyed && (this.#request?.complete || this.readableLength)) {
      // Paused or busy, it tells when it goes on; otherwise Node hands over what is buffered on its own.
      if (this.#request?.complete || this.isPaused()) {
        await new Promise<void>((resolve) => this.#wake = resolve);
      }
      await nextTurn();
    }
  }
}

/** A request may come after empty lines (RFC 9112 §2.2). */
function afterEmptyLines(bytes: Buffer, at: number): number {
  while (bytes[at] === LF || bytes[at] === CR) at++;
  return at;
}

/** Behind the first empty line from `at`, where a line begins; the end of what there is when there is none. */
function endOfHead(bytes: Buffer, at: number): number {
  while (at < bytes.length) {
    const end = bytes.indexOf(LF, at) + 1 || bytes.length;
    if (end - at === 1 || end - at === 2 && bytes[at] === CR) return end;
    at = end;
  }
  return bytes.length;
}
