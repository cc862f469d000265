/**
 * A terminal for tests that run a command line in their own process, since starting a process costs more than the
 * command itself.
 */
import type { Terminal } from "./terminal.ts";

export interface HereOptions {
  readonly stdin?: string;
  /** The line that is typed at a question; undefined: standard input is no terminal. */
  readonly typed?: string;
  /** True where standard output is a terminal (default false). */
  readonly isTerminal?: boolean;
}

/** Runs a command: its exit status, and what it writes. */
export async function runHere(
  command: (terminal: Terminal) => Promise<number>,
  { stdin = "", isTerminal = false, typed }: HereOptions = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const bytes = new TextDecoder();
  let stdout = "", stderr = "";
  const code = await command({
    print: (text) => void (stdout += text),
    write(chunk) {
      stdout += bytes.decode(chunk, { stream: true });
      return Promise.resolve(true);
    },
    isTerminal,
    screen: { isTerminal: false, write: (text) => void (stderr += text) },
    read: () => Promise.resolve(stdin),
    answer(question) {
      stderr += question;
      return Promise.resolve(typed);
    },
    input: () => new Blob([stdin]).stream(),
  });
  return { code, stdout, stderr };
}
