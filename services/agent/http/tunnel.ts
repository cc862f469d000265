import type { End } from "./ends.ts";

/** Told of bytes that have been passed on. */
export type Count = (bytes: number) => void;

/**
 * Passes bytes between two ends until both have said all; one that fails takes the other with it. An end that has said
 * all can still hear. Both are closed when it resolves.
 *
 * @returns Why it ended before its time, if it did.
 */
export async function join(a: End, b: End, counts: { aToB: Count; bToA: Count }): Promise<Error | undefined> {
  const close = () => {
    a.close();
    b.close();
  };
  const passing = (from: End, to: End, count: Count) =>
    pass(from, to, count).catch((error: unknown) => {
      close();
      throw error;
    });
  const results = await Promise.allSettled([passing(a, b, counts.aToB), passing(b, a, counts.bToA)]);
  close();
  const failed = results.find((result) => result.status === "rejected");
  return failed && failed.reason;
}

async function pass(from: End, to: End, count: Count): Promise<void> {
  for (let bytes; (bytes = await from.read());) {
    await to.write(bytes);
    count(bytes.length);
  }
  await to.finish();
}
