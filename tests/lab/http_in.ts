/** HTTP inside a network namespace, one connection a request: enough to ask an agent or an etcd that lives there. */
import { connectIn, type Endpoint } from "../../ffi/sockets_in.ts";

export interface Question {
  readonly method?: string;
  readonly path: string;
  readonly body?: string | undefined;
  /** How long the answer may take, in ms (default 30,000). */
  readonly timeout?: number | undefined;
}

export interface Answer {
  readonly status: number;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/**
 * Asks a server inside a namespace.
 *
 * @throws Error when it cannot be reached, goes away before it has answered, or takes too long.
 */
export async function requestIn(namespace: number, at: Endpoint, question: Question): Promise<Answer> {
  const { method = "GET", path, body, timeout = 30_000 } = question;
  const connection = await connectIn(namespace, at);
  let closed: string | undefined;
  const close = (why: string) => {
    if (closed !== undefined) return;
    closed = why;
    connection.close();
  };
  const timer = setTimeout(() => close(`no answer in ${timeout} ms`), timeout);
  try {
    const content = new TextEncoder().encode(body ?? "");
    const head = [
      `${method} ${path} HTTP/1.1`,
      `Host: ${at.hostname}:${at.port}`,
      "Connection: close",
      ...(body === undefined ? [] : ["Content-Type: application/json", `Content-Length: ${content.length}`]),
    ].join("\r\n");
    // A server that refuses a body answers before it has read it.
    writeAll(connection, new TextEncoder().encode(`${head}\r\n\r\n`), content).catch(() => {});
    return parse(await readAll(connection));
  } catch (error) {
    throw new Error(`${method} ${path}: ${closed ?? error}`, { cause: error });
  } finally {
    clearTimeout(timer);
    close("done");
  }
}

async function writeAll(connection: Deno.Conn, ...parts: Uint8Array[]): Promise<void> {
  for (const part of parts) {
    for (let sent = 0; sent < part.length;) sent += await connection.write(part.subarray(sent));
  }
}

async function readAll(connection: Deno.Conn): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  const buffer = new Uint8Array(65_536);
  try {
    for (let n; (n = await connection.read(buffer)) !== null;) chunks.push(buffer.slice(0, n));
  } catch (error) {
    // It may be reset by a server that has not read all of the question; what came first counts.
    if (chunks.length === 0) throw error;
  }
  return joined(chunks);
}

function parse(bytes: Uint8Array): Answer {
  const end = indexOf(bytes, "\r\n\r\n", 0);
  const [line = "", ...fields] = ascii(bytes.subarray(0, Math.max(0, end))).split("\r\n");
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(line)?.[1]);
  if (end < 0 || !status) throw new Error(`no HTTP answer: ${ascii(bytes.subarray(0, 200))}`);
  const headers = new Map(fields.map((field) => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()];
  }));
  const rest = bytes.subarray(end + 4);
  if (status === 100) return parse(rest);
  const length = headers.get("content-length");
  if (length !== undefined && rest.length !== Number(length)) {
    throw new Error(`${rest.length} bytes of an answer of ${length}`);
  }
  const body = headers.get("transfer-encoding") === "chunked" ? dechunked(rest) : rest;
  return { status, headers, body: new TextDecoder().decode(body) };
}

function dechunked(bytes: Uint8Array): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (let at = 0;;) {
    const end = indexOf(bytes, "\r\n", at);
    const size = parseInt(ascii(bytes.subarray(at, Math.max(at, end))), 16);
    if (Number.isNaN(size)) throw new Error("an answer that is cut short");
    if (size === 0) return joined(chunks);
    chunks.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

function indexOf(bytes: Uint8Array, text: string, from: number): number {
  const wanted = new TextEncoder().encode(text);
  for (let at = from; at <= bytes.length - wanted.length; at++) {
    if (wanted.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  return -1;
}

function ascii(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
