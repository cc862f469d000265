/**
 * The protocol between a shell's completion script and the program: the script asks for the words that may follow,
 * and gets one per line.
 */
import { printable } from "../services/common/refusal.ts";

/** The commands by which a script asks: for words only, or for each word with a tab and its description. */
export const WORDS = "__complete", DESCRIBED = "__describe";

/** A word that may come next in a command line. */
export interface Candidate {
  readonly word: string;
  /** Its description, in a line. */
  readonly about?: string | undefined;
}

/** True when a command is a completion script's question. */
export function isCompletionRequest(command: string | undefined): command is string {
  return command === WORDS || command === DESCRIBED;
}

/** The answer to a question, a line for each word. */
export function answerTo(question: string, candidates: readonly Candidate[]): string {
  const line = ({ word, about = "" }: Candidate) =>
    printable(word) + (question === DESCRIBED ? `\t${printable(about)}` : "");
  return candidates.map((candidate) => `${line(candidate)}\n`).join("");
}
