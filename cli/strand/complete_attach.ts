/** Shell completion of `strand attach`, `detach` and `explain`, with the names that the agent knows. */
import type { Command } from "commander";
import type { AgentClient } from "../../services/agent/client/client.ts";
import type { Candidate } from "../candidates.ts";
import { complete } from "../completion.ts";
import { type HostAgentOptions, openHostAgent } from "./host_agent.ts";

/** Milliseconds that a shell may wait for the agent. */
const TIMEOUT = 1000;

/** The values of an argument; `net` is asked for before the endpoint's network is known to the completion. */
const known: Readonly<Record<string, (agent: AgentClient) => Promise<string[]>>> = {
  net: async (agent) =>
    ((await agent.networks()).networks ?? []).map(({ known_as, name }) => known_as ?? name),
  endpoint: async (agent) => ((await agent.endpoints()).endpoints ?? []).flatMap(({ name }) => name ?? []),
};

/** Returns the candidates for the last of `words`. */
export function completeAttach(program: Command, words: readonly string[]): Promise<Candidate[]> {
  return complete(program, words, async ({ argument, options }) => {
    if (argument === "ns") return entries("/run/netns", (name) => `/run/netns/${name}`);
    if (argument === "device") return entries("/sys/class/net", (name) => name);
    const values = known[argument === "other" ? "endpoint" : argument];
    if (!values) return [];
    try {
      return await values(openHostAgent({ ...program.opts<HostAgentOptions>(), ...options }, TIMEOUT));
    } catch {
      // A reason could not be shown in the middle of a command line.
      return [];
    }
  });
}

/** The names in a folder: namespaces that `ip netns` has made, or this host's devices. */
function entries(folder: string, shown: (name: string) => string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => shown(name)).sort();
  } catch {
    return [];
  }
}
