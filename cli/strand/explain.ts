/** `strand explain NET A B`: prints each step of the way between two endpoints, and says which one is broken. */
import type { AgentClient } from "../../services/agent/client/client.ts";
import { loadConfig } from "../../services/common/config.ts";
import { Refusal } from "../../services/common/refusal.ts";
import { readTls } from "../../services/common/tls.ts";
import {
  agentsAt,
  brokenIn,
  explainPath,
  type ExplainRequest,
  type Part,
} from "../../services/explain/path.ts";
import { columns, jsonText } from "../output.ts";
import { withProgress } from "../progress.ts";
import type { Terminal } from "../terminal.ts";
import type { HostAgentOptions } from "./host_agent.ts";

/** Prints the steps. Throws Refusal where one is broken. */
export async function printPath(
  terminal: Terminal,
  here: AgentClient,
  { config: file, output }: HostAgentOptions & { readonly output: "table" | "json" },
  question: ExplainRequest,
): Promise<void> {
  // Another host's API is served as this host's own is: over HTTP or HTTPS.
  const { listen, tls } = loadConfig({ file }).agent;
  const fields = { cert: "agent.tls.cert", key: "agent.tls.key", ca: "agent.tls.ca" };
  const agents = { here, of: agentsAt(listen.port, tls && readTls(tls, fields)) };
  const parts = await withProgress("asking the agents", terminal.screen, explainPath(agents, question));
  terminal.print(output === "json" ? jsonText(parts) : parts.map(printed).join("\n"));
  const broken = brokenIn(parts), [first] = broken;
  if (first) {
    const more = broken.length > 1 ? `, and ${broken.length - 1} more` : "";
    throw new Refusal("forbidden", `${first.about}: ${first.what} is broken: ${first.evidence}${more}`);
  }
}

function printed({ about, steps }: Part): string {
  const rows = steps.map(({ holds, what, evidence }) => [
    `  ${holds === undefined ? "-" : holds ? "ok" : "BROKEN"}`,
    what,
    evidence,
  ]);
  const lines = columns(rows, "  ").split("\n").slice(0, -1);
  return `${about}\n${
    lines.map((line, i) => {
      const { holds, fix } = steps[i] ?? {};
      return holds === false && fix ? `${line}\n      → ${fix}\n` : `${line}\n`;
    }).join("")
  }`;
}
