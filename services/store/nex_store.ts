import type { EtcdSettings } from "../common/config.ts";
import type { Log } from "../common/log.ts";
import { toLog } from "./mirror_log.ts";
import { type NexRecord, nexSchema } from "./records.ts";
import { openStore, type Store } from "./store.ts";

/** Opens the store of names and addresses as the configuration says; what befalls its mirror goes to the log. */
export function openNexStore({ endpoints, tls }: EtcdSettings, log: Log): Store<NexRecord> {
  return openStore({ schema: nexSchema, endpoints, ...tls && { tls }, report: toLog(log) });
}
