import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { delay, repeat } from "../../services/common/async.ts";
import { messageOf, Refusal } from "../../services/common/refusal.ts";
import { UsageError } from "../../services/common/usage.ts";
import { linesOf } from "../../cli/strand/process.ts";
import { MODULE } from "../../cli/strand/program.ts";
import { RUN_DIRECTORY } from "../lab/shared.ts";
import { bundle } from "./bundle.ts";
import { add, type Counts, countsOf, failedFile, none, totals } from "./counts.ts";
import { importing, OF_MODULE } from "./importing.ts";
import { inLanes } from "./lanes.ts";
import { processorTime } from "./load.ts";
import { rank } from "./order.ts";
import { longest, processorTimes, type Took } from "./times.ts";

/** The clone's directory, with a slash at its end. */
const root = fileURLToPath(new URL("../../", import.meta.url));

interface Group {
  readonly name: string;
  /** Folders under the root whose `*_test.ts` belong to it, or files. */
  readonly folders: readonly string[];
  readonly flags: readonly string[];
  /** True: a process for each file, so that a crash or a hang costs that file alone. */
  readonly apart: boolean;
  /** Variables that its processes have beside those of this one. */
  readonly env?: Readonly<Record<string, string>>;
}

const unit: Group = {
  name: "unit",
  folders: ["services", "ffi", "cli", "proto", "tests/runner"],
  flags: ["--parallel"],
  apart: false,
};
const lab: Group = { name: "lab", folders: ["tests"], flags: [], apart: true };

/** What install_peers.sh has unpacked from Debian 13: the lab's etcd is Debian 12's, or the one that STRAND_ETCD names. */
const newerEtcd = `${root}.strand/etcd-3.5/usr/bin/etcd`;
/** Of the lab's files those that say most about an etcd: watches, transactions, leases; nexd, status and an agent with it. */
const withNewerEtcd: Group = {
  name: "etcd-3.5",
  folders: [
    "tests/conformance/etcd3_test.ts",
    "tests/faults/store_mirror_test.ts",
    "tests/faults/refusal_test.ts",
    "tests/faults/store_commit_test.ts",
    "tests/faults/store_lease_test.ts",
    "tests/faults/status_cluster_test.ts",
    "tests/faults/nexd_apply_actions_test.ts",
    "tests/agent/leftover_test.ts",
  ],
  flags: [],
  apart: true,
  env: { STRAND_ETCD: newerEtcd },
};

/** So many files of one process are given to Deno as they are; more are imported by a few modules. */
const FEW = 16;

/** How long one process may take, in ms; the longest file needs a fraction of it. */
const LIMIT = 900_000;

/** Test processes that have not ended. */
const running = new Set<Deno.ChildProcess>();

/** What files of the run share, and where the program is bundled; they are gone at the end. */
let shared: string | undefined, program: string | undefined;

/** The module that the lab's processes start from, where it is not that of the sources. */
let module: string | undefined;

/** Ends what is running, and this process with it. */
function stop(): void {
  for (const child of running) child.kill("SIGTERM");
  try {
    for (const folder of [shared, program]) if (folder) Deno.removeSync(folder, { recursive: true });
  } finally {
    // One of them may have written into it meanwhile.
    Deno.exit(1);
  }
}

/** `strand test [unit|lab|etcd-3.5|all] [FILTER] [--times]`. */
export async function main(args: string[]): Promise<number> {
  const { groups, filter, times } = read(args);
  Deno.addSignalListener("SIGTERM", stop);
  if (groups.some(({ apart }) => apart) && Deno.uid() !== 0) {
    const message = "the lab tests make network namespaces, which needs root; `strand test unit` does not";
    throw new Refusal("forbidden", message);
  }
  const selected = await select(groups, filter);
  shared = await Deno.makeTempDir({ prefix: "strand-test-" });
  try {
    return await runAll(selected, filter, times);
  } finally {
    for (const folder of [shared, program]) if (folder) await remove(folder);
    Deno.removeSignalListener("SIGTERM", stop);
  }
}

/** Removes a folder with what is in it. A process that a test has left may write into it for a moment yet. */
async function remove(folder: string): Promise<void> {
  for (let tries = 1;; tries++) {
    try {
      return await Deno.remove(folder, { recursive: true });
    } catch (error) {
      if (!/not empty/i.test(messageOf(error)) || tries === 10) throw error;
      await delay(200);
    }
  }
}

async function runAll(
  selected: readonly Selected[],
  filter: string | undefined,
  times: boolean,
): Promise<number> {
  const wrong: string[] = [];
  let sum = none;
  const jobs: Job[] = [];
  for (const { group, batches, name } of selected) {
    if (group === withNewerEtcd && !(await isFile(newerEtcd))) {
      console.log(`${group.name}: skipped, since tests/install_peers.sh could not unpack this etcd.`);
      sum = add(sum, { ...none, skipped: batches.length });
    } else jobs.push(...batches.map((paths) => ({ group, paths, name })));
  }
  jobs.sort((a, b) => rank(a.paths[0]) - rank(b.paths[0]));
  // Once for all processes, each of which would look at most of the sources again. Tests run meanwhile.
  const types = new Types(selected.flatMap(({ group }) => group.folders));
  if (jobs.length > FEW) {
    program = await Deno.makeTempDir({ prefix: "program-", dir: `${root}.strand` });
    // Some processes of tests are not root's.
    await Deno.chmod(program, 0o755);
    module = await bundle(root, program);
  }
  const took = await inLanes(jobs, (job) => types.wrong ? undefined : runDeno(job, jobs.length > 1));
  if (!(await types.hold)) {
    wrong.push("types do not hold: what had not begun by then was not run");
    sum = add(sum, { ...none, failed: 1 });
  }
  for (const { counts, fault } of took) {
    sum = add(sum, counts);
    if (fault) wrong.push(fault);
  }
  for (const group of filter === undefined ? new Set(jobs.map(({ group }) => group)) : []) {
    const ran = took.filter((result) =>
      result.group === group && result.counts.passed + result.counts.failed
    );
    if (ran.length === 0) wrong.push(`${group.name}: no test was run`);
  }
  if (times) console.log(`\nProcessor time:\n${processorTimes(took)}`);
  else if (took.length > 1) console.log(`\nThe longest:\n${longest(took)}`);
  if (wrong.length > 0) console.log(`\nNot in order:\n  ${wrong.join("\n  ")}`);
  if (sum.passed + sum.failed === 0) console.log("\nNo test was run.");
  console.log(`\n${totals(sum)}`);
  return wrong.length === 0 && sum.failed === 0 && sum.passed > 0 ? 0 : 1;
}

/** What one process runs. */
interface Job {
  readonly group: Group;
  readonly paths: readonly string[];
  /** Only tests whose name contains this. */
  readonly name: string | undefined;
}

/** The check of the types of all files, beside the tests. */
class Types {
  readonly hold: Promise<boolean>;
  /** True once it is known that they do not hold. */
  wrong = false;

  constructor(folders: readonly string[]) {
    this.hold = typesHold(folders).then((hold) => {
      this.wrong = !hold;
      return hold;
    });
  }
}

interface Arguments {
  readonly groups: Group[];
  readonly filter: string | undefined;
  /** True: what each file took is printed, not of the longest alone. */
  readonly times: boolean;
}

function read(args: string[]): Arguments {
  let positionals: string[], times: boolean;
  try {
    const options = { times: { type: "boolean", default: false } } as const;
    ({ positionals, values: { times } } = parseArgs({ args, options, allowPositionals: true }));
  } catch (error) {
    throw new UsageError(messageOf(error), { cause: error });
  }
  const chosen = named(positionals[0] ?? "all");
  const [filter, extra] = chosen ? positionals.slice(1) : positionals;
  if (extra !== undefined) throw new UsageError(`one FILTER, not also "${extra}"`);
  return { groups: chosen ?? [unit, lab], filter, times };
}

/** The groups of that name. */
function named(name: string): Group[] | undefined {
  if (name === "all") return [unit, lab, withNewerEtcd];
  const group = [unit, lab, withNewerEtcd].find((group) => group.name === name);
  return group && [group];
}

/** What a group has to run. */
interface Selected {
  readonly group: Group;
  /** The paths that each process is given. */
  readonly batches: readonly (readonly string[])[];
  /** Only tests whose name contains this. */
  readonly name: string | undefined;
}

/** A filter that is part of the path of any file chooses files, another one tests by their names. */
async function select(groups: readonly Group[], filter?: string): Promise<Selected[]> {
  const all = await Promise.all(groups.map(async (group) => {
    const files: string[] = [];
    for (const folder of group.folders) for await (const file of testFiles(folder)) files.push(file);
    return { group, files: files.sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1)) };
  }));
  const chosen = all.map(({ group, files }) => ({
    group,
    files: files.filter((file) => filter === undefined || file.includes(filter)),
  })).filter(({ files }) => files.length > 0);
  const isPath = chosen.length > 0 || filter === undefined;
  const selected = isPath ? chosen : await mentioning(all, filter);
  if (selected.length === 0) {
    throw new UsageError(`FILTER: "${filter}" is neither a part of a test file's path nor of a test's name`);
  }
  return selected.map(({ group, files }) => ({
    group,
    batches: group.apart ? files.map((file) => [file]) : [files],
    name: isPath ? undefined : filter,
  }));
}

interface GroupFiles {
  readonly group: Group;
  readonly files: readonly string[];
}

/** The files with every word of the filter, one of which may have a test with such a name: a name may be put together. */
async function mentioning(all: readonly GroupFiles[], filter: string): Promise<GroupFiles[]> {
  const words = filter.split(/\s+/);
  const found = await Promise.all(all.map(async ({ group, files }) => {
    const texts = await Promise.all(files.map((file) => Deno.readTextFile(root + file)));
    return {
      group,
      files: files.filter((_, i) => words.every((word) => texts[i]?.includes(word))),
    };
  }));
  return found.filter(({ files }) => files.length > 0);
}

async function isFile(path: string): Promise<boolean> {
  return await Deno.stat(path).then((info) => info.isFile, () => false);
}

async function* testFiles(folder: string): AsyncGenerator<string> {
  if (folder.endsWith("_test.ts")) return yield folder;
  for await (const { name, isDirectory } of Deno.readDir(root + folder)) {
    const path = `${folder}/${name}`;
    // What one group names by itself is no other's.
    if (isDirectory && !unit.folders.includes(path)) yield* testFiles(path);
    else if (!isDirectory && name.endsWith("_test.ts")) yield path;
  }
}

async function typesHold(folders: readonly string[]): Promise<boolean> {
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
  return {
    RUST_BACKTRACE: "0",
    ...shared && { [RUN_DIRECTORY]: shared },
    ...module !== undefined && { [MODULE]: module },
    ...(Deno.stdout.isTerminal() ? { FORCE_COLOR: "1" } : { NO_COLOR: "1" }),
  };
}

interface Result extends Took {
  readonly group: Group;
  /** With one more failed where the process did not come to its own end. */
  readonly counts: Counts;
  /** What went wrong, and how to run it again. */
  readonly fault?: string;
}

/** @param together True: what it prints comes in one piece at its end, since others run at the same time. */
async function runDeno({ group, paths, name }: Job, together: boolean): Promise<Result> {
  const begun = performance.now(), one = group.apart && name === undefined;
  const modules = shared && paths.length > FEW ? await importing(paths, { root, folder: shared }) : paths;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["test", "--allow-all", "--no-check", "--cached-only", "--no-prompt", "--permit-no-files"],
      `--config=${root}deno.json`,
      ...group.flags,
      ...(name === undefined ? [] : ["--filter", name]),
      ...modules,
    ],
    cwd: root,
    env: { ...environment(), ...group.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let overdue = false;
  const timer = setTimeout(() => {
    overdue = true;
    child.kill("SIGKILL");
  }, one ? LIMIT : 4 * LIMIT);
  running.add(child);
  let processor = 0;
  const endSampling = repeat(() => 500, async () => {
    const stat = await Deno.readTextFile(`/proc/${child.pid}/stat`).catch(() => undefined);
    if (stat) processor = processorTime(stat);
  });
  let counts = none;
  const again = new Set<string>();
  const kept: string[] = together ? [`\n${group.name}`] : [];
  const show = (line: string) => together ? kept.push(line) : console.log(line);
  const read = async (stream: typeof child.stdout, take: (line: string) => void) => {
    for await (const line of linesOf(stream)) take(line);
  };
  const summed = (line: string) => {
    show(line.replace(OF_MODULE, ""));
    counts = add(counts, countsOf(line));
    const failed = failedFile(line);
    if (failed) again.add(failed);
  };
  await Promise.all([read(child.stdout, summed), read(child.stderr, show)]);
  const { code } = await child.status;
  if (kept.length) console.log(kept.join("\n"));
  clearTimeout(timer);
  await endSampling();
  running.delete(child);
  const broken = overdue || (code !== 0 && counts.failed === 0);
  if (broken) counts = add(counts, { ...none, failed: 1 });
  const why = overdue
    ? "ended after its time was up"
    : broken
    ? `status ${code} without a failed test`
    : counts.failed
    ? `${counts.failed} failed`
    : undefined;
  const what = one ? paths.join(" ") : group.name;
  const files = one || again.size === 0 ? [what] : [...again];
  return {
    group,
    what: group.env ? `${what} (${group.name})` : what,
    counts,
    ...why &&
      {
        fault: `${what}: ${why}; again: ${
          files.map((file) => `./strand test ${group.env ? `${group.name} ` : ""}${file}`).join("; ")
        }`,
      },
    seconds: (performance.now() - begun) / 1000,
    processor,
  };
}
