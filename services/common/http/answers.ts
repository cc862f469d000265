/** Answers of HTTP/1.1, by a response object or as bytes. */
import { Buffer } from "node:buffer";
import { type ServerResponse, STATUS_CODES } from "node:http";
import { printable } from "../refusal.ts";
import type { End } from "./ends.ts";

/** What goes back for a request. */
export interface Answer {
  readonly status: number;
  /** Empty for none. */
  readonly body: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A refusal of HTTP's own, for which the domain has no word. */
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

/** An answer with this as its JSON. */
export function json(status: number, body: unknown): Answer {
  return { status, body: JSON.stringify(body) + "\n", type: "application/json" };
}

/** Sends an answer; the last one of its connection when the server is closing. */
export function send(
  response: ServerResponse,
  { status, body, type, headers }: Answer,
  closing: boolean,
): void {
  response.writeHead(status, {
    ...headers,
    ...(closing && { connection: "close" }),
    ...(status !== 204 && {
      "content-type": type ?? "text/plain",
      "content-length": Buffer.byteLength(body),
      "cache-control": "no-store",
    }),
  });
  response.end(body);
}

/** An answer as bytes of HTTP/1.1 that end the connection, for connections that have no response object. */
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
 * Sends a last answer and closes, not before the client has closed its side: if the connection were closed with bytes
 * unread, the kernel would reset it and the client would lose the answer.
 */
export async function closeWithResponse(end: End, answer: Answer): Promise<void> {
  const timer = setTimeout(() => end.close(), PATIENCE);
  try {
    await end.write(new TextEncoder().encode(rawAnswer(answer)));
    await end.finish();
    while (await end.read());
  } catch {
    // The client has gone: there is no one to tell.
  } finally {
    clearTimeout(timer);
    end.close();
  }
}
