/** The earlier versions of a key that etcd still has. */
import type { EtcdConnection } from "./connection.ts";
import type { KeyValue } from "./messages.ts";

/** The part of a key's past in which versions are looked for. */
export interface VersionsOptions {
  /** Only versions that were written before this revision. */
  readonly before: number;
  /** The oldest revision that etcd can be asked about: that up to which it was compacted. */
  readonly floor: number;
  /** How many at most. */
  readonly most: number;
}

/**
 * Reads a key as it was, version by version, the newest first, until it was created. What a key was before it was removed is not
 * found: etcd does not say when that was. Throws Refusal "unavailable", also where it has been compacted beyond `floor` meanwhile.
 */
export async function versionsOf(
  connection: Pick<EtcdConnection, "range">,
  key: string,
  { before, floor, most }: VersionsOptions,
): Promise<KeyValue[]> {
  const found: KeyValue[] = [];
  for (let revision = before - 1; revision >= Math.max(1, floor) && found.length < most;) {
    const [version] = (await connection.range({ key, revision })).kvs;
    if (!version) break;
    found.push(version);
    if (version.createRevision === version.modRevision) break;
    revision = version.modRevision - 1;
  }
  return found;
}
