/** The version of this program, from deno.json. */
import manifest from "../../deno.json" with { type: "json" };

/** This program's version, as every command and process reports it. */
export const version: string = manifest.version;
