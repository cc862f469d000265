import { ended, standardInput } from "../cni/process.ts";
import { call } from "./plugin.ts";

/** `strand netavark`, and a link in netavark's folder of plugins: podman's network driver. Resolves to the exit status. */
export async function main(args: string[]): Promise<number> {
  return ended(await call(args, standardInput));
}
