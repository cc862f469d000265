/** The `nex` command, in the test's own process or in one of its own. */
import { main } from "../../cli/nex/main.ts";
import { runHere } from "../../cli/testing.ts";
import { type Output, run, strandCommand } from "./host.ts";

/** Runs `nex -s ADDRESS ARGS` in this process. */
export function nexHere(address: string, args: readonly string[], stdin = ""): Promise<Output> {
  return runHere((terminal) => main(["-s", address, ...args], terminal), { stdin });
}

/** Runs it as a process of its own; its exit status may be an error. */
export function nexProcess(address: string, args: readonly string[], stdin?: string): Promise<Output> {
  const command = strandCommand(["nex", "-s", address, ...args]);
  return run(command, { mayFail: true, ...(stdin !== undefined && { stdin }) });
}
