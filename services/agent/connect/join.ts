import type { End } from "../../common/http/ends.ts";

/** Called with the number of bytes that were passed on. */
export type Count = (bytes: number) => void;

/**
 * Passes bytes between two ends in both directions until both have sent everything; an end that has finished sending
 * may still receive. An error at one end closes the other, the only way to signal it. Both are closed when this
 * resolves.
 */
export async function join(a: End, b: End, counts: { aToB: Count; bToA: Count }): Promise<void> {
  const close = () => {
    a.close();
    b.close();
  };
  await Promise.all([pass(a, b, counts.aToB).catch(close), pass(b, a, counts.bToA).catch(close)]);
  close();
}

async function pass(from: End, to: End, count: Count): Promise<void> {
  for (let bytes; (bytes = await from.read());) {
    await to.write(bytes);
    count(bytes.length);
  }
  await to.finish();
}
