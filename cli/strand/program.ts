/** Builds the command line by which this program starts another `strand` process, with the V8 flags of its service. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

export const SERVICES = ["nexd", "dnsd", "dhcpd", "agent", "gatewayd", "dashboard"];
/** Services of a host, which have much to do when they start. */
export const HOST_SERVICES = ["agent", "gatewayd"];

/**
 * V8's flags of services, the same as in the launchers: they keep the heap close to the data that it holds for months. With 10,000
 * members `--optimize-for-size` spares nexd and dnsd 20 MiB each. An agent with a thousand networks would spend 5 s more at its
 * start, of 11, and gatewayd 0.3 of 1.2, on collecting garbage for it: they have that done once, when they have started. V8 would
 * have that done again twice, 30 s and more after any such collection; once, after 10 s, takes what was left meanwhile. Over 10,000
 * hosts a dashboard starts in 10 s with both and a heap that grows by an eighth at a time, and takes 280 MiB at most, in place of
 * 7.5 s and 380 MiB. A saturated dhcpd would spend a tenth more processor time on each lease with `--optimize-for-size`: its heap
 * grows by a tenth at a time, for 10 MiB more.
 */
export function heapFlags(service: string): string {
  const once = "--expose-gc,--memory-reducer-gc-count=1,--gc-memory-reducer-start-delay-ms=10000";
  const own = HOST_SERVICES.includes(service)
    ? once
    : service === "dashboard"
    ? `--optimize-for-size,--heap-growing-percent=12,${once}`
    : service === "dhcpd"
    ? "--heap-growing-percent=10"
    : "--optimize-for-size";
  return `--max-semi-space-size=2,${own}`;
}

/** The folder of a service's compiled code: what was compiled with other flags is of no use, and would be compiled again. */
export function codeFolder(service: string): string {
  if (HOST_SERVICES.includes(service)) return "host";
  return service === "dashboard" || service === "dhcpd" ? service : "services";
}

/** The variable by which a test run names the module that processes start from in place of cli/main.ts: a bundle of it. */
export const MODULE = "STRAND_TEST_MODULE";
/**
 * A V8 flag for processes of a test run: the first one compiles all functions, and the others find them in the cache, where else
 * those were that a module calls while it is loaded. An agent starts with a fifth less processor time, for some MiB of code.
 */
const EAGER = "--no-lazy";

/** The path of `strand`: the compiled program, or the launcher of a clone or a portable folder. */
export function programPath(): string {
  return Deno.build.standalone ? Deno.execPath() : at("strand");
}

/** The command line that runs `strand ARGS` as a separate process, with the same Deno. */
export function strandCommand(args: readonly string[]): string[] {
  // A portable folder has a Deno of its own, and its launcher does nothing but start it.
  if (Deno.build.standalone || Deno.execPath() === at("deno")) return [programPath(), ...args];
  // The npm packages are there, and were compared with deno.lock when they were installed.
  const modules = ["--cached-only", "--no-lock", "--node-modules-dir=manual"];
  const flags = ["--quiet", "--allow-all", "--no-prompt", ...modules, "--config", at("deno.json")];
  const [name = ""] = args, isService = SERVICES.includes(name), bundle = Deno.env.get(MODULE);
  // Code that was compiled with other flags is of no use, and would be compiled and stored again at each start.
  const cache = bundle ? dirname(bundle) : Deno.env.get("DENO_DIR");
  const folder = isService ? codeFolder(name) : bundle && "commands";
  const own = folder && cache ? ["env", `DENO_DIR=${cache}/${folder}`] : [];
  const v8 = [...(isService ? [heapFlags(name)] : []), ...(bundle ? [EAGER] : [])];
  const run = [Deno.execPath(), "run", ...(v8.length ? [`--v8-flags=${v8}`] : [])];
  const main = bundle ?? at("cli/main.ts");
  return [...own, ...run, ...flags, main, ...args];
}

function at(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}
