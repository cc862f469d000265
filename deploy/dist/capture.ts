import { Refusal } from "../../services/common/refusal.ts";

/**
 * Runs a command and returns what it writes to its standard output.
 *
 * @throws Refusal with the last line that it wrote to its standard error when its status is not 0.
 */
export async function capture(
  [program = "", ...args]: readonly string[],
  options: Deno.CommandOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, { ...options, args }).output();
  if (code === 0) return new TextDecoder().decode(stdout);
  const reason = new TextDecoder().decode(stderr).trimEnd().split("\n").at(-1);
  throw new Refusal("unavailable", `${program} ${args[0]} failed: ${reason || `status ${code}`}`);
}
