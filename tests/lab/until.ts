/** Waits for a condition, which a test does in place of a sleep. A wait that fails prints what it saw last. */
import { deadline as limited } from "../../services/common/async.ts";

/** How much longer than the wait one look may last, in ms: as long as a command may take. */
const LOOK_MS = 120_000;

/** Keeps a value as what was seen last, and gives it back. */
export type See = <T>(value: T) => T;

/**
 * Resolves when `holds` does; throws naming `what`, with what the condition saw last, after `timeoutMs`. The default is
 * long, since a machine may be busy with other tests, and waiting costs nothing when the condition comes. The longer it
 * has waited, the more rarely it looks. A look that never ends is told too.
 */
export async function until(
  what: string,
  holds: (see: See) => boolean | Promise<boolean>,
  timeoutMs = 60_000,
  lookMs = LOOK_MS,
): Promise<void> {
  const start = Date.now(), deadline = start + timeoutMs;
  let last: { readonly seen: unknown } | undefined;
  const see: See = (value) => {
    last = { seen: value };
    return value;
  };
  const seen = () => {
    if (!last) return "";
    const { seen } = last;
    const text = typeof seen === "string"
      ? seen
      : Deno.inspect(seen, { depth: 4, strAbbreviateSize: 10_000 });
    return `; seen last: ${text}`;
  };
  const stuck = (): never => {
    throw new Error(`${what}: a look for it has not ended after ${Date.now() - start} ms${seen()}`);
  };
  for (;;) {
    const begun = Date.now(), look = holds(see);
    if (typeof look === "boolean" ? look : await limited(look, deadline - begun + lookMs, stuck)) return;
    if (Date.now() > deadline) {
      throw new Error(`${what}: not so after ${timeoutMs} ms${seen()}`);
    }
    // A look that takes long, like a command's, leaves most of the processor to what it waits for.
    const now = Date.now(), rest = Math.min(500, Math.max(10, 2 * (now - begun), (now - start) / 8));
    await new Promise((resolve) => setTimeout(resolve, rest));
  }
}
