/** `strand attach` and `detach` in the test's own process. */
import { run } from "../../cli/strand/attach.ts";
import { runHere } from "../../cli/testing.ts";
import type { OverlayHost } from "../lab/overlay_host.ts";

/** The command at a host's agent: exit status, output, error. */
export async function at(host: OverlayHost, name: "attach" | "detach", ...args: string[]) {
  const { code, stdout, stderr } = await runHere((terminal) =>
    run(name, ["--agent", `unix:${host.socket}`, ...args], terminal)
  );
  return [code, stdout, stderr] as const;
}
