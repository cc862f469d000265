/** A store over plain JSON records under `/a/` and `/b/`, for tests of the store itself. */
import { Refusal } from "../../services/common/refusal.ts";
import type { EtcdConnectionOptions } from "../../services/store/connection.ts";
import { UnknownOutcome } from "../../services/store/errors.ts";
import type { MirrorEvent } from "../../services/store/mirror_log.ts";
import { openStore, type Store, type StoreOptions } from "../../services/store/store.ts";
import type { Change, Plan, Schema } from "../../services/store/types.ts";
import { until } from "./until.ts";

/**
 * For tests that are not about these times: where the disk of a busy machine stands still for longer than a service waits, a
 * commit's outcome would be unknown, and a read would be refused.
 */
export const patient: Pick<EtcdConnectionOptions, "timeoutMs" | "writeMs"> = {
  timeoutMs: 60_000,
  writeMs: 30_000,
};

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

/** Opens one that is {@link patient}, unless the options say otherwise. */
export function labStore(
  endpoints: readonly string[],
  options: Partial<StoreOptions<Thing>> = {},
): LabStore {
  const events: MirrorEvent[] = [], changes: Change<Thing>[] = [];
  const report = (event: MirrorEvent) => events.push(event);
  const store = openStore({ endpoints, schema: things, report, ...patient, ...options });
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

/**
 * Commits a plan, again as long as etcd refuses it or does not say whether it was written: where a member has just stopped or
 * gone on, or a disk stands still, it takes its time.
 */
export async function written({ committer }: LabStore, plan: Plan): Promise<void> {
  await until("it is written", (see) =>
    committer.commit(plan).then(() => true, (error) => {
      if (!(error instanceof UnknownOutcome || error instanceof Refusal)) throw error;
      see(error.message);
      return false;
    }));
}
