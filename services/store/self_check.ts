import type { Connection } from "./connection.ts";
import { pause } from "./timers.ts";

interface Versions {
  /** The newest mod revision that the mirror has seen of the key; 0: absent. */
  version(key: string): number;
  keys(): IterableIterator<string>;
}

/**
 * Compares what a mirror shows with a listing of keys, because etcd 3.4's watch is known to lose events now and
 * then (etcd issues 17529, 18089, 19179).
 *
 * A difference counts as missed when `settleMs` later the mirror still has not moved and etcd confirms that
 * the change is older than the listing. Returns how many there are, and the revision up to which the mirror
 * is proven complete (0: some key changes too fast to tell).
 */
export async function selfCheck(
  connection: Connection,
  prefixes: readonly string[],
  shown: Versions,
  settleMs: number,
): Promise<{ missed: number; revision: number }> {
  let revision = 0;
  const listed = new Set<string>();
  const suspects = new Map<string, number>();
  for (const prefix of prefixes) {
    for await (const page of connection.list(prefix, { revision, keysOnly: true })) {
      revision ||= page.header.revision;
      for (const { key, modRevision } of page.kvs) {
        listed.add(key);
        const version = shown.version(key);
        if (version < modRevision) suspects.set(key, version);
      }
    }
  }
  for (const key of shown.keys()) {
    if (!listed.has(key) && shown.version(key) <= revision) suspects.set(key, shown.version(key));
  }
  // A pair of events that cancel each other out may be on its way even when nothing differs.
  await pause(settleMs);
  let missed = 0, unsure = 0;
  for (const [key, version] of suspects) {
    if (shown.version(key) !== version) continue;
    const actual = await connection.modRevision(key);
    if (actual > revision) unsure++;
    else if (actual !== version && shown.version(key) === version) missed++;
  }
  return { missed, revision: unsure ? 0 : revision };
}
