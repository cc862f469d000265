/** The one program: `strand COMMAND`, or a link called nex, nexd, sand-agent… whose name is the command. */
import { closest } from "../services/common/closest.ts";
import { errorPriority } from "../services/common/journal.ts";
import { messageOf, printable, Refusal } from "../services/common/refusal.ts";
import { UsageError } from "../services/common/usage.ts";
import { inActiveSpan } from "../services/common/tracing.ts";
import { version } from "../services/common/version.ts";
import { isCompletionRequest } from "./candidates.ts";
import type { Command } from "./command.ts";
import { commands } from "./commands.ts";

/**
 * Runs a command line without the program's name; resolves to the exit status.
 *
 * @param known The commands: a clone has more of them than the shipped program.
 */
export async function main(args: readonly string[], known: readonly Command[] = commands): Promise<number> {
  const [name = "help", ...rest] = args;
  if (isVersion(name) || name === "version") return tellVersion("strand");
  if (name === "help" || name === "--help" || name === "-h") return help(rest[0], known);
  if (isCompletionRequest(name)) return (await import("./strand/completion.ts")).complete(name, rest, known);
  const command = find(name, known);
  if (!command) return unknown(name, known);
  const [question, ...line] = rest;
  if (!command.ownHelp && isCompletionRequest(question)) { // by a link, like nexd
    return (await import("./strand/completion.ts")).complete(question, [name, ...line], known);
  }
  if (!command.ownHelp && isVersion(rest[0])) return tellVersion(command.name);
  if (!command.ownHelp && rest.some((arg) => arg === "--help" || arg === "-h")) {
    return help(command.name, known);
  }
  try {
    const { main } = await command.load();
    if (!command.isClient) return await main(rest);
    return await inActiveSpan(spanName(command.name, rest), () => main(rest));
  } catch (error) {
    if (error instanceof UsageError) {
      return complain(2, `strand ${command.name}: ${error.message}; see "strand help ${command.name}"`);
    }
    return complain(1, `strand ${command.name}: ${failure(error)}`);
  }
}

/** Like `strand apply`, or `nex get`: its first word beside options and their values, which are the reader's own. */
function spanName(command: string, args: readonly string[]): string {
  if (!["nex", "sand-agent-cli"].includes(command)) return `strand ${command}`;
  const word = args.find((arg, i) => !arg.startsWith("-") && !args[i - 1]?.startsWith("-")) ?? "";
  return /^[a-z]+(-[a-z]+)*$/.test(word) ? `${command} ${word}` : command;
}

function isVersion(argument: string | undefined): boolean {
  return argument === "--version" || argument === "-V";
}

function tellVersion(of: string): number {
  console.log(`${of} ${version}`);
  return 0;
}

function find(name: string, known: readonly Command[]): Command | undefined {
  return known.find((command) => command.name === name || command.aliases?.includes(name));
}

function complain(status: number, line: string): number {
  console.error(errorPriority() + printable(line));
  return status;
}

/** The message of a refusal or failed system call in one line; a defect of ours also with its source location. */
function failure(error: unknown): string {
  const ours = !(error instanceof Refusal) && error instanceof Error &&
    error.constructor.name.endsWith("Error");
  const frame = ours ? /\n\s+(at .*)/.exec(error.stack ?? "")?.[1] : undefined;
  return messageOf(error).replaceAll("\n", "; ") + (frame ? ` (${frame})` : "");
}

function unknown(name: string, known: readonly Command[]): number {
  const meant = closest(name, known.map((command) => command.name));
  return complain(
    2,
    `strand: no command "${name}"; ${meant ? `did you mean "${meant}"?` : 'see "strand help"'}`,
  );
}

function help(name: string | undefined, known: readonly Command[]): number {
  if (name === undefined) {
    const rows = known.map(({ name, about }) => `  ${name.padEnd(16)} ${about}`);
    console.log(`Usage: strand COMMAND [ARGUMENT…]\n\n${rows.join("\n")}

  help [COMMAND]   this, or how one command is used
  --version        the version; each command has it too

A link to this program called nex, nexc, nexd, nex-dhcpd, sand-agent or sand-agent-cli is that command.
Exit status: 0 done, 1 refused or failed, 2 wrong usage.`);
    return 0;
  }
  const command = find(name, known);
  if (!command) return unknown(name, known);
  console.log(
    `Usage: strand ${command.usage}\n\n${command.about}.\n${command.details ? `\n${command.details}\n` : ""}`
      .trimEnd(),
  );
  return 0;
}

/**
 * Returns the arguments with the program's own name before them when that is a command: a link named nex is `strand
 * nex`. A container runtime calls its plugin without arguments; netavark calls what is in its folder of plugins. The launcher
 * script does the same.
 */
export function withName(
  program: string,
  args: readonly string[],
  env: { has(name: string): boolean },
): string[] {
  const name = program.slice(program.lastIndexOf("/") + 1);
  if (/\/lib(exec)?\/netavark\/[^/]+$/.test(program)) return ["netavark", ...args];
  if (find(name, commands)) return [name, ...args];
  return args.length === 0 && env.has("CNI_COMMAND") ? ["cni"] : [...args];
}

if (import.meta.main) {
  const [program = ""] = Deno.build.standalone
    ? Deno.readTextFileSync("/proc/self/cmdline").split("\0", 1)
    : [];
  Deno.exit(await main(withName(program, Deno.args, Deno.env)));
}
