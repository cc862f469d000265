/** Creates temporary directories for processes that may be killed, and removes them with what is mounted in them. */
import { run } from "./process.ts";

/** A directory for configuration, data and logs; it goes when it is disposed of, with every mount in it. */
export interface WorkDirectory extends AsyncDisposable {
  readonly path: string;
}

/**
 * Makes a directory, after removing those of this kind whose process is dead.
 *
 * @param kind A short word for its name: strand-KIND-PID-XXXX, under TMPDIR.
 */
export async function workDirectory(kind: string): Promise<WorkDirectory> {
  const parent = Deno.env.get("TMPDIR") ?? "/tmp";
  const prefix = `strand-${kind}-`;
  for await (const { name } of Deno.readDir(parent)) {
    const pid = name.startsWith(prefix) && /^\d+/.exec(name.slice(prefix.length))?.[0];
    const alive = pid && await Deno.stat(`/proc/${pid}`).then(() => true, () => false);
    if (pid && !alive) await remove(`${parent}/${name}`);
  }
  const path = await Deno.makeTempDir({ dir: parent, prefix: `${prefix}${Deno.pid}-` });
  return { path, [Symbol.asyncDispose]: () => remove(path) };
}

async function remove(directory: string): Promise<void> {
  const real = await Deno.realPath(directory);
  const mounts = (await Deno.readTextFile("/proc/self/mountinfo")).split("\n")
    // proc(5): a space in a path is written \040.
    .map((line) => (line.split(" ")[4] ?? "").replaceAll(/\\(\d{3})/g, (_, octal) => fromOctal(octal)))
    .filter((path) => path.startsWith(`${real}/`));
  for (const path of mounts.reverse()) await run(["umount", "--lazy", path]);
  await Deno.remove(directory, { recursive: true });
}

function fromOctal(digits: string): string {
  return String.fromCharCode(parseInt(digits, 8));
}
