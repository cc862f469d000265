/** What several test files need and is costly to make: the first that asks for it makes it, and the others wait for that. */
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** What `./strand test` names a directory with that is shared by all files of one run. */
export const RUN_DIRECTORY = "STRAND_TEST_RUN_DIRECTORY";

/** How long an earlier version of what is kept may still be in use, in ms: far longer than a test run takes. */
const IN_USE = 86_400_000;

/**
 * A directory that `make` fills once for all files of a test run; a file that runs by itself has it until it is disposed of.
 *
 * @param name Of the directory: one for each content.
 */
export async function sharedInRun(
  name: string,
  make: (directory: string) => Promise<void>,
): Promise<AsyncDisposable & { readonly path: string }> {
  const run = Deno.env.get(RUN_DIRECTORY);
  if (run) return { path: await madeOnce(run, name, make), [Symbol.asyncDispose]: async () => {} };
  const path = await Deno.makeTempDir({ prefix: `strand-${name}-` });
  const remove = () => Deno.remove(path, { recursive: true });
  try {
    await make(path);
  } catch (error) {
    await remove();
    throw error;
  }
  return { path, [Symbol.asyncDispose]: remove };
}

/**
 * A directory that `make` fills once for test runs of this clone; its path. It must not be written to.
 *
 * @param key What it is made of. It is made again for another key, and in another week.
 */
export async function keptBetweenRuns(
  name: string,
  key: string,
  make: (directory: string) => Promise<void>,
): Promise<string> {
  const folder = `${root}.strand/tests`, week = Math.floor(Date.now() / (7 * 86_400_000));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key)));
  await Deno.mkdir(folder, { recursive: true });
  return await madeOnce(folder, `${name}-${week}-${digest.toHex().slice(0, 16)}`, async (directory) => {
    for await (const { name: other } of Deno.readDir(folder)) {
      const path = `${folder}/${other}`;
      if (!other.startsWith(`${name}-`) || path === directory) continue;
      const { mtime } = await Deno.stat(path);
      if (Date.now() - (mtime?.getTime() ?? 0) > IN_USE) await Deno.remove(path, { recursive: true });
    }
    await make(directory);
  });
}

/** Fills `folder/name` unless it is there already; processes that ask for the same wait for one another. */
async function madeOnce(folder: string, name: string, make: (directory: string) => Promise<void>) {
  const path = `${folder}/${name}`, part = `${path}.part`;
  using lock = await Deno.open(`${path}.lock`, { create: true, write: true });
  await lock.lock(true);
  if (!await Deno.stat(path).then(() => true, () => false)) {
    // Left behind by a process that was killed.
    await Deno.remove(part, { recursive: true }).catch(() => {});
    await Deno.mkdir(part);
    await make(part);
    await Deno.rename(part, path);
  }
  return path;
}
