/** The entry point of the netavark driver. It is loaded by `strand netavark`, and when podman calls the program as a plugin. */
import { ended, standardInput } from "../cni/process.ts";
import { call } from "./plugin.ts";

/** `strand netavark`, and a link in netavark's folder of plugins: podman's network driver. Resolves to the exit status. */
export async function main(args: string[]): Promise<number> {
  return ended(await call(args, standardInput));
}
