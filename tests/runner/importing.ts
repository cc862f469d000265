/**
 * Makes a few modules that import many test files. Deno loads every module again for each file that it is given, which takes
 * about half of the processor time of the unit tests.
 */

/** What Deno puts before the name of a test of such a module. */
export const OF_MODULE = /^\S*\/unit\d+_test\.ts => /;

/**
 * Writes two modules for each processor, which share the files evenly, and returns their paths.
 *
 * @param paths Test files, from `root`, which ends with a slash.
 * @param folder Where the modules are written.
 */
export async function importing(
  paths: readonly string[],
  { root, folder }: { readonly root: string; readonly folder: string },
): Promise<string[]> {
  const count = 2 * navigator.hardwareConcurrency;
  return await Promise.all(Array.from({ length: count }, async (_, i) => {
    const lines = paths.filter((_, n) => n % count === i).map((path) =>
      `import ${JSON.stringify(`file://${encodeURI(root + path)}`)};\n`
    );
    const module = `${folder}/unit${i}_test.ts`;
    await Deno.writeTextFile(module, lines.join(""));
    return module;
  }));
}
