/** Runs a command line that is built with commander, and turns errors into one sentence on standard error and an exit status. */
import { type Command, CommanderError } from "commander";
import { UsageError } from "../services/common/usage.ts";
import { answerTo, type Candidate, isCompletionRequest } from "./candidates.ts";
import { printable } from "./output.ts";
import type { Terminal } from "./terminal.ts";

/** The parts that differ between programs. */
export interface ProgramParts {
  readonly terminal: Terminal;
  /** One sentence, without a line feed, for anything that a command threw. */
  explain(error: unknown): string;
  /** Returns a sentence for each fault that an error tells, printed on lines of their own; absent: only the first is printed. */
  explainAll?(error: unknown): readonly string[];
  /** Returns the candidates for the last of `words`. */
  complete(words: readonly string[]): Promise<readonly Candidate[]>;
}

/** Runs one command line of a commander program. @returns 0 done, 1 refused or failed, 2 wrong usage */
export async function runProgram(
  program: Command,
  args: string[],
  { terminal, explain, explainAll = (error) => [explain(error)], complete }: ProgramParts,
): Promise<number> {
  const [question, ...line] = args;
  if (isCompletionRequest(question)) {
    terminal.print(answerTo(question, await complete(line)));
    return 0;
  }
  if (args.length === 0) {
    terminal.screen.write(program.helpInformation());
    return 2;
  }
  forAll(program, (command) =>
    command.exitOverride().configureOutput({
      writeOut: (text) => terminal.print(text),
      writeErr: () => {},
    }));
  try {
    await program.parseAsync(args, { from: "user" });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const usage = error instanceof CommanderError || error instanceof UsageError;
    // A server's error may quote stored text, in which control characters must not reach the terminal.
    const lines = usage ? [usageMessage(error)] : explainAll(error);
    terminal.screen.write(lines.map((line) => `${program.name()}: ${printable(line)}\n`).join(""));
    return usage ? 2 : 1;
  }
}

/** commander's message in one line: `error: unknown command 'x'\n(Did you mean y?)`. */
function usageMessage(error: Error): string {
  if (error.message === "(outputHelp)") return "the command is not complete; --help lists what may follow";
  const message = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
  const [, option, value, argument, why = ""] = INVALID.exec(message) ?? [];
  const field = option === undefined ? argument : /--[\w-]+/.exec(option)?.[0] ?? option;
  return field === undefined ? message : `${field}: ${choices(value ?? "", why) ?? why}`;
}

/** commander's message about a value that an option or argument cannot have, and the reason behind it. */
const INVALID =
  /^(?:option '([^']*)' argument|command-argument value) '(.*)' is invalid(?: for argument '(\w+)')?\. (.*)$/;

/** Its reason where the value is not one of a list. */
function choices(value: string, why: string): string | undefined {
  const all = /^Allowed choices are (.*)\.$/.exec(why)?.[1];
  if (all === undefined) return undefined;
  const [one, other, ...more] = all.split(", ");
  if (other === undefined) return `"${value}" is not ${one}`;
  return more.length ? `"${value}" is none of ${all}` : `"${value}" is neither ${one} nor ${other}`;
}

function forAll(command: Command, act: (command: Command) => void): void {
  act(command);
  for (const inner of command.commands) forAll(inner, act);
}
