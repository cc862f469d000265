/** Runs a command of the build and returns its output. A failure is reported with what the command wrote to standard error. */
import { Refusal } from "../../services/common/refusal.ts";

/**
 * Runs a command and returns what it writes to its standard output.
 *
 * @throws Refusal with what it wrote to its standard error when its status is not 0.
 */
export async function capture(
  [program = "", ...args]: readonly string[],
  options: Deno.CommandOptions = {},
): Promise<string> {
  const env = { NO_COLOR: "1", RUST_BACKTRACE: "0", ...options.env };
  const { code, stdout, stderr } = await new Deno.Command(program, { ...options, args, env }).output();
  if (code === 0) return new TextDecoder().decode(stdout);
  const reason = new TextDecoder().decode(stderr).trim().replaceAll(/\s*\n\s*/g, "; ");
  throw new Refusal("unavailable", `${program} ${args[0]} failed: ${reason || `status ${code}`}`);
}
