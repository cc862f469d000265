/** Several refusals at once, so that the faults of a request are told together. */
import { Refusal } from "./refusal.ts";

/** All that is refused of a request. To a reader who knows only {@link Refusal} it is the first of them. */
export class Refusals<R extends Refusal = Refusal> extends Refusal {
  /** @param all One at least. */
  constructor(readonly all: readonly R[], options?: ErrorOptions) {
    const [first] = all;
    super(first?.code ?? "invalid", first?.message ?? "refused", options);
  }
}

/** Returns the refusals that an error consists of: several, or itself; none where it is no refusal. */
export function refusalsIn(error: unknown): readonly Refusal[] {
  return error instanceof Refusals ? error.all : error instanceof Refusal ? [error] : [];
}

/**
 * The field that a sentence is about, like `range4.begin` of "network a: range4.begin: …" and `list[0].mac` of "list[0].mac: …";
 * undefined: it names none.
 */
export function fieldIn(sentence: string): string | undefined {
  return /^(?:(?:network|member) [^\s:]+(?::[\da-f]{2}){0,5}: )?([A-Za-z]\w*(?:\.\w+|\[\d+\])*): /.exec(
    sentence,
  )?.[1];
}
