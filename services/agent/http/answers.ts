import { STATUS_CODES } from "node:http";
import { messageOf, printable, Refusal, type RefusalCode } from "../../common/refusal.ts";
import { UnknownOutcome } from "../../store/errors.ts";

/** What goes back for a request. */
export interface Answer {
  readonly status: number;
  /** Empty for none. */
  readonly body: string;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export const statusOf: Readonly<Record<RefusalCode, number>> = {
  "invalid": 400,
  "forbidden": 400,
  "not-found": 404,
  "exists": 409,
  "exhausted": 409,
  "conflict": 409,
  "unavailable": 503,
};

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

/** `{"error": "sentence"}` for anything thrown; what is neither a Refusal nor an HttpError is a fault of ours: 500. */
export function errorAnswer(error: unknown): Answer {
  const sentence = messageOf(error);
  if (error instanceof HttpError) {
    return { ...json(error.status, { error: sentence }), headers: error.headers };
  }
  if (error instanceof Refusal) return json(statusOf[error.code], { error: sentence });
  if (error instanceof UnknownOutcome) {
    return json(503, { error: `etcd's answer was lost, look before trying again: ${sentence}` });
  }
  return json(500, { error: `the agent failed at this, its log says more: ${sentence}` });
}

/** An answer as bytes of HTTP/1.1 that end the connection, for sockets that have no response object. */
export function rawAnswer({ status, body, type = "text/plain", headers = {} }: Answer): string {
  const fields = {
    ...headers,
    "content-type": type,
    "content-length": String(new TextEncoder().encode(body).length),
    "connection": "close",
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Error"}\r\n${lines}\r\n${body}`;
}
