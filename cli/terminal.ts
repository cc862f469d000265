/** The input and output of a command-line program as an interface, so that tests can run a command inside their own process. */
import type { Screen } from "./progress.ts";

/** The input and output of a command-line program. */
export interface Terminal {
  /** Standard output. */
  print(text: string): void;
  /** Bytes to standard output. @returns false when its reader has gone */
  write(bytes: Uint8Array): Promise<boolean>;
  /** Standard output is a terminal: a table gets a header there, which a pipe or file does not. */
  readonly isTerminal: boolean;
  /** Standard error. */
  readonly screen: Screen;
  /** All of standard input. */
  read(): Promise<string>;
  /** The line that is typed after a question on standard error; undefined where standard input is no terminal. */
  answer(question: string): Promise<string | undefined>;
  /** Standard input as it comes; undefined where it is a terminal. */
  input(): ReadableStream<Uint8Array> | undefined;
}

/** This process's own. */
export const systemTerminal: Terminal = {
  print: (text) => writeAll(Deno.stdout, text),
  async write(bytes) {
    try {
      for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) return false;
      throw error;
    }
  },
  isTerminal: Deno.stdout.isTerminal(),
  screen: { isTerminal: Deno.stderr.isTerminal(), write: (text) => writeAll(Deno.stderr, text) },
  read: () => new Response(Deno.stdin.readable).text(),
  async answer(question) {
    if (!Deno.stdin.isTerminal()) return undefined;
    writeAll(Deno.stderr, question);
    const line = new Uint8Array(256), length = await Deno.stdin.read(line);
    return new TextDecoder().decode(line.subarray(0, length ?? 0));
  },
  input: () => Deno.stdin.isTerminal() ? undefined : Deno.stdin.readable,
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
