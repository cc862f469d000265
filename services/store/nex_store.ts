/** Opens the store of names and addresses (Nex's keys) for dnsd, dhcpd and nexd. */
import type { EtcdSettings } from "../common/config.ts";
import type { Log } from "../common/log.ts";
import { isNexKey } from "./keys.ts";
import { logMirrorEvents, type MirrorEvent } from "./mirror_log.ts";
import { type NexRecord, nexSchema } from "./records.ts";
import { openStore, type Store } from "./store.ts";

/** Opens the store of names and addresses as the configuration says; the events of its mirror go to the log. */
export function openNexStore({ endpoints, tls }: EtcdSettings, log: Log): Store<NexRecord> {
  return openStore({ schema: nexSchema, endpoints, ...tls && { tls }, report: reportUnreadable(log) });
}

/** The most unreadable keys that are logged one by one: a store of another layout may have thousands. */
const MOST_LOGGED = 10;

function reportUnreadable(log: Log): (event: MirrorEvent) => void {
  const tell = logMirrorEvents(log);
  let told = 0;
  return (event) => {
    if (event.kind !== "bad-record" || !isNexKey(event.key)) return tell(event);
    if (++told > MOST_LOGGED + 1) return;
    log.error(
      told > MOST_LOGGED
        ? "further keys in etcd are not understood; strand takeover --check lists them"
        : `${event.key} in etcd is not understood: ${event.reason}; nothing is swept or taken over until it is put right or ` +
          "removed with etcdctl",
    );
  };
}
