/** The entry point of `nex`, the command line of the gRPC API. */
import { runProgram } from "../run.ts";
import { systemTerminal, type Terminal } from "../terminal.ts";
import { nexProgram } from "./commands.ts";
import { explain } from "../../services/nexd/client/explain.ts";

/** Runs one command. @returns the exit code: 0 done, 1 refused or failed, 2 wrong usage */
export function main(args: string[], terminal: Terminal = systemTerminal): Promise<number> {
  const program = nexProgram(terminal);
  return runProgram(program, args, {
    terminal,
    explain: (error) => explain(error, program.opts<{ server: string }>().server),
    complete: async (words) => (await import("./complete.ts")).completeNex(program, words),
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
