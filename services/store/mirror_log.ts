/** Writes log lines for the events that a mirror reports. */
import type { Log } from "../common/log.ts";

/** The events that a mirror reports for the log: one for each change of state, not one for each attempt. */
export type MirrorEvent =
  | { readonly kind: "in-sync"; readonly revision: number }
  /** etcd cannot be reached, or not yet; reads go on from the mirror. */
  | { readonly kind: "out-of-sync"; readonly reason: string }
  | { readonly kind: "relisted"; readonly reason: string; readonly changes: number }
  /** The watch skipped events of so many keys; `restored`: etcd's history lacks versions that the mirror had seen. */
  | { readonly kind: "missed"; readonly count: number; readonly restored: boolean }
  | { readonly kind: "bad-record"; readonly key: string; readonly reason: string }
  | { readonly kind: "listener-failed"; readonly error: unknown };

/** Writes the events of a mirror to the log. */
export function logMirrorEvents(log: Log): (event: MirrorEvent) => void {
  return (event) => {
    switch (event.kind) {
      case "in-sync":
        return log.info({ revision: event.revision }, "in sync with etcd");
      case "out-of-sync":
        return log.warn(`etcd cannot be followed, going on with what is known: ${event.reason}`);
      case "relisted":
        return log.warn({ changes: event.changes }, `etcd was listed again: ${event.reason}`);
      case "missed":
        return log.error(
          { keys: event.count },
          event.restored
            ? "etcd lacks what it held, as after the restore of a backup; the mirror was re-read"
            : "etcd's watch skipped events; the mirror was re-read",
        );
      case "bad-record":
        return log.error(`the record ${event.key} in etcd cannot be read and is skipped: ${event.reason}`);
      case "listener-failed":
        return log.error({ err: event.error }, "a change from etcd could not be processed");
    }
  };
}
