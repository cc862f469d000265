import type { EtcdSettings } from "../common/config.ts";
import type { Log } from "../common/log.ts";
import type { MirrorEvent } from "./mirror.ts";
import { type NexRecord, nexSchema } from "./records.ts";
import { openStore, type Store } from "./store.ts";

/** Opens the store of names and addresses as the configuration says; what befalls its mirror goes to the log. */
export function openNexStore({ endpoints, tls }: EtcdSettings, log: Log): Store<NexRecord> {
  return openStore({ schema: nexSchema, endpoints, ...tls && { tls }, report: (event) => tell(log, event) });
}

function tell(log: Log, event: MirrorEvent): void {
  switch (event.kind) {
    case "in-step":
      return log.info({ revision: event.revision }, "in step with etcd");
    case "out-of-step":
      return log.warn(`etcd cannot be followed, going on with what is known: ${event.reason}`);
    case "relisted":
      return log.warn({ changes: event.changes }, `etcd was listed anew: ${event.reason}`);
    case "missed":
      return log.error({ events: event.count }, "etcd's watch had lost events; they are made up for");
    case "bad-record":
      return log.error(`the record ${event.key} in etcd cannot be read and is skipped: ${event.reason}`);
    case "listener-failed":
      return log.error({ err: event.error }, "a change of etcd could not be taken in");
  }
}
