/** `strand explain NET A B`: asks the agents of both hosts what they have of the way between two endpoints, and says which step is broken. */
import { AgentClient } from "../../services/agent/client/client.ts";
import { agentAddress } from "../../services/agent/client/address.ts";
import type { Endpoint, Network } from "../../services/agent/client/types.ts";
import { addressesOf } from "../../services/agent/connect/forward.ts";
import { loadConfig } from "../../services/common/config.ts";
import { formatHostPort } from "../../services/common/host_port.ts";
import { messageOf, Refusal } from "../../services/common/refusal.ts";
import { readTls } from "../../services/common/tls.ts";
import { columns, jsonText } from "../output.ts";
import type { Terminal } from "../terminal.ts";
import { addressOf, claimSteps, type HostSays, type Step, titleOf, waySteps } from "./explain_steps.ts";
import type { AgentOptions } from "./host_agent.ts";

/** How long another host's agent may take, in ms. */
const PATIENCE = 5000;

/** A part of the steps, with what it is about. */
interface Part {
  readonly about: string;
  readonly steps: readonly Step[];
}

/** Prints the steps. Throws Refusal where one is broken. */
export async function explainWay(
  terminal: Terminal,
  agent: AgentClient,
  options: AgentOptions & { readonly output: "table" | "json" },
  { network, ends: [a, b], all }: {
    readonly network: Network;
    readonly ends: readonly [Endpoint, Endpoint];
    readonly all: readonly Endpoint[];
  },
): Promise<void> {
  const name = network.known_as ?? network.name;
  const here = (await agent.way(network.id, addressOf(b))).way.hostname;
  const says = async (from: Endpoint, to: Endpoint): Promise<HostSays | string> => {
    let failure: unknown;
    for (const one of from.hostname === here ? [agent] : agentsOf(from, options)) {
      try {
        const [other, own] = await Promise.all(
          [to, from].map((end) => one.way(network.id, addressOf(end))),
        );
        if (other && own) return { toOther: other.way, toOwn: own.way };
      } catch (error) {
        failure = error;
      }
    }
    return messageOf(failure);
  };
  const [forth, back] = await Promise.all([says(a, b), says(b, a)]);
  const parts: Part[] = [
    { about: `network ${name}`, steps: claimSteps(name, [a, b], all) },
    { about: `${titleOf(a)} on ${a.hostname} to ${titleOf(b)}`, steps: waySteps(a, b, forth) },
    { about: `${titleOf(b)} on ${b.hostname} to ${titleOf(a)}`, steps: waySteps(b, a, back) },
  ];
  terminal.print(options.output === "json" ? jsonText(parts) : parts.map(printed).join("\n"));
  const broken = parts.flatMap(({ about, steps }) =>
    steps.filter(({ holds }) => holds === false).map((step) => ({ about, ...step }))
  );
  const [first] = broken;
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

/** The API of another host's agent, at its name and at its VTEP, as this host's own is served: over HTTP or HTTPS. */
function agentsOf(
  { api_hostname: apiHostname, host_ip: ip, hostname }: Endpoint,
  { config: file }: AgentOptions,
): AgentClient[] {
  const { listen, tls: files } = loadConfig({ file }).agent;
  const fields = { cert: "agent.tls.cert", key: "agent.tls.key", ca: "agent.tls.ca" };
  const tls = files && readTls(files, fields);
  return addressesOf({ hostname, apiHostname, ip }, listen.port).map((at) =>
    new AgentClient({
      address: agentAddress(`${tls ? "https" : "http"}://${formatHostPort(at)}`, tls),
      name: `the agent of ${hostname} at ${formatHostPort(at)}`,
      timeoutMs: PATIENCE,
    })
  );
}
