/** The repairs that hosts' agents have published, by host. */
import type { RepairsRecord, SandRecord } from "../store/sand_records.ts";
import type { Mirror } from "../store/types.ts";

/** The latest record of each host, by its name. */
export class HostRepairs {
  readonly #byHost = new Map<string, RepairsRecord>();

  /** @param told Called when one of them says something else. */
  constructor(mirror: Pick<Mirror<SandRecord>, "entries" | "subscribe">, told: () => void) {
    for (const { record } of mirror.entries()) if (record.kind === "repairs") this.#take(record, record);
    mirror.subscribe((changes) => {
      for (const { before, after } of changes) {
        const record = (after ?? before)?.record;
        if (record?.kind !== "repairs") continue;
        this.#take(record, after?.record);
        told();
      }
    });
  }

  get byHost(): ReadonlyMap<string, RepairsRecord> {
    return this.#byHost;
  }

  #take({ host }: SandRecord & { kind: "repairs" }, after: SandRecord | undefined): void {
    if (after?.kind === "repairs") this.#byHost.set(host, after.value);
    else this.#byHost.delete(host);
  }
}
