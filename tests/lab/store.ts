/** A store over plain JSON records under `/a/` and `/b/`, for tests of the store itself. */
import type { MirrorEvent } from "../../services/store/mirror_log.ts";
import { openStore, type Store, type StoreOptions } from "../../services/store/store.ts";
import type { Change, Plan, Schema } from "../../services/store/types.ts";

export interface Thing {
  readonly n: number;
}

export const things: Schema<Thing> = {
  prefixes: ["/a/", "/b/"],
  parse(key, value) {
    if (key.endsWith("/foreign")) return undefined;
    const record: unknown = JSON.parse(value);
    if (typeof record !== "object" || record === null || !("n" in record) || typeof record.n !== "number") {
      throw new Error("n: missing");
    }
    return { n: record.n };
  },
};

/** A store with what it reported and every change that its mirror told of. */
export interface LabStore extends Store<Thing>, Disposable {
  readonly events: MirrorEvent[];
  readonly changes: Change<Thing>[];
}

export function labStore(
  endpoints: readonly string[],
  options: Partial<StoreOptions<Thing>> = {},
): LabStore {
  const events: MirrorEvent[] = [], changes: Change<Thing>[] = [];
  const store = openStore({ endpoints, schema: things, report: (event) => events.push(event), ...options });
  store.mirror.subscribe((batch) => changes.push(...batch));
  return { ...store, events, changes, [Symbol.dispose]: () => store.close() };
}

/** Puts a record, in place of what was there. */
export function put(key: string, n: number): Plan {
  return { guards: [], ops: [{ put: key, value: JSON.stringify({ n }) }] };
}

/** Puts a record where none is. */
export function create(key: string, n: number): Plan {
  return { ...put(key, n), guards: [{ key, modRevision: 0 }] };
}
