/**
 * The program as few large modules, which a test run makes for itself: the lab starts a thousand processes, and from a
 * bundle a command or a service starts with a third less processor time than from its modules, of which an agent has four hundred.
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
    const yaml = ["--format=cjs", "--output", `${folder}/yaml.cjs`, `${root}node_modules/yaml/dist/index.js`];
    await run([...command, ...yaml]);
    const texts = new Map<string, string>();
    for await (const { name } of Deno.readDir(folder)) {
      texts.set(name, await Deno.readTextFile(`${folder}/${name}`));
    }
    for (const [name, text] of texts) {
      const found = naming(finding(text, root), texts);
      if (found !== text) await Deno.writeTextFile(`${folder}/${name}`, found);
    }
    // dnsd starts its threads by this name.
    await run([...command, "--output", `${folder}/worker.ts`, `${root}services/dnsd/worker.ts`]);
    return `${folder}/main.js`;
  } catch (error) {
    console.log(`The program runs from its own modules, since it cannot be bundled: ${messageOf(error)}`);
    return undefined;
  }
}

/** Of a bundle: the head of a CommonJS module, its word for its own folder, and the package that is loaded when it is needed. */
const PLACES = /^ {2}"(node_modules\/[^"]+)\/[^"/]+"\(|\b__dirname\b|\b(require\d*)\("yaml"\)/gm;

/**
 * A bundle's text that finds what its modules look for at run time: files beside them, which gRPC's packages read, and the package
 * yaml, which is loaded with the first file of settings and is a bundle of its own.
 *
 * @param root Where node_modules is, with a slash at its end.
 */
export function finding(text: string, root: string): string {
  let folder = root;
  return text.replace(PLACES, (found, module?: string, require?: string) => {
    if (require !== undefined) return `${require}("./yaml.cjs")`;
    if (module === undefined) return JSON.stringify(folder);
    folder = root + module;
    return found;
  });
}

/**
 * A bundle's text whose `import()` of a CommonJS package gives the package's names: the bundler makes a module of it that has all
 * of them in its default export.
 *
 * @param modules The bundle's modules by their names.
 */
export function naming(text: string, modules: ReadonlyMap<string, string>): string {
  return text.replace(/\bimport\("\.\/([^"]+)"\)/g, (found, name) => {
    const isPackage = /^export default require_\w+\(\);$/m.test(modules.get(name) ?? "");
    return isPackage ? `${found}.then((module) => module.default)` : found;
  });
}
