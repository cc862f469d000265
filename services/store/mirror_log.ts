import type { Log } from "../common/log.ts";

/** What a mirror has to say to whoever keeps the log: once per change of state, not per try. */
export type MirrorEvent =
  | { readonly kind: "in-sync"; readonly revision: number }
  /** etcd went away, or has not been reached yet; reads go on from what is here. */
  | { readonly kind: "out-of-sync"; readonly reason: string }
  | { readonly kind: "relisted"; readonly reason: string; readonly changes: number }
  /** The watch said nothing of so many keys that differ; `restored`: its history lacks what was known. */
  | { readonly kind: "missed"; readonly count: number; readonly restored: boolean }
  | { readonly kind: "bad-record"; readonly key: string; readonly reason: string }
  | { readonly kind: "listener-failed"; readonly error: unknown };

/** Writes what befalls a mirror to the log. */
export function toLog(log: Log): (event: MirrorEvent) => void {
  return (event) => {
    switch (event.kind) {
      case "in-sync":
        return log.info({ revision: event.revision }, "in sync with etcd");
      case "out-of-sync":
        return log.warn(`etcd cannot be followed, going on with what is known: ${event.reason}`);
      case "relisted":
        return log.warn({ changes: event.changes }, `etcd was listed anew: ${event.reason}`);
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
        return log.error({ err: event.error }, "a change of etcd could not be taken in");
    }
  };
}
