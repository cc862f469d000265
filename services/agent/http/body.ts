import type { IncomingMessage } from "node:http";
import { HttpError } from "./answers.ts";

/** The largest body that is read, and the most that is read and thrown away so that the client hears of it. */
export const LARGEST_BODY = 1 << 20;
const LARGEST_DISCARDED = 32 << 20;

/** The client went away, or was too slow: there is nobody to answer. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

/**
 * Reads a request's body.
 *
 * @param proceed Called before reading where the client waits to be told to go on (Expect: 100-continue).
 * @throws HttpError 413 for one that is too large, ClientGone
 */
export function readBody(request: IncomingMessage, proceed?: () => void): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const tooLarge = () =>
    reject(
      new HttpError(413, `the body is larger than ${LARGEST_BODY} bytes, the most that is taken`, {
        connection: "close",
      }),
    );
  if (proceed && Number(request.headers["content-length"]) > LARGEST_BODY) {
    tooLarge();
    return promise;
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  request.on("data", (chunk: Uint8Array) => {
    length += chunk.length;
    if (length <= LARGEST_BODY) chunks.push(chunk);
    else chunks.length = 0;
    if (length > LARGEST_DISCARDED) tooLarge();
  });
  request.on("end", () => length > LARGEST_BODY ? tooLarge() : resolve(joined(chunks, length)));
  request.on("error", (error) => reject(new ClientGone("the client has gone", { cause: error })));
  request.on("close", () => reject(new ClientGone("the client has gone")));
  const { socket } = request;
  // Node leaves it to us to see that the rest will never come, since it may be ended while it waits for its answer.
  const cut = () => {
    if (!request.complete) socket.destroy();
  };
  socket.once("end", cut);
  proceed?.();
  return promise.finally(() => socket.off("end", cut));
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const body = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}
