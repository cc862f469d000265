import type { End } from "../../common/http/ends.ts";

/** Told how many bytes have been passed on. */
export type Count = (bytes: number) => void;

/**
 * Passes bytes between two ends until each has said all; an end that has said all can still hear. One that fails takes
 * the other with it, which is all that can be told of it. Both are closed when it resolves.
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
