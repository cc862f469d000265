import { parseArgs } from "node:util";
import { messageOf } from "../../services/common/refusal.ts";
import { UsageError } from "../../services/common/usage.ts";
import { type BenchResult, table } from "../bench/lib.ts";

/** Measures; writes its section of docs/BENCHMARKS.md and its plot. */
interface Bench {
  bench(progress: (line: string) => void): Promise<BenchResult>;
}

const benches = new Map<string, () => Promise<Bench>>([
  ["dashboard", () => import("../bench/dashboard.ts")],
  ["dns", () => import("../bench/dns.ts")],
  ["dhcp", () => import("../bench/dhcp.ts")],
  ["endpoint", () => import("../bench/endpoint.ts")],
  ["neigh", () => import("../bench/neigh.ts")],
  ["overlay", () => import("../bench/overlay.ts")],
  ["store", () => import("../bench/store.ts")],
]);

/** `strand bench NAME [--json FILE] [--install-peers]`; the launcher has installed the peers by now. */
export async function main(args: string[]): Promise<number> {
  const { load, json } = read(args);
  const { bench } = await load();
  const result = await bench((line) => console.error(line));
  console.log(table(result));
  if (json !== undefined) await Deno.writeTextFile(json, JSON.stringify(result, null, 2) + "\n");
  return 0;
}

function read(args: string[]): { load: () => Promise<Bench>; json: string | undefined } {
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
  const load = benches.get(name);
  if (!load || extra !== undefined) throw new UsageError(`name one of ${[...benches.keys()].join(", ")}`);
  return { load, json: parsed.values.json };
}
