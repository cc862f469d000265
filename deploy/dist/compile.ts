/**
 * `deno task compile [--arch x64|arm64] [--out DIRECTORY]`: Strand as one program, into `dist/` when no other
 * directory is named. A link to it called nex, nexd, sand-agent… is that command.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { messageOf, Refusal } from "../../services/common/refusal.ts";
import { version } from "../../services/common/version.ts";
import { capture } from "./capture.ts";
import { copyProgram } from "./folder.ts";
import { outDirectory } from "./out.ts";
import { epochOf } from "./pack.ts";
import { type BuildTarget, isHost, targetOf } from "./target.ts";

/** Files that are read or started at run time without an import. */
const read = ["services/dnsd/worker.ts", "examples/blue.yml", "examples/mini.yml"];

/**
 * A compiled program has one set of flags for all its commands. The services need theirs: they hold 25 MB less each.
 * A command starts as quickly with them, and reads a specification of 10,000 members in 0.8 s in place of 0.6. An agent with a
 * thousand networks starts in 11 s of processor time in place of 6, since the launchers give it other flags.
 */
const v8Flags = "--v8-flags=--max-semi-space-size=2,--optimize-for-size";

/** A sentence of Deno's help, by which Deno is recognised: its runtime stub has no options. */
const denosHelp = "A modern JavaScript and TypeScript runtime";

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { arch: { type: "string" }, out: { type: "string" } } });
  const target = targetOf(values.arch);
  const stub = Deno.env.get("DENORT_BIN");
  if (stub) {
    const bytes = await readFile(stub).catch((error) => {
      throw new Refusal("invalid", `DENORT_BIN: ${stub} cannot be read: ${messageOf(error)}`, {
        cause: error,
      });
    });
    if (bytes.includes(denosHelp)) {
      // The result would be Deno itself, since only the stub runs appended code.
      const message = `DENORT_BIN: ${stub} is Deno itself: name its runtime stub, ${stubOf(target)}`;
      throw new Refusal("invalid", message);
    }
  } else {
    // An empty value would make Deno look for a file without a name.
    Deno.env.delete("DENORT_BIN");
  }
  const source = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
  const out = await outDirectory(values.out, source);
  const program = `${out}/strand-linux-${target.arch}`;
  // The directory is the same for each run: a file that cannot be compiled is included with an error that names its
  // path.
  const work = `${Deno.env.get("TMPDIR") || "/tmp"}/strand-compile-${target.arch}`;
  await Deno.mkdir(work, { mode: 0o700 }).catch((error) => {
    const message = `${work} is there already: wait for the other compile, or remove what a killed one left`;
    throw error instanceof Deno.errors.AlreadyExists ? new Refusal("exists", message) : error;
  });
  try {
    await copyProgram(source, work);
    // A compiled program contains the modification times of its files.
    await capture([
      "find",
      work,
      "-exec",
      "touch",
      "--no-dereference",
      `--date=@${await epochOf(source)}`,
      "{}",
      "+",
    ]);
    await compile(work, target.triple).catch((error) => {
      throw messageOf(error).includes("Setting up base binary") && !stub ? noRuntime(target, error) : error;
    });
    // The target may be on another file system, so the program is copied, not renamed.
    await Deno.copyFile(`${work}/strand`, `${program}.part`);
    if (isHost(target)) await start(`${program}.part`);
    else console.error(`compile: it was not started, since it is for ${target.arch}`);
    await Deno.rename(`${program}.part`, program);
  } finally {
    await Deno.remove(`${program}.part`).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
    await Deno.remove(work, { recursive: true });
  }
  console.log(program);
}

async function compile(work: string, triple: string): Promise<void> {
  await capture([
    Deno.execPath(),
    "compile",
    "--quiet",
    "--no-check",
    "--allow-all",
    "--cached-only",
    "--no-lock",
    "--node-modules-dir=manual",
    v8Flags,
    ...read.map((path) => `--include=${path}`),
    `--target=${triple}`,
    "--output=strand",
    "cli/main.ts",
  ], { cwd: work });
}

/** Starts the program once: a stub of another version makes one that compiles and does not run. */
async function start(program: string): Promise<void> {
  const said = (await capture([program, "--version"])).trim();
  if (said === `strand ${version}`) return;
  throw new Refusal(
    "invalid",
    `what was compiled says "${said}" to --version, in place of "strand ${version}"`,
  );
}

function stubOf({ triple }: BuildTarget): string {
  return `denort ${Deno.version.deno} for ${triple}`;
}

function noRuntime(target: BuildTarget, cause: unknown): Refusal {
  const message = `Deno's runtime stub could not be downloaded: set DENORT_BIN to ${stubOf(target)}`;
  return new Refusal("unavailable", message, { cause });
}

try {
  await main();
} catch (error) {
  console.error(`compile: ${messageOf(error)}`);
  Deno.exit(1);
}
