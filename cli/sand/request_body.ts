/** Reads the body of a `sand-agent-cli curl` request from standard input, and finds its length where the input ends soon. */
import { deadline } from "../../services/common/async.ts";

/** The known part of a request's body when the head is sent. */
export interface RequestBody {
  readonly start: readonly Uint8Array[];
  /** The rest; undefined: `start` is the whole body. */
  readonly rest?: AsyncIterable<Uint8Array>;
}

/**
 * The most bytes and the longest time in ms that are spent on finding the body's length: not every server accepts
 * chunked bodies.
 */
const MOST = 1 << 20, SOON = 200;

/**
 * Begins to read a body. A pipe that no process writes to or closes, as ssh gives to a command, does not delay the
 * request.
 */
export async function beginBody(source: ReadableStream<Uint8Array>): Promise<RequestBody> {
  const reader = source.getReader();
  const start: Uint8Array[] = [];
  const until = performance.now() + SOON;
  for (let size = 0;;) {
    const next = reader.read();
    const result = await deadline(next, until - performance.now());
    if (result?.done) return { start };
    if (!result) return { start, rest: chunks(next, reader) };
    start.push(result.value);
    size += result.value.length;
    if (size > MOST) return { start, rest: chunks(reader.read(), reader) };
  }
}

async function* chunks(
  first: Promise<ReadableStreamReadResult<Uint8Array>>,
  reader: ReadableStreamDefaultReader<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  for (let result = await first; !result.done; result = await reader.read()) yield result.value;
}
