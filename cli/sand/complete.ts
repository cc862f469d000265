import type { Command } from "commander";
import { complete } from "../completion.ts";
import { openAgent } from "./session.ts";
import { apiUrl, duration } from "./values.ts";

/** How long a shell may wait for the agent. */
const TIMEOUT = duration("1s");

/** Options whose values the agent knows: where they are listed, and under which properties. */
const listed: Record<string, [list: string, property: string]> = {
  network: ["networks", "id"],
  endpoint: ["endpoints", "id"],
  hostname: ["endpoints", "hostname"],
};

/** The words that may stand in place of the last of `words`; ids and hosts come from the agent. */
export function completeSand(program: Command, words: readonly string[]): Promise<string[]> {
  return complete(program, words, async ({ argument, options }) => {
    const [list, property] = listed[argument] ?? [];
    if (!list || !property) return [];
    try {
      const { apiUrl: url, ...files } = { ...program.opts(), ...options };
      const agent = await openAgent({
        ...files,
        apiUrl: typeof url === "string" ? apiUrl(url) : url,
        timeout: TIMEOUT,
      });
      const answer = await agent.ask<Record<string, Record<string, string>[] | null>>(
        list,
        "GET",
        `/${list}`,
      );
      return [...new Set(answer[list]?.map((item) => item[property] ?? "") ?? [])];
    } catch {
      return []; // there is no place for the reason in the middle of a line
    }
  });
}
