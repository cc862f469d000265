import { messageOf, reasonOf, Refusal } from "../common/refusal.ts";
import { z } from "zod";
import type { Known } from "./doubt.ts";

const contents = z.object({
  clusterId: z.string(),
  revision: z.int().nonnegative(),
  networks: z.array(z.string()),
});

/** What an agent keeps on its host's disk: see {@link Known}. */
export class StateFile {
  readonly path: string;

  /**
   * @param directory Made when it is not there.
   * @param name Of the host and its store: several agents of one machine have files of their own.
   * @throws Refusal when the directory cannot be made or the file cannot be written.
   */
  constructor(directory: string, name: string) {
    this.path = `${directory}/${name.replaceAll(/[^\w.-]+/g, "_")}.json`;
    try {
      Deno.mkdirSync(directory, { recursive: true, mode: 0o700 });
      Deno.openSync(this.path, { create: true, append: true }).close();
    } catch (error) {
      const message = `STRAND_AGENT_STATE_DIR: ${this.path} cannot be written: ${reasonOf(error)}`;
      throw new Refusal("invalid", message, { cause: error });
    }
  }

  /**
   * Undefined when nothing was kept yet.
   * @throws Refusal when what is there cannot be read: it must not be taken for nothing.
   */
  load(): Known | undefined {
    try {
      const text = Deno.readTextFileSync(this.path);
      return text === "" ? undefined : contents.parse(JSON.parse(text));
    } catch (error) {
      const message = `${this.path} cannot be read (${
        messageOf(error)
      }): with etcd as it should be, remove the file`;
      throw new Refusal("invalid", message, { cause: error });
    }
  }

  save(known: Known): void {
    const part = `${this.path}.part`;
    const file = Deno.openSync(part, { create: true, truncate: true, write: true });
    try {
      const bytes = new TextEncoder().encode(
        JSON.stringify({ ...known, networks: [...known.networks] }) + "\n",
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
