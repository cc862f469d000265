import { fileURLToPath } from "node:url";

/** What a service's V8 is told, as in the launcher: keep the heap close around what it holds for months. */
const SERVICE_FLAGS = ["--v8-flags=--max-semi-space-size=2,--optimize-for-size"];
const SERVICES = ["nexd", "dhcpd", "dnsd", "agent"];

/** The command line that runs `strand ARGS` as a process of its own, with the Deno that runs this. */
export function strandCommand(args: readonly string[]): string[] {
  if (Deno.build.standalone) return [Deno.execPath(), ...args];
  const main = fileURLToPath(new URL("../main.ts", import.meta.url));
  const config = fileURLToPath(new URL("../../deno.json", import.meta.url));
  const flags = ["--quiet", "--allow-all", "--cached-only", "--no-prompt", "--config", config];
  const heap = SERVICES.includes(args[0] ?? "") ? SERVICE_FLAGS : [];
  return [Deno.execPath(), "run", ...heap, ...flags, main, ...args];
}
