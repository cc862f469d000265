/** `strand agent`: runs the agent of this host. `strand agent release` ends the hold of one that is running. */
import { loadConfig } from "../../services/common/config.ts";
import { formatHostPort } from "../../services/common/host_port.ts";
import { request } from "../../services/common/http/request.ts";
import { messageOf, printable, Refusal } from "../../services/common/refusal.ts";
import { UsageError } from "../../services/common/usage.ts";
import { readOptions } from "./options.ts";

/** `strand agent [--config F]` runs the agent; `strand agent release` sends a request to the running one. */
export async function main(args: string[]): Promise<number> {
  const [first, ...rest] = args;
  if (first === "release") return await release(rest);
  if (first !== undefined && /^[a-z]/.test(first)) {
    throw new UsageError(`"${first}" is not understood; did you mean "release"?`);
  }
  const agent = await import("../../services/agent/main.ts");
  return await agent.main(args);
}

/** How long a release may take, in ms: the agent first claims its name in the new etcd, and compares its networks. */
const RELEASE_PATIENCE = 30_000;

/** Ends the agent's hold on a store that it does not recognise. */
async function release(args: string[]): Promise<number> {
  const { config: file } = readOptions(args, { config: { type: "string" } });
  const at = loadConfig({ file }).agent.metricsListen;
  const answer = await request(at, "POST", "/release", RELEASE_PATIENCE).catch((error) => {
    const message =
      `the agent does not answer at ${formatHostPort(at)}: ${
        messageOf(error)
      }; start it with "strand agent", ` +
      "or correct agent.metrics-listen";
    throw new Refusal("unavailable", message, { cause: error });
  });
  if (answer.status !== 200) throw new Refusal("forbidden", `the agent refuses: ${answer.body.trim()}`);
  console.log(printable(answer.body.trim()));
  return 0;
}
