import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { messageOf } from "../../services/common/refusal.ts";
import { UsageError } from "../../services/common/usage.ts";
import type { BenchResult, table } from "../../tests/bench/lib.ts";
import { cloneRoot } from "./program.ts";

const names = ["dns", "dhcp", "endpoint", "neigh", "store"];

/** What a file `tests/bench/NAME.ts` exports. */
interface Bench {
  /** Measures; writes its section of docs/BENCHMARKS.md and its plot. */
  bench(progress: (line: string) => void): Promise<BenchResult>;
}

/** `strand bench NAME [--json FILE] [--install-peers]`; the launcher has installed the peers by now. */
export async function main(args: string[]): Promise<number> {
  const { name, json } = read(args);
  const folder = pathToFileURL(`${cloneRoot()}tests/bench/`);
  const module = await import(new URL(`${name}.ts`, folder).href) as Bench;
  const result = await module.bench((line) => console.error(line));
  const lib = await import(new URL("lib.ts", folder).href) as { table: typeof table };
  console.log(lib.table(result));
  if (json !== undefined) await Deno.writeTextFile(json, JSON.stringify(result, null, 2) + "\n");
  return 0;
}

function read(args: string[]): { name: string; json: string | undefined } {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      options: { json: { type: "string" }, "install-peers": { type: "boolean" } },
      allowPositionals: true,
    });
  } catch (error) {
    throw new UsageError(messageOf(error), { cause: error });
  }
  const [name = "", extra] = parsed.positionals;
  if (!names.includes(name) || extra !== undefined) throw new UsageError(`name one of ${names.join(", ")}`);
  return { name, json: parsed.values.json };
}
