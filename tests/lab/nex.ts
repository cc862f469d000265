/** The `nex` command in the test's own process: all of it but the start of a process, which costs more than the command. */
import { main } from "../../cli/nex/main.ts";
import { type Output, run, strandCommand } from "./host.ts";

/** Runs `nex -s ADDRESS ARGS` as its process would: its exit status, and what it writes, with streams that are no terminal. */
export async function nexHere(address: string, args: readonly string[], stdin = ""): Promise<Output> {
  let stdout = "", stderr = "";
  const code = await main(["-s", address, ...args], {
    print: (text) => void (stdout += text),
    isTerminal: false,
    screen: { isTerminal: false, write: (text) => void (stderr += text) },
    read: () => Promise.resolve(stdin),
  });
  return { code, stdout, stderr };
}

/** Runs it as a process of its own; its exit status may be an error. */
export function nexProcess(address: string, args: readonly string[], stdin?: string): Promise<Output> {
  const command = strandCommand(["nex", "-s", address, ...args]);
  return run(command, { mayFail: true, ...(stdin !== undefined && { stdin }) });
}
