/** Sends HTTP/1.1 responses, through a response object or as raw bytes. */
import { Buffer } from "node:buffer";
import { type ServerResponse, STATUS_CODES } from "node:http";
import { printable } from "../refusal.ts";
import type { ByteStream } from "./byte_stream.ts";

/** A response to a request. */
export interface Answer {
  readonly status: number;
  /** Empty for none. */
  readonly body: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Its Cache-Control; `no-store` by default. */
  readonly cache?: string;
}

/** An error that only HTTP has a status for, so that it is no Refusal of the domain. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  constructor(
    readonly status: number,
    message: string,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(printable(message));
  }
}

/** A response with a JSON body. */
export function json(status: number, body: unknown): Answer {
  return { status, body: JSON.stringify(body) + "\n", type: "application/json" };
}

/** Sends a response; while the server is closing, it is the connection's last one. */
export function send(
  response: ServerResponse,
  { status, body, type, headers, cache = "no-store" }: Answer,
  closing: boolean,
): void {
  response.writeHead(status, {
    ...headers,
    ...(closing && { connection: "close" }),
    ...(status !== 204 && {
      "content-type": type ?? "text/plain",
      "content-length": Buffer.byteLength(body),
      "cache-control": cache,
    }),
  });
  response.end(body);
}

/** A response as raw HTTP/1.1 that ends the connection, for connections without a response object. */
export function rawAnswer({ status, body, type = "text/plain", headers = {} }: Answer): string {
  const fields = {
    ...headers,
    "content-type": type,
    "content-length": String(Buffer.byteLength(body)),
    "connection": "close",
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}\r\n${lines}\r\n${body}`;
}

/** How long a client may take to read its last answer, in ms. */
export const PATIENCE = 2000;

/**
 * Sends a last response and closes only after the client has closed its side: if bytes were unread at closing, the
 * kernel would reset the connection and the client would lose the response.
 */
export async function closeWithResponse(end: ByteStream, answer: Answer): Promise<void> {
  const timer = setTimeout(() => end.close(), PATIENCE);
  try {
    await end.write(new TextEncoder().encode(rawAnswer(answer)));
    await end.finish();
    while (await end.read());
  } catch {
    // The client is gone, so no response can be sent.
  } finally {
    clearTimeout(timer);
    end.close();
  }
}
