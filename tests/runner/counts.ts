import { stripVTControlCharacters } from "node:util";

/** How many tests came out which way. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export const none: Counts = { passed: 0, failed: 0, skipped: 0 };

/** Both together. */
export function add(a: Counts, b: Counts): Counts {
  return { passed: a.passed + b.passed, failed: a.failed + b.failed, skipped: a.skipped + b.skipped };
}

/** The closing line. */
export function totals({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** What `deno test` sums up in this line; nothing, when it is another line. */
export function countsOf(line: string): Counts {
  // In colours when deno thinks that it has a terminal.
  const plain = stripVTControlCharacters(line);
  const pattern =
    /^(?:ok|FAILED) \| (\d+) passed(?: \(.*?\))? \| (\d+) failed(?: \(.*?\))?(?: \| (\d+) ignored)?/;
  const summary = pattern.exec(plain);
  if (!summary) return none;
  return { passed: Number(summary[1]), failed: Number(summary[2]), skipped: Number(summary[3] ?? 0) };
}

/** The file that `deno test` names in this line as one with a failed test, from the clone's directory. */
export function failedFile(line: string): string | undefined {
  return / => \.\/(\S+_test\.ts):\d+:\d+$/.exec(stripVTControlCharacters(line))?.[1];
}
