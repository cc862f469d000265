/**
 * The program as few large modules, which a test run makes for itself: the lab starts a thousand processes, and from a
 * bundle a service starts with a third less processor time than from its six hundred modules.
 */
import { run } from "../../cli/strand/process.ts";
import { messageOf } from "../../services/common/refusal.ts";

/**
 * Bundles the program of the clone at `root` into an empty folder, two levels below the root: some of its modules look for
 * files of the clone that are so far above themselves.
 *
 * @returns Its main module; undefined where none can be made: Deno gets its bundler from the npm registry at first use.
 */
export async function bundle(root: string, folder: string): Promise<string | undefined> {
  // --keep-names is left out: with it, each start sets the name of every function, which takes a twentieth of its processor time.
  const flags = ["--quiet", "--no-lock", "--node-modules-dir=manual"];
  const command = [Deno.execPath(), "bundle", `--config=${root}deno.json`, ...flags];
  try {
    await run([...command, "--code-splitting", "--outdir", folder, `${root}cli/main.ts`]);
    // dnsd starts its threads by this name.
    await run([...command, "--output", `${folder}/worker.ts`, `${root}services/dnsd/worker.ts`]);
    return `${folder}/main.js`;
  } catch (error) {
    console.log(`The program runs from its own modules, since it cannot be bundled: ${messageOf(error)}`);
    return undefined;
  }
}
