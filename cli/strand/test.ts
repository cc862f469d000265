import { parseArgs } from "node:util";
import { messageOf, Refusal } from "../../services/common/refusal.ts";
import { UsageError } from "../../services/common/usage.ts";
import { linesOf } from "./process.ts";
import { cloneRoot } from "./program.ts";
import { add, type Counts, countsOf, none, totals } from "./test_counts.ts";

interface Group {
  readonly name: string;
  /** Folders under the root whose `*_test.ts` belong to it. */
  readonly folders: readonly string[];
  readonly flags: readonly string[];
  /** True: a process for each file, so that a crash or a hang costs that file alone. */
  readonly apart: boolean;
}

const unit: Group = {
  name: "unit",
  folders: ["services", "ffi", "cli"],
  flags: ["--parallel"],
  apart: false,
};
const lab: Group = { name: "lab", folders: ["tests"], flags: [], apart: true };

/** How long one process may take, in ms; the longest file needs a fraction of it. */
const LIMIT = 900_000;

/**
 * So many files run at a time. Most of them wait for clocks, namespaces and other processes half of their time, so one
 * more than this machine has processors keeps all of them busy.
 */
const AT_ONCE = navigator.hardwareConcurrency + 1;

/** Files that take long begin first, so that none of them is left over at the end when the others are done. */
const LONGEST = [
  "tests/dist/image_test.ts",
  "tests/deploy/machines_test.ts",
  "tests/docker/trouble_test.ts",
  "tests/agent/failpoints_test.ts",
  "tests/fuzz/dhcp_fuzz_test.ts",
];

/** Test processes that have not ended. */
const running = new Set<Deno.ChildProcess>();

/** Ends what is running, and this process with it. */
function stop(): void {
  for (const child of running) child.kill("SIGTERM");
  Deno.exit(1);
}

/** `strand test [unit|lab|all] [FILTER]`. */
export async function main(args: string[]): Promise<number> {
  const { groups, filter } = read(args);
  Deno.addSignalListener("SIGTERM", stop);
  const root = cloneRoot();
  if (groups.includes(lab) && Deno.uid() !== 0) {
    const message = "the lab tests make network namespaces, which needs root; `strand test unit` does not";
    throw new Refusal("forbidden", message);
  }
  let sum = none;
  const wrong: string[] = [];
  for (const group of groups) {
    console.log(`\n${group.name} tests`);
    // Once for all of its processes, each of which would look at most of the sources again.
    if (!await typesHold(root, group.folders)) {
      wrong.push(`${group.folders.join(" ")}: types do not hold`);
      sum = add(sum, { ...none, failed: 1 });
      continue;
    }
    let counts = none;
    const waiting = await batches(root, group, filter);
    const take = async () => {
      for (let paths = waiting.shift(); paths; paths = waiting.shift()) {
        const result = await runDeno(root, group, paths, filter);
        counts = add(counts, result.counts);
        if (result.fault) wrong.push(`${paths.join(" ")}: ${result.fault}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, take));
    if (filter === undefined && counts.passed + counts.failed === 0) {
      wrong.push(`${group.name}: no test was run`);
    }
    sum = add(sum, counts);
  }
  if (wrong.length > 0) console.log(`\nNot in order:\n  ${wrong.join("\n  ")}`);
  if (sum.passed + sum.failed === 0) console.log("\nNo test was run.");
  console.log(`\n${totals(sum)}`);
  Deno.removeSignalListener("SIGTERM", stop);
  return wrong.length === 0 && sum.failed === 0 && sum.passed > 0 ? 0 : 1;
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

/** What each process is given to run. */
async function batches(root: string, group: Group, filter: string | undefined): Promise<string[][]> {
  if (!group.apart || filter !== undefined) return [[...group.folders]];
  const files: string[] = [];
  for (const folder of group.folders) for await (const file of testFiles(root, folder)) files.push(file);
  const rank = (file: string) => (LONGEST.indexOf(file) + 1) || LONGEST.length + 1;
  return files.sort().sort((a, b) => rank(a) - rank(b)).map((file) => [file]);
}

async function* testFiles(root: string, folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(root + folder)) {
    if (isDirectory) yield* testFiles(root, `${folder}/${name}`);
    else if (name.endsWith("_test.ts")) yield `${folder}/${name}`;
  }
}

async function typesHold(root: string, folders: readonly string[]): Promise<boolean> {
  const command = new Deno.Command(Deno.execPath(), {
    args: ["test", "--no-run", "--quiet", "--cached-only", ...folders],
    cwd: root,
    env: environment(),
    stdin: "null",
  });
  return (await command.spawn().status).success;
}

/** Without the runtime's own backtrace after a failure, which says nothing about the test. */
function environment(): Record<string, string> {
  return { RUST_BACKTRACE: "0", ...(Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }) };
}

interface Result {
  /** With one more failed where the process did not come to its own end. */
  readonly counts: Counts;
  readonly fault?: string;
}

async function runDeno(
  root: string,
  group: Group,
  paths: readonly string[],
  filter: string | undefined,
): Promise<Result> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "--allow-all", "--no-check", "--cached-only", "--no-prompt", "--permit-no-files"],
      ...group.flags,
      ...(filter === undefined ? [] : ["--filter", filter]),
      ...paths,
    ],
    cwd: root,
    env: environment(),
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let overdue = false;
  const timer = setTimeout(() => {
    overdue = true;
    child.kill("SIGKILL");
  }, filter === undefined && group.apart ? LIMIT : 4 * LIMIT);
  running.add(child);
  let counts = none;
  // The lines of files that run at the same time do not mix: each file's come together, at its end.
  const kept: string[] = [];
  const show = (line: string) => group.apart && filter === undefined ? kept.push(line) : console.log(line);
  const read = async (stream: typeof child.stdout, take: (line: string) => void) => {
    for await (const line of linesOf(stream)) take(line);
  };
  const summed = (line: string) => {
    show(line);
    counts = add(counts, countsOf(line));
  };
  await Promise.all([read(child.stdout, summed), read(child.stderr, show)]);
  const { code } = await child.status;
  if (kept.length) console.log(kept.join("\n"));
  clearTimeout(timer);
  running.delete(child);
  const broken = overdue || (code !== 0 && counts.failed === 0);
  if (!broken) return counts.failed ? { counts, fault: `${counts.failed} failed` } : { counts };
  const fault = overdue ? "ended after its time was up" : `status ${code} without a failed test`;
  return { counts: add(counts, { ...none, failed: 1 }), fault };
}
