/** The file on the host's disk that says which of its devices are ports of overlay networks. */
import { z } from "zod";
import { writeDurably } from "../../common/durable_file.ts";
import { messageOf, reasonOf, Refusal } from "../../common/refusal.ts";
import type { PortRecord } from "../api.ts";

const port = z.object({
  device: z.string(),
  network: z.uuid(),
  leases: z.int().positive().optional(),
  members: z.array(z.string()).optional(),
});
const contents = z.object({ ports: z.array(port) });

/** The list in the file; it is rewritten at each change. */
export class PortsFile {
  #ports: readonly PortRecord[];

  /**
   * Reads the file, where there is one.
   * @throws Refusal when it cannot be read: devices would be left in networks that the host is to leave
   */
  constructor(private readonly path: string) {
    this.#ports = read(path);
  }

  get ports(): readonly PortRecord[] {
    return this.#ports;
  }

  /** @throws Refusal "unavailable" when it cannot be written */
  save(ports: readonly PortRecord[]): void {
    try {
      writeDurably(this.path, JSON.stringify({ ports }) + "\n");
    } catch (error) {
      throw new Refusal("unavailable", `${this.path} cannot be written: ${reasonOf(error)}`, {
        cause: error,
      });
    }
    this.#ports = ports;
  }
}

function read(path: string): readonly PortRecord[] {
  try {
    return contents.parse(JSON.parse(Deno.readTextFileSync(path))).ports;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    const message = `${path} cannot be read (${messageOf(error)}): remove it, and attach its devices again`;
    throw new Refusal("invalid", message, { cause: error });
  }
}
