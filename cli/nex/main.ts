/** `nex`: the command line of the Nex API. */
import { type Command, CommanderError } from "commander";
import { UsageError } from "../../services/common/usage.ts";
import { nexProgram } from "./commands.ts";
import { explain } from "./explain.ts";
import type { Terminal } from "./session.ts";

/** Runs one command. @returns the exit code: 0 done, 1 refused or failed, 2 wrong usage */
export async function main(args: string[], terminal: Terminal = systemTerminal): Promise<number> {
  const program = nexProgram(terminal);
  if (args[0] === "__complete") {
    const { completeNex } = await import("./complete.ts");
    terminal.print((await completeNex(program, args.slice(1))).map((word) => word + "\n").join(""));
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
    const message = usage ? usageMessage(error) : explain(error, program.opts<{ server: string }>().server);
    terminal.screen.write(`nex: ${message}\n`);
    return usage ? 2 : 1;
  }
}

/** commander's message in one line: `error: unknown command 'x'\n(Did you mean y?)`. */
function usageMessage(error: Error): string {
  if (error.message === "(outputHelp)") return "the command is not complete; --help lists what may follow";
  return error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
}

function forAll(command: Command, act: (command: Command) => void): void {
  act(command);
  for (const inner of command.commands) forAll(inner, act);
}

const systemTerminal: Terminal = {
  print: (text) => writeAll(Deno.stdout, text),
  screen: { isTerminal: Deno.stderr.isTerminal(), write: (text) => writeAll(Deno.stderr, text) },
  read: () => new Response(Deno.stdin.readable).text(),
};

function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
  } catch (error) {
    // The reader has seen enough: `nex get members big | head`.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
