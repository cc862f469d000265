import type { Connection } from "./connection.ts";
import { pause } from "./timers.ts";

interface Shown {
  /** The newest mod revision that the mirror has seen of the key; 0: absent. */
  version(key: string): number;
  keys(): IterableIterator<string>;
  /** True for a key that the mirror followed when the check began, and still does. */
  followed(key: string): boolean;
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
  shown: Shown,
  settleMs: number,
): Promise<{ missed: number; revision: number }> {
  let revision = 0;
  const listed = new Set<string>();
  const suspects = new Map<string, { readonly version: number; readonly listed: number }>();
  for await (const page of connection.list(prefixes, { keysOnly: true })) {
    revision = page.header.revision;
    for (const { key, modRevision } of page.kvs) {
      listed.add(key);
      const version = shown.version(key);
      if (version < modRevision) suspects.set(key, { version, listed: modRevision });
    }
  }
  for (const key of shown.keys()) {
    if (!listed.has(key) && shown.version(key) <= revision && shown.followed(key)) {
      suspects.set(key, { version: shown.version(key), listed: 0 });
    }
  }
  // A pair of events that cancel each other out may be on its way even when nothing differs.
  await pause(settleMs);
  let missed = 0, unsure = 0;
  for (const [key, { version, listed }] of suspects) {
    const moved = shown.version(key);
    if (moved !== version) {
      if (moved !== listed && moved <= revision) unsure++;
      continue;
    }
    const actual = await connection.modRevision(key);
    if (actual > revision) unsure++;
    else if (actual !== version && shown.version(key) === version && shown.followed(key)) missed++;
  }
  return { missed, revision: unsure ? 0 : revision };
}
