/** The file on the host's disk that remembers which store this agent has worked with. A running agent keeps it locked. */
import { type FileLock, tryLock } from "../../../ffi/file_lock.ts";
import { writeDurably } from "../../common/durable_file.ts";
import { messageOf, reasonOf, Refusal } from "../../common/refusal.ts";
import { z } from "zod";
import type { KnownStore } from "./identity.ts";

const contents = z.object({
  /** The host's name; absent in files of earlier versions, whose file name begins with it. */
  hostname: z.string().optional(),
  /** Distinguishes agents of the same machine; absent in files of earlier versions. */
  prefix: z.string().optional(),
  namespaces: z.string().optional(),
  clusterId: z.string(),
  revision: z.int().nonnegative(),
  networks: z.array(z.string()),
});

/** Distinguishes agents that keep their files in the same directory. */
export interface StateOwner {
  readonly hostname: string;
  /** ETCD_PREFIX */
  readonly prefix: string;
  /** The common beginning of the paths of its networks' namespaces: NETNS_PATH and NETNS_PREFIX. */
  readonly namespaces: string;
}

/** The state that an agent under another host name has left in the same directory. */
export interface Left {
  readonly path: string;
  readonly hostname: string;
  readonly networks: readonly string[];
  /** The locked file, by the kernel's name for it. */
  readonly lock: string;
}

/** The agent's file on the host's disk, which holds a {@link KnownStore}. It is locked while the agent runs. */
export class StateFile {
  readonly path: string;

  /**
   * Created where it does not exist.
   * @param owner Its name and prefix name the file, so that several agents of one machine have separate files.
   * @throws Refusal when the directory cannot be made or the file cannot be written
   */
  constructor(private readonly directory: string, private readonly owner: StateOwner) {
    this.path = `${directory}/${fileName(owner.hostname + owner.prefix)}.json`;
    try {
      Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
      Deno.openSync(this.path, { create: true, append: true }).close();
    } catch (error) {
      const message = `STRAND_AGENT_STATE_DIR: ${this.path} cannot be written: ${reasonOf(error)}`;
      throw new Refusal("invalid", message, { cause: error });
    }
  }

  /** The path of another file of this agent in the same directory. */
  beside(what: string): string {
    return `${this.path.slice(0, -".json".length)}.${what}`;
  }

  /**
   * Locks the file for this agent until the lock is disposed of or the process ends; undefined while another agent
   * holds it.
   */
  lock(): FileLock | undefined {
    return tryLock(lockOf(this.path));
  }

  /**
   * Returns undefined when there is no file yet.
   * @throws Refusal when the file cannot be read: that must not count as an empty state
   */
  load(): KnownStore | undefined {
    return read(this.path);
  }

  /**
   * The states of agents under other host names that do not run now and kept their namespaces under the same paths:
   * networks that they have set up for the same store. Files that cannot be read are left out.
   */
  *left(): Generator<Left> {
    const { prefix, namespaces } = this.owner, end = `${fileName(prefix)}.json`;
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
      if ((known.prefix ?? prefix) !== prefix || (known.namespaces ?? namespaces) !== namespaces) continue;
      using lock = tryLock(lockOf(path));
      if (!lock) continue;
      const { networks, hostname = name.slice(0, -end.length) } = known;
      yield { path, hostname, networks, lock: lock.identity };
    }
  }

  save(known: KnownStore): void {
    const text = JSON.stringify({ ...this.owner, ...known, networks: [...known.networks] }) + "\n";
    writeDurably(this.path, text);
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
