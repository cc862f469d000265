/** Reads request bodies. The total in memory is limited, however many clients send one. */
import type { IncomingMessage } from "node:http";
import { HttpError } from "./answers.ts";

/** The largest body, and the most that is read and discarded so that the client receives the refusal. */
export const LARGEST_BODY = 1 << 20;
const LARGEST_DISCARDED = 32 << 20;
/** The most bytes of all bodies in memory together; one request usually has a few hundred. */
const MOST_HELD = 32 << 20;
const SMALLEST = 1024;

/** The client closed or was too slow: no answer can be sent. */
export class ClientGone extends Error {
  override readonly name = "ClientGone";
}

/** A request's body, which counts towards the limit until it is disposed of. */
export class Body implements Disposable {
  static readonly #held = new Set<Body>();
  static #total = 0;

  #buffer = new Uint8Array(0);
  #length = 0;
  #complete = false;

  /** @param onRefused Called when the body must give up its memory for others. */
  constructor(private readonly onRefused: () => void) {
    Body.#held.add(this);
  }

  get bytes(): Uint8Array {
    return this.#buffer.subarray(0, this.#length);
  }

  /** The bytes are copied: a small view would keep the whole buffer that it is part of in memory. */
  add(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) this.#grow(Math.max(length, this.#buffer.length * 2, SMALLEST));
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
    while (Body.#total > MOST_HELD && Body.#refuseLargest());
  }

  complete(): void {
    this.#complete = true;
  }

  [Symbol.dispose](): void {
    if (!Body.#held.delete(this)) return;
    Body.#total -= this.#buffer.length;
    this.#buffer = new Uint8Array(0);
    this.#length = 0;
  }

  #grow(size: number): void {
    const buffer = new Uint8Array(size);
    buffer.set(this.bytes);
    Body.#total += size - this.#buffer.length;
    this.#buffer = buffer;
  }

  /** Drops the largest incomplete body; false where all are complete and only wait for their answers. */
  static #refuseLargest(): boolean {
    let largest: Body | undefined, size = 0;
    for (const body of Body.#held) {
      if (body.#complete || body.#buffer.length <= size) continue;
      largest = body;
      size = body.#buffer.length;
    }
    largest?.[Symbol.dispose]();
    largest?.onRefused();
    return largest !== undefined;
  }
}

/**
 * Reads a request's body.
 *
 * @param proceed Called before reading, where the client waits for 100 Continue.
 * @throws HttpError 413 for a body that is too large, 503 when there is no memory for it, ClientGone
 */
export function readBody(request: IncomingMessage, proceed?: () => void): Promise<Body> {
  const { promise, resolve, reject } = Promise.withResolvers<Body>();
  const refuse = (status: number, message: string) =>
    reject(new HttpError(status, message, { connection: "close" }));
  const tooLarge = () => refuse(413, `the body is larger than ${LARGEST_BODY} bytes, the most that is taken`);
  if (proceed && Number(request.headers["content-length"]) > LARGEST_BODY) {
    tooLarge();
    return promise;
  }
  let length = 0, over = false;
  const body = new Body(() => {
    over = true;
    refuse(503, `requests that are not complete take ${MOST_HELD} bytes, the most that is held: try again`);
  });
  request.on("data", (chunk: Uint8Array) => {
    length += chunk.length;
    if (over) return;
    if (length <= LARGEST_BODY) body.add(chunk);
    else body[Symbol.dispose]();
    if (length > LARGEST_DISCARDED) tooLarge();
  });
  request.on("end", () => {
    if (length > LARGEST_BODY) return tooLarge();
    body.complete();
    resolve(body);
  });
  request.on("error", (error) => reject(new ClientGone("the client has gone", { cause: error })));
  request.on("close", () => reject(new ClientGone("the client has gone")));
  const { socket } = request;
  // Node does not report that the rest will never arrive when the request is ended while it waits for its answer.
  const cut = () => {
    if (!request.complete) socket.destroy();
  };
  socket.once("end", cut);
  proceed?.();
  promise.catch(() => body[Symbol.dispose]());
  return promise.finally(() => socket.off("end", cut));
}
