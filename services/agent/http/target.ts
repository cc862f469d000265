/** Splits the target of an HTTP request into the segments of its path and its query. */
import { HttpError } from "./answers.ts";

/** A request's path and query. */
export interface RequestTarget {
  /** The parts of the path, percent-decoded: `["networks", "320a…"]`. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
}

/**
 * Reads a request target in origin form (`/networks?x=y`) or absolute form (`http://host/networks`), RFC 9112 §3.2.
 *
 * @throws HttpError 400
 */
export function readTarget(text: string): RequestTarget {
  const origin = text.replace(/^https?:\/\/[^/?]*/i, "");
  const [path = "", ...query] = origin.split("?");
  if (origin !== "" && !/^[/?]/.test(origin)) {
    throw new HttpError(400, `the request's target "${text.slice(0, 80)}" is not a path, like /networks`);
  }
  try {
    return {
      path: path.slice(1).split("/").map(decodeURIComponent),
      query: new URLSearchParams(query.join("?")),
    };
  } catch {
    throw new HttpError(400, `the path "${path.slice(0, 80)}" has a % that begins no percent-encoded UTF-8`);
  }
}
