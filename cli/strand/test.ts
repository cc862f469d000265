import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { messageOf, Refusal } from "../../services/common/refusal.ts";
import { UsageError } from "../../services/common/usage.ts";
import { linesOf } from "./process.ts";
import { add, type Counts, countsOf, none, totals } from "./test_counts.ts";

interface Group {
  readonly name: string;
  /** Folders under the root whose `*_test.ts` belong to it. */
  readonly folders: readonly string[];
  readonly flags: readonly string[];
}

const unit: Group = { name: "unit", folders: ["services", "ffi", "cli"], flags: ["--parallel"] };
// One file after the other: each has the machine's two cores, its namespaces and its clocks for itself.
const lab: Group = { name: "lab", folders: ["tests"], flags: [] };

/** `strand test [unit|lab|all] [FILTER]`. */
export async function main(args: string[]): Promise<number> {
  const { groups, filter } = read(args);
  if (groups.includes(lab) && Deno.uid() !== 0) {
    throw new Refusal(
      "forbidden",
      "the lab tests make network namespaces, which needs root; `strand test unit` does not",
    );
  }
  let sum = none;
  let held = true;
  for (const group of groups) {
    console.log(`\n${group.name} tests: ${group.folders.join(", ")}`);
    const { counts, code } = await runGroup(group, filter);
    // A crash, a type error; or, unless the filter left nothing, a group that lost its tests.
    const ran = counts.passed + counts.failed > 0 || filter !== undefined;
    if (!ran || (code !== 0 && counts.failed === 0)) {
      console.error(`strand test: the ${group.name} tests ended with status ${code} without a failed test`);
      held = false;
    }
    sum = add(sum, counts);
  }
  if (sum.passed + sum.failed === 0) console.error("strand test: no test was run");
  console.log(`\n${totals(sum)}`);
  return held && sum.failed === 0 && sum.passed > 0 ? 0 : 1;
}

function read(args: string[]): { groups: Group[]; filter: string | undefined } {
  let positionals: string[];
  try {
    ({ positionals } = parseArgs({ args, options: {}, allowPositionals: true }));
  } catch (error) {
    throw new UsageError(messageOf(error), { cause: error });
  }
  const named = { unit: [unit], lab: [lab], all: [unit, lab] }[positionals[0] ?? "all"];
  const [filter, extra] = named ? positionals.slice(1) : positionals;
  if (extra !== undefined) throw new UsageError(`one FILTER, not also "${extra}"`);
  return { groups: named ?? [unit, lab], filter };
}

async function runGroup(group: Group, filter: string | undefined): Promise<{ counts: Counts; code: number }> {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "--allow-all", "--cached-only", "--no-prompt", "--permit-no-files", ...group.flags],
      ...(filter === undefined ? [] : ["--filter", filter]),
      ...group.folders,
    ],
    cwd: root,
    env: Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const stop = () => child.kill("SIGTERM");
  Deno.addSignalListener("SIGTERM", stop);
  let counts = none;
  for await (const line of linesOf(child.stdout)) {
    console.log(line);
    counts = add(counts, countsOf(line));
  }
  const { code } = await child.status;
  Deno.removeSignalListener("SIGTERM", stop);
  return { counts, code };
}
