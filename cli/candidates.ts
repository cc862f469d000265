/** What a shell's completion script asks the program, and what it is answered. */
import { printable } from "../services/common/refusal.ts";

/** The commands by which a script asks: for words alone, or for each with a tab and what it is for. */
export const WORDS = "__complete", DESCRIBED = "__describe";

/** What may stand at a place in a command line. */
export interface Candidate {
  readonly word: string;
  /** What it is for, in a line. */
  readonly about?: string | undefined;
}

/** True when a command is a script's question. */
export function asksForWords(command: string | undefined): command is string {
  return command === WORDS || command === DESCRIBED;
}

/** The answer to a question, a line for each word. */
export function answerTo(question: string, candidates: readonly Candidate[]): string {
  const line = ({ word, about = "" }: Candidate) =>
    printable(word) + (question === DESCRIBED ? `\t${printable(about)}` : "");
  return candidates.map((candidate) => `${line(candidate)}\n`).join("");
}
