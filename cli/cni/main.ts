import { UsageError } from "../../services/common/usage.ts";
import { call } from "./plugin.ts";

/** `strand cni`, and `strand` as a runtime calls it: the CNI plugin. Resolves to the exit status. */
export async function main(args: string[]): Promise<number> {
  if (args.length) {
    throw new UsageError(`"${args[0]}" is not understood: a runtime says all by CNI_… and stdin`);
  }
  const { status, output } = await call(
    Deno.env.toObject(),
    async () => new Uint8Array(await new Response(Deno.stdin.readable).arrayBuffer()),
  );
  if (output) {
    const bytes = new TextEncoder().encode(JSON.stringify(output, undefined, 2) + "\n");
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  }
  return status;
}
