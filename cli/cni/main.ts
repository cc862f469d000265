/** The entry point of the CNI plugin. It is loaded by `strand cni`, and when a container runtime calls `strand` as a plugin. */
import { UsageError } from "../../services/common/usage.ts";
import { call } from "./plugin.ts";
import { ended, standardInput } from "./process.ts";

/** `strand cni`, and `strand` as a runtime calls it: the CNI plugin. Resolves to the exit status. */
export async function main(args: string[]): Promise<number> {
  if (args.length) {
    throw new UsageError(`"${args[0]}" is not understood: a runtime says all by CNI_… and stdin`);
  }
  return ended(await call(Deno.env.toObject(), standardInput));
}
