import { fileURLToPath } from "node:url";

/** The command line that runs `strand ARGS` as a process of its own, with the Deno that runs this. */
export function strandCommand(args: readonly string[]): string[] {
  if (Deno.build.standalone) return [Deno.execPath(), ...args];
  const main = fileURLToPath(new URL("../main.ts", import.meta.url));
  const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
  const flags = ["--quiet", "--allow-all", "--cached-only", "--no-prompt", "--config", config];
  return [Deno.execPath(), "run", ...flags, main, ...args];
}
