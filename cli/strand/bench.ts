import { parseArgs } from "node:util";
import { messageOf } from "../../services/common/refusal.ts";
import { UsageError } from "../../services/common/usage.ts";
import type { BenchResult } from "../../tests/bench/lib.ts";

const names = ["dns", "dhcp", "endpoint", "neigh", "store"];

/** What a file `tests/bench/NAME.ts` exports. */
interface Bench {
  /** Measures; writes its section of docs/BENCHMARKS.md and its plot. */
  bench(progress: (line: string) => void): Promise<BenchResult>;
}

/** `strand bench NAME [--json FILE] [--install-peers]`; the launcher has installed the peers by now. */
export async function main(args: string[]): Promise<number> {
  const { name, json } = read(args);
  const module = await import(new URL(`../../tests/bench/${name}.ts`, import.meta.url).href) as Bench;
  const result = await module.bench((line) => console.error(line));
  const { table } = await import("../../tests/bench/lib.ts");
  console.log(table(result));
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
