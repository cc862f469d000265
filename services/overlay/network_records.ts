/**
 * The records of overlay networks in a mirror. A record that cannot be parsed is represented by its last valid
 * version, or else by those of its fields that are valid.
 */
import type { NetworkRecord, SandRecord } from "../store/sand_records.ts";

/** A network's record, and the fault of its newest version. */
interface Known {
  readonly record: NetworkRecord;
  /** Why the newest record cannot be read whole. */
  readonly broken?: string | undefined;
  /** True: no version of the record could be parsed whole, so `record` has only the valid fields. */
  readonly partial: boolean;
}

/** The records by network id. */
export class NetworkRecords {
  readonly #known = new Map<string, Known>();

  get(id: string): Known | undefined {
    return this.#known.get(id);
  }

  ids(): IterableIterator<string> {
    return this.#known.keys();
  }

  records(): IterableIterator<NetworkRecord> {
    return this.#known.values().map(({ record }) => record);
  }

  /** @param after undefined: it is gone */
  set(id: string, after: SandRecord & { kind: "network" } | undefined): void {
    if (!after) return void this.#known.delete(id);
    const { value, broken } = after, known = this.#known.get(id);
    // The last version that could be parsed whole stays valid.
    if (broken !== undefined && known?.partial === false) this.#known.set(id, { ...known, broken });
    else this.#known.set(id, { record: value, broken, partial: broken !== undefined });
  }
}
