/** Finds the mounted namespaces of this host's networks, and notices when another program removes one. */
import type { Log } from "../../common/log.ts";
import { messageOf, reasonOf, Refusal } from "../../common/refusal.ts";
import type { Drift } from "./drift_check.ts";
import type { Workers } from "./networks.ts";

const V4_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** The directory in which the namespaces of networks are mounted, and the prefix of their names. */
interface NamespacePaths {
  readonly netnsPath: string;
  readonly netnsPrefix: string;
}

/**
 * Returns the ids of networks that have a namespace at NETNS_PATH/NETNS_PREFIX followed by the id. A name with the
 * same beginning and no id after it belongs to another agent of the machine. Creates the directory where it does not
 * exist.
 */
export function networksIn({ netnsPath, netnsPrefix }: NamespacePaths): string[] {
  try {
    Deno.mkdirSync(netnsPath, { recursive: true, mode: 0o755 });
    return [...Deno.readDirSync(netnsPath)].flatMap(({ name }) => idOf(name, netnsPrefix) ?? []);
  } catch (error) {
    const message = `NETNS_PATH: ${netnsPath} cannot be used: ${reasonOf(error)}`;
    throw new Refusal("invalid", message, { cause: error });
  }
}

/**
 * Compares a network when another program removes its namespace: the kernel sends no notification of that, since a
 * watched namespace stays alive.
 *
 * @returns a function that ends the watch
 */
export function watchRemoved(
  { netnsPath, netnsPrefix }: NamespacePaths,
  workers: Workers,
  drift: Drift,
  log: Log,
): () => void {
  let watcher: Deno.FsWatcher;
  try {
    watcher = Deno.watchFs(netnsPath, { recursive: false });
  } catch (error) {
    log.warn(
      `NETNS_PATH: a namespace that is removed from ${netnsPath} is noticed late: ${messageOf(error)}`,
    );
    return () => {};
  }
  const follow = async () => {
    for await (const { kind, paths } of watcher) {
      if (kind !== "remove") continue;
      for (const path of paths) {
        const worker = workers.get(idOf(path.slice(path.lastIndexOf("/") + 1), netnsPrefix) ?? "");
        if (worker) drift.suspect(worker);
      }
    }
  };
  follow().catch((error) =>
    log.warn(`NETNS_PATH: ${netnsPath} is not watched any more: ${messageOf(error)}`)
  );
  return () => watcher.close();
}

function idOf(name: string, prefix: string): string | undefined {
  const id = name.startsWith(prefix) ? name.slice(prefix.length) : "";
  return V4_UUID.test(id) ? id : undefined;
}
