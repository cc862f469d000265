/** Compares a mirror with a listing of etcd, to find events that the watch has skipped. */
import { Refusal } from "../common/refusal.ts";
import type { EtcdConnection } from "./connection.ts";
import { delay } from "../common/async.ts";
import { KeyHashes } from "./key_hashes.ts";

interface Shown {
  /** The newest mod revision that the mirror has seen of the key; 0: absent. */
  version(key: string): number;
  keys(): IterableIterator<string>;
  /** The prefix under which the mirror followed a key when the check began, and still does. */
  followed(key: string): string | undefined;
  /** True when the watched member has applied this revision, so that the watch can report it. */
  watchable(revision: number): Promise<boolean>;
}

export interface SelfCheck {
  /** How many keys differ without a watch event; counting stops at {@link ENOUGH}. */
  readonly missed: number;
  /** etcd's history lacks a version that the mirror had seen, as after the restore of a backup. */
  readonly restored: boolean;
  /** The revision up to which the mirror is complete; 0: unknown, since some key changes too fast. */
  readonly revision: number;
}

/** How many of the mirror's keys are compared at once. */
const AT_ONCE = 10_000;
/** The check ends when so many keys are confirmed to differ. */
const ENOUGH = 64;

/**
 * Compares what a mirror shows with a listing of keys. They differ when etcd was restored from a backup, and because
 * etcd 3.4's watch is known to skip events now and then (etcd issues 17529, 18089, 19179).
 *
 * A difference counts when the mirror has not moved for `settleMs`, though the watched member has all that was listed,
 * and etcd confirms that the change is older than the listing. Returns undefined when that member lags behind, or does
 * not answer: then nothing is known.
 */
export async function selfCheck(
  connection: EtcdConnection,
  prefixes: readonly string[],
  shown: Shown,
  settleMs: number,
): Promise<SelfCheck | undefined> {
  let revision = 0;
  const listed = new KeyHashes();
  const suspects = new Map<string, { readonly version: number; readonly listed: number }>();
  for await (const page of connection.list(prefixes, { keysOnly: true })) {
    revision = page.header.revision;
    for (const { key, modRevision } of page.kvs) {
      listed.add(key);
      const version = shown.version(key);
      if (version !== modRevision && version <= revision) suspects.set(key, { version, listed: modRevision });
    }
  }
  const whole = new Set(prefixes);
  let looked = 0;
  for (const key of shown.keys()) {
    // The process does other work meanwhile; a key that comes while it does is newer than the listing.
    if (++looked % AT_ONCE === 0) await delay(0);
    if (listed.has(key) || shown.version(key) > revision || !whole.has(shown.followed(key) ?? "")) continue;
    suspects.set(key, { version: shown.version(key), listed: 0 });
  }
  if (!(await shown.watchable(revision))) return undefined;
  // Even when nothing differs, two events that cancel each other out may not have arrived yet.
  let unsure = 0;
  for (let moving = true; moving;) {
    await delay(settleMs);
    moving = false;
    for (const [key, { version, listed }] of suspects) {
      const moved = shown.version(key);
      if (moved === version) continue;
      // While the watch still reports listed changes, it may report the remaining ones too.
      moving = true;
      suspects.delete(key);
      if (moved !== listed && moved <= revision) unsure++;
    }
  }
  let missed = 0, restored = false;
  for (const [key, { version }] of suspects) {
    const actual = await connection.modRevision(key);
    const now = shown.version(key);
    if (actual > revision || (now !== version && now !== actual)) unsure++;
    else if (actual !== version && now === version && shown.followed(key) !== undefined) {
      restored ||= version > 0 && await isUnknown(connection, key, version);
      if (++missed === ENOUGH) break;
    }
  }
  return { missed, restored, revision: unsure ? 0 : revision };
}

/** True when etcd's history has no such version of the key. */
async function isUnknown(connection: EtcdConnection, key: string, version: number): Promise<boolean> {
  try {
    const { kvs } = await connection.range({ key, revision: version, keysOnly: true });
    return kvs[0]?.modRevision !== version;
  } catch (error) {
    if (error instanceof Refusal) return false; // The history was compacted, so the version cannot be checked.
    throw error;
  }
}
