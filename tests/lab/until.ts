/** Waits for a condition, which a test does in place of a sleep. A wait that fails prints what it saw last. */

/** Keeps a value as what was seen last, and gives it back. */
export type See = <T>(value: T) => T;

/**
 * Resolves when `holds` does; throws naming `what`, with what the condition saw last, after `timeoutMs`. The default is
 * long, since a machine may be busy with other tests, and waiting costs nothing when the condition comes. The longer it
 * has waited, the more rarely it looks.
 */
export async function until(
  what: string,
  holds: (see: See) => boolean | Promise<boolean>,
  timeoutMs = 60_000,
): Promise<void> {
  const start = Date.now(), deadline = start + timeoutMs;
  let last: { readonly seen: unknown } | undefined;
  const see: See = (value) => {
    last = { seen: value };
    return value;
  };
  for (;;) {
    const begun = Date.now();
    if (await holds(see)) return;
    if (Date.now() > deadline) {
      const text = typeof last?.seen === "string"
        ? last.seen
        : Deno.inspect(last?.seen, { depth: 4, strAbbreviateSize: 10_000 });
      const seen = last ? `; seen last: ${text}` : "";
      throw new Error(`${what}: not so after ${timeoutMs} ms${seen}`);
    }
    // A look that takes long, like a command's, leaves most of the processor to what it waits for.
    const now = Date.now(), rest = Math.min(500, Math.max(10, 2 * (now - begun), (now - start) / 8));
    await new Promise((resolve) => setTimeout(resolve, rest));
  }
}
