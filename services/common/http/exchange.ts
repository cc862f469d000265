/**
 * Sends one HTTP/1.1 request over its own connection and reads the response: the client side for programs and
 * services that call each other. It needs only a byte stream, so a Unix socket, TLS and a connection made inside a
 * network namespace all work; and it is small, since a container runtime starts a process for each request.
 */
import { concat } from "../bytes.ts";
import type { ByteStream } from "./byte_stream.ts";

export interface HttpRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  /** The header Host. */
  readonly host: string;
  /** Headers by name; Connection, Host and Content-Length are added. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
}

export interface HttpResponse {
  readonly status: number;
  /** Headers by lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
  /** The bytes after the head of a 200 to a CONNECT: the beginning of the stream. */
  readonly rest: Uint8Array;
}

/** The bytes are no HTTP/1.1 response. */
export class NotHttp extends Error {
  override readonly name = "NotHttp";
  constructor(what = "that is no answer of HTTP") {
    super(what);
  }
}

/** The longest head that is read, in bytes. */
const LONGEST_HEAD = 16_384;

const none = new Uint8Array();

/**
 * Sends a request and reads its response. The connection is not closed, since after a CONNECT it is the stream.
 *
 * @param options.most The most bytes of the body that are read.
 * @throws NotHttp; Error when the connection fails or ends before the response does
 */
export async function exchange(
  end: ByteStream,
  request: HttpRequest,
  { most = Infinity }: { readonly most?: number } = {},
): Promise<HttpResponse> {
  const input = new Input(end);
  // A server may refuse a body before it has read all of it, and its response counts then. A failed connection makes
  // the reads fail as well.
  end.write(encoded(request)).catch(() => {});
  let head: Head;
  do head = await readHead(input); while (head.status < 200);
  const { status, headers } = head;
  if (request.method === "CONNECT" && status === 200) {
    return { status, headers, body: none, rest: input.takeAll() };
  }
  const empty = request.method === "HEAD" || status === 204 || status === 304;
  return { status, headers, body: empty ? none : await readBody(input, headers, most), rest: none };
}

/**
 * Sends a request whose answer goes on, as a stream of events does. Resolves with its head; the content of the chunks comes as it
 * is sent, in pieces of any length, and ends with the answer. The connection is not closed.
 *
 * @throws NotHttp where the answer is not in chunks; Error when the connection fails, also from `chunks`
 */
export async function exchangeInChunks(
  end: ByteStream,
  request: HttpRequest,
): Promise<{ readonly status: number; readonly chunks: AsyncIterable<Uint8Array> }> {
  const input = new Input(end);
  // A failed connection makes the reads fail as well.
  end.write(encoded(request)).catch(() => {});
  const { status, headers } = await readHead(input);
  if (status === 200 && !isInChunks(headers)) throw new NotHttp("the answer is not in chunks");
  return { status, chunks: chunksOf(input) };
}

function encoded({ method, target, host, headers = {}, body }: HttpRequest): Uint8Array {
  const fields = {
    "Host": host,
    // After a CONNECT the connection is a stream, which its two sides end.
    ...(method !== "CONNECT" && { "Connection": "close" }),
    ...(body && { "Content-Length": String(body.length) }),
    ...headers,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = new TextEncoder().encode(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`);
  return body ? concat([head, body]) : head;
}

interface Head {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
}

async function readHead(input: Input): Promise<Head> {
  const [first = "", ...lines] = (await input.head()).split(/\r?\n/);
  const status = Number(/^HTTP\/1\.[01] (\d{3})( |$)/.exec(first)?.[1] ?? 0);
  if (!status) throw new NotHttp();
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status, headers };
}

/** Reads a body (RFC 9112 §6.3): in chunks, with a given length, or until the connection ends. */
async function readBody(input: Input, headers: Head["headers"], most: number): Promise<Uint8Array> {
  if (isInChunks(headers)) return await readChunks(input, most);
  const length = headers.get("content-length");
  if (length === undefined) return await input.untilEnd(most);
  if (!/^\d+$/.test(length)) throw new NotHttp(`the answer has the length "${length}"`);
  return await input.take(Math.min(Number(length), most));
}

function isInChunks(headers: Head["headers"]): boolean {
  return /\bchunked$/i.test(headers.get("transfer-encoding") ?? "");
}

async function readChunks(input: Input, most: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  if (most <= 0) return none;
  for await (const piece of chunksOf(input)) {
    pieces.push(piece);
    length += piece.length;
    if (length >= most) break;
  }
  return concat(pieces).subarray(0, most);
}

/**
 * The content of a body's chunks, until the empty one that ends it (RFC 9112 §7.1): in pieces as they come, since a chunk may be as
 * long as its sender likes.
 */
async function* chunksOf(input: Input): AsyncGenerator<Uint8Array> {
  for (;;) {
    const line = await input.line(), size = /^([\da-f]{1,8}) *(;.*)?$/i.exec(line)?.[1];
    if (size === undefined) throw new NotHttp(`the answer has a chunk of the length "${line.slice(0, 20)}"`);
    let left = Number.parseInt(size, 16);
    if (left === 0) return;
    while (left > 0) {
      const piece = await input.takeSome(left);
      left -= piece.length;
      yield piece;
    }
    await input.line();
  }
}

/** The received part of a response, and the source of the rest. */
class Input {
  /** Received bytes that were not taken are between the two positions. */
  #buffer = new Uint8Array(4096);
  #from = 0;
  #to = 0;

  constructor(private readonly end: ByteStream) {}

  /** The head's lines, without the empty one that ends it. */
  async head(): Promise<string> {
    for (let seen = 0;;) {
      const bytes = this.#buffer.subarray(this.#from, this.#to), length = headLength(bytes, seen);
      if (!beginsAsHttp(bytes) || (length === undefined && bytes.length > LONGEST_HEAD)) throw new NotHttp();
      if (length !== undefined) {
        this.#from += length;
        return text(bytes.subarray(0, length)).trimEnd();
      }
      seen = Math.max(0, bytes.length - 2);
      await this.#more();
    }
  }

  async line(): Promise<string> {
    for (let seen = 0;;) {
      const bytes = this.#buffer.subarray(this.#from, this.#to), at = bytes.indexOf(10, seen);
      if (at < 0 && bytes.length > LONGEST_HEAD) throw new NotHttp();
      if (at >= 0) {
        this.#from += at + 1;
        return text(bytes.subarray(0, at)).trimEnd();
      }
      seen = bytes.length;
      await this.#more();
    }
  }

  async take(length: number): Promise<Uint8Array> {
    while (this.#to - this.#from < length) await this.#more();
    return this.#slice(length);
  }

  /** The bytes that have come, as soon as there are any. */
  async takeSome(most: number): Promise<Uint8Array> {
    if (this.#from === this.#to) await this.#more();
    return this.#slice(Math.min(most, this.#to - this.#from));
  }

  takeAll(): Uint8Array {
    return this.#slice(this.#to - this.#from);
  }

  async untilEnd(most: number): Promise<Uint8Array> {
    while (this.#to - this.#from < most && await this.#read());
    return this.#slice(Math.min(this.#to - this.#from, most));
  }

  #slice(length: number): Uint8Array {
    return this.#buffer.slice(this.#from, this.#from += length);
  }

  async #more(): Promise<void> {
    if (!await this.#read()) throw new Error("the connection came to its end of file before the answer did");
  }

  async #read(): Promise<boolean> {
    const bytes = await this.end.read();
    if (!bytes) return false;
    if (this.#to + bytes.length > this.#buffer.length) this.#makeRoom(bytes.length);
    this.#buffer.set(bytes, this.#to);
    this.#to += bytes.length;
    return true;
  }

  #makeRoom(length: number): void {
    const left = this.#buffer.subarray(this.#from, this.#to), needed = left.length + length;
    const larger = new Uint8Array(Math.max(needed, this.#buffer.length * 2));
    larger.set(left);
    [this.#buffer, this.#from, this.#to] = [larger, 0, left.length];
  }
}

const BEGINNING = new TextEncoder().encode("HTTP/1.");

/** False as soon as the bytes cannot become a response: a server of another protocol may keep the connection open. */
function beginsAsHttp(bytes: Uint8Array): boolean {
  return bytes.subarray(0, BEGINNING.length).every((byte, i) => byte === BEGINNING[i]);
}

/** The length of the head with its empty line; undefined: that line has not arrived yet. */
function headLength(bytes: Uint8Array, from: number): number | undefined {
  for (let at = from; (at = bytes.indexOf(10, at) + 1) > 0;) {
    if (bytes[at] === 10) return at + 1;
    if (bytes[at] === 13 && bytes[at + 1] === 10) return at + 2;
  }
  return undefined;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
