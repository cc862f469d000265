/** Copies bytes between the two ends of a CONNECT stream, in both directions, until both have ended. */
import type { ByteStream } from "../../common/http/byte_stream.ts";

/** An error, and at which of the two ends. */
export interface JoinFailure {
  readonly end: ByteStream;
  readonly error: unknown;
}

/** Called with the number of bytes that were passed on. */
export type Count = (bytes: number) => void;

/**
 * Passes bytes between two ends in both directions until both have sent everything; an end that has finished sending
 * may still receive. An error at one end aborts the other, once that has taken what came before the error: closed, it
 * would look as if everything had come. Both are closed when this resolves.
 *
 * @returns the error that ended it before both had sent everything
 */
export async function join(
  a: ByteStream,
  b: ByteStream,
  { aToB, bToA }: { aToB?: Count; bToA?: Count } = {},
): Promise<JoinFailure | undefined> {
  let failure: JoinFailure | undefined;
  const pass = async (from: ByteStream, to: ByteStream, count?: Count) => {
    let reading = true;
    try {
      for (let bytes; (bytes = await from.read());) {
        reading = false;
        await to.write(bytes);
        count?.(bytes.length);
        reading = true;
      }
      reading = false;
      await to.finish();
    } catch (error) {
      failure ??= { end: reading ? from : to, error };
      a.abort();
      b.abort();
    }
  };
  await Promise.all([pass(a, b, aToB), pass(b, a, bToA)]);
  a.close();
  b.close();
  return failure;
}
