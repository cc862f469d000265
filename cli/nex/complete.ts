/** Shell completion of `nex`, with the names of networks from the server. */
import type { Command } from "commander";
import type { Candidate } from "../candidates.ts";
import { complete } from "../completion.ts";
import { connect, type NexServerOptions } from "./connect.ts";

/** Milliseconds that a shell may wait for the server. */
const TIMEOUT = 1000;

/** Returns the candidates for the last of `words`; networks come from the server. */
export function completeNex(program: Command, words: readonly string[]): Promise<Candidate[]> {
  return complete(program, words, async ({ argument, options }) => {
    if (argument !== "net") return [];
    try {
      const client = await connect({ ...program.opts<NexServerOptions>(), ...options });
      try {
        return (await client.call("GetNetworks", {}, TIMEOUT)).nets;
      } finally {
        client.close();
      }
    } catch {
      // A reason could not be shown in the middle of a command line.
      return [];
    }
  });
}
