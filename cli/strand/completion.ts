/** Shell completion for `strand` itself; its words are those of the commands' usage lines. */
import { UsageError } from "../../services/common/usage.ts";
import { answerTo, type Candidate } from "../candidates.ts";
import type { Command } from "../command.ts";
import { completionScript, type Shell } from "../completion.ts";

const shells: readonly Shell[] = ["bash", "zsh", "fish"];

/** Links to the program that have no script of their own. */
const links = ["nexd", "nex-dhcpd", "sand-agent"];

/** `strand completion bash|zsh|fish`. */
export function main(args: string[]): Promise<number> {
  const [name, extra] = args;
  const shell = shells.find((shell) => shell === name);
  if (!shell || extra !== undefined) throw new UsageError(`one shell is needed: ${shells.join(", ")}`);
  console.log(completionScript(shell, "strand", links).trimEnd());
  return Promise.resolve(0);
}

/**
 * Prints the candidates for the last of `words`, which are the words after the program's name, one per line.
 *
 * @param question The form in which a script has asked.
 * @param known The commands.
 */
export async function complete(
  question: string,
  words: readonly string[],
  known: readonly Command[],
): Promise<number> {
  const [name, ...rest] = words;
  const command = known.find((command) => command.name === name || command.aliases?.includes(name ?? ""));
  if (command?.ownHelp && rest.length) {
    const { main } = await command.load();
    return await main([question, ...rest]);
  }
  const text = answerTo(question, candidates(words, command, known));
  if (text) console.log(text.slice(0, -1)); // It ends the last line itself.
  return 0;
}

function candidates(
  words: readonly string[],
  command: Command | undefined,
  known: readonly Command[],
): Candidate[] {
  const typed = words.at(-1) ?? "";
  const names = known.map(({ name, about }) => ({ word: name, about }));
  let all: readonly Candidate[] = [];
  if (words.length < 2) {
    const help = { word: "help", about: "Say how a command is used" };
    all = [...names, help, { word: "--version", about: "Print the version" }];
  } else if (words[0] === "help") all = words.length === 2 ? names : [];
  else if (command) {
    const found = candidatesOf(command, words.slice(1, -1), typed.startsWith("-"));
    all = found.map((word) => ({ word, about: aboutWord(command, word) }));
  }
  return all.filter(({ word }) => word.startsWith(typed));
}

/**
 * The description of an option or operand in the command's details: the text after a gap in the line that begins with
 * it.
 */
function aboutWord({ details = "" }: Command, word: string): string | undefined {
  if (word === "--help") return "say how the command is used";
  return new RegExp(`^ {2}${word}\\b.*? {2,}(\\S.*)$`, "m").exec(details)?.[1];
}

/** A part of a usage line, like `[-o table|json]`, `[agent|dnsd]…` or `FILTER`. */
interface Part {
  /** The option's name; undefined: an operand. */
  readonly option: string | undefined;
  /** The words that it may be, or that may follow it; undefined: nothing follows it. Empty: anything. */
  readonly choices: readonly string[] | undefined;
  readonly repeated: boolean;
}

function candidatesOf(
  { name, usage }: Command,
  before: readonly string[],
  hyphen: boolean,
): readonly string[] {
  const parts = [...usage.slice(name.length).matchAll(/\[([^\]]+)\](…?)|(\S+)/g)].map(partOf);
  const options = parts.filter(({ option }) => option !== undefined);
  const operands = parts.filter(({ option }) => option === undefined);
  const valueOf = (word: string | undefined) => options.find(({ option }) => option === word)?.choices;
  const value = valueOf(before.at(-1));
  if (value) return value;
  if (hyphen) return [...options.flatMap(({ option }) => option ?? []), "--help"];
  const seen = before.filter((word, i) => !word.startsWith("-") && !valueOf(before[i - 1])).length;
  const last = operands.at(-1);
  return (operands[seen] ?? (last?.repeated ? last : undefined))?.choices ?? [];
}

function partOf([, inner, dots, bare]: RegExpMatchArray): Part {
  const [first = "", value] = (inner ?? bare ?? "").split(" ");
  const choices = (text: string) => text.split("|").filter((word) => /^[a-z]/.test(word));
  const repeated = dots === "…";
  return first.startsWith("-")
    ? { option: first, choices: value === undefined ? undefined : choices(value), repeated }
    : { option: undefined, choices: choices(first), repeated };
}
