import type { Screen } from "./progress.ts";

/** The input and output of a command-line program. */
export interface Terminal {
  /** Standard output. */
  print(text: string): void;
  /** Standard output is a terminal: a table gets a header there, which a pipe or file does not. */
  readonly isTerminal: boolean;
  /** Standard error. */
  readonly screen: Screen;
  /** All of standard input. */
  read(): Promise<string>;
}

/** This process's own. */
export const systemTerminal: Terminal = {
  print: (text) => writeAll(Deno.stdout, text),
  isTerminal: Deno.stdout.isTerminal(),
  screen: { isTerminal: Deno.stderr.isTerminal(), write: (text) => writeAll(Deno.stderr, text) },
  read: () => new Response(Deno.stdin.readable).text(),
};

function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
  } catch (error) {
    // The reader has closed the pipe, as in `nex get members big | head`.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
