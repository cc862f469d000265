/** Standard input and output of the CNI plugin, which a runtime starts as a process for each operation. */
import type { JsonObject } from "./json.ts";

/** The result of a call of a plugin. */
export interface PluginOutcome {
  readonly status: 0 | 1;
  /** For standard output; undefined: nothing. */
  readonly output: JsonObject | undefined;
}

/** Far more than a runtime has to say: a list of all containers of a host is some 100 bytes for each. */
const MOST = 16 * 1024 * 1024;

/** Reads all of standard input. */
export async function standardInput(): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of Deno.stdin.readable) {
    if ((length += chunk.length) > MOST) throw new Error(`it has more than ${MOST} bytes`);
    chunks.push(chunk);
  }
  return new Uint8Array(await new Blob(chunks as BlobPart[]).arrayBuffer());
}

/** Writes the outcome; returns the exit status. */
export function ended({ status, output }: PluginOutcome): number {
  if (output) {
    const bytes = new TextEncoder().encode(JSON.stringify(output, undefined, 2) + "\n");
    for (let at = 0; at < bytes.length;) at += Deno.stdout.writeSync(bytes.subarray(at));
  }
  return status;
}
