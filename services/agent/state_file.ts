import { type FileLock, tryLock } from "../../ffi/file_lock.ts";
import { messageOf, reasonOf, Refusal } from "../common/refusal.ts";
import { z } from "zod";
import type { Known } from "./doubt.ts";

const contents = z.object({
  /** The host's name; absent in files of earlier versions, whose own name begins with it. */
  hostname: z.string().optional(),
  clusterId: z.string(),
  revision: z.int().nonnegative(),
  networks: z.array(z.string()),
});

/** What an agent of another name has left in the same directory. */
export interface Left {
  readonly path: string;
  readonly hostname: string;
  readonly networks: readonly string[];
  /** The file that its agent held locked, as the kernel calls it. */
  readonly lock: string;
}

/** What an agent keeps on its host's disk: see {@link Known}. */
export class StateFile {
  readonly path: string;

  /**
   * @param directory Made when it is not there.
   * @param prefix ETCD_PREFIX. With the host's name it names the file: several agents of one machine have files of their own.
   * @throws Refusal when the directory cannot be made or the file cannot be written.
   */
  constructor(
    private readonly directory: string,
    private readonly hostname: string,
    private readonly prefix: string,
  ) {
    this.path = `${directory}/${fileName(hostname + prefix)}.json`;
    try {
      Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
      Deno.openSync(this.path, { create: true, append: true }).close();
    } catch (error) {
      const message = `STRAND_AGENT_STATE_DIR: ${this.path} cannot be written: ${reasonOf(error)}`;
      throw new Refusal("invalid", message, { cause: error });
    }
  }

  /** Locks it for this agent alone, until it is disposed of or the process ends; undefined while another agent has it locked. */
  lock(): FileLock | undefined {
    return tryLock(lockOf(this.path));
  }

  /**
   * Undefined when nothing was kept yet.
   * @throws Refusal when what is there cannot be read: it must not be taken for nothing.
   */
  load(): Known | undefined {
    return read(this.path);
  }

  /**
   * What agents of other names, which do not run now, know of networks that they have set up for the same store. Files
   * that cannot be read are left out.
   */
  *left(): Generator<Left> {
    const end = `${fileName(this.prefix)}.json`;
    for (const { name } of Deno.readDirSync(this.directory)) {
      const path = `${this.directory}/${name}`;
      if (!name.endsWith(end) || path === this.path) continue;
      let known;
      try {
        known = read(path);
      } catch (error) {
        if (error instanceof Refusal) continue;
        throw error;
      }
      if (!known?.networks.length) continue;
      using lock = tryLock(lockOf(path));
      if (!lock) continue;
      const { networks, hostname = name.slice(0, -end.length) } = known;
      yield { path, hostname, networks, lock: lock.identity };
    }
  }

  save(known: Known): void {
    const { hostname } = this, part = `${this.path}.part`;
    const file = Deno.openSync(part, { create: true, truncate: true, write: true });
    try {
      const bytes = new TextEncoder().encode(
        JSON.stringify({ hostname, ...known, networks: [...known.networks] }) + "\n",
      );
      for (let at = 0; at < bytes.length;) at += file.writeSync(bytes.subarray(at));
      // Without it, a loss of power may leave an empty file, which knows nothing.
      file.syncDataSync();
    } finally {
      file.close();
    }
    Deno.renameSync(part, this.path);
  }
}

function fileName(text: string): string {
  return text.replaceAll(/[^\w.-]+/g, "_");
}

function lockOf(path: string): string {
  return path.replace(/json$/, "lock");
}

function read(path: string): z.infer<typeof contents> | undefined {
  try {
    const text = Deno.readTextFileSync(path);
    return text === "" ? undefined : contents.parse(JSON.parse(text));
  } catch (error) {
    const message = `${path} cannot be read (${
      messageOf(error)
    }): with etcd as it should be, remove the file`;
    throw new Refusal("invalid", message, { cause: error });
  }
}
