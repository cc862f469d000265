/** The entry point of `sand-agent-cli`, the command line of an agent's API. */
import { messageOf } from "../../services/common/refusal.ts";
import { runProgram } from "../run.ts";
import { systemTerminal, type Terminal } from "../terminal.ts";
import { sandProgram } from "./commands.ts";

/** Runs one command. @returns the exit code: 0 done, 1 refused or failed, 2 wrong usage */
export function main(args: string[], terminal: Terminal = systemTerminal): Promise<number> {
  // An empty variable, as compose files make them, is none.
  for (const name of Object.keys(Deno.env.toObject())) {
    if (name.startsWith("SAND_") && Deno.env.get(name) === "") Deno.env.delete(name);
  }
  const program = sandProgram(terminal);
  return runProgram(program, args, {
    terminal,
    explain: (error) => messageOf(error).replace(/\s*[\r\n]+\s*/g, " "),
    complete: async (words) => (await import("./complete.ts")).completeSand(program, words),
  });
}

if (import.meta.main) Deno.exit(await main(Deno.args));
