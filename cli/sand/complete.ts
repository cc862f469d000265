/** Shell completion of `sand-agent-cli`. Network ids and host names come from the agent. */
import type { Command } from "commander";
import type { Candidate } from "../candidates.ts";
import { complete } from "../completion.ts";
import type { SandAgent } from "./agent.ts";
import { openAgent } from "./session.ts";
import { apiUrl, duration } from "./values.ts";

/** How long a shell may wait for the agent. */
const TIMEOUT = duration("1s");

/** Options whose values the agent knows. */
const known: Readonly<Record<string, (agent: SandAgent) => Promise<string[]>>> = {
  network: async (agent) => ((await agent.networks()).networks ?? []).map(({ id }) => id),
  endpoint: async (agent) => ((await agent.endpoints()).endpoints ?? []).map(({ id }) => id),
  hostname: async (agent) => ((await agent.endpoints()).endpoints ?? []).map(({ hostname }) => hostname),
};

/** Returns the candidates for the last of `words`; ids and hosts come from the agent. */
export function completeSand(program: Command, words: readonly string[]): Promise<Candidate[]> {
  return complete(program, words, async ({ argument, options }) => {
    const values = known[argument];
    if (!values) return [];
    try {
      const { apiUrl: url, ...files } = { ...program.opts(), ...options };
      const agent = await openAgent({
        ...files,
        apiUrl: typeof url === "string" ? apiUrl(url) : url,
        timeout: TIMEOUT,
      });
      return [...new Set(await values(agent))];
    } catch {
      return []; // there is no place for the reason in the middle of a line
    }
  });
}
