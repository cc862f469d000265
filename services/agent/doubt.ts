/**
 * Whether what etcd says may be believed. Absence from the store means deleted, but a store that was restored from a
 * backup, replaced or emptied lacks what nobody deleted: then nothing is torn down until somebody says so.
 */

/** What the agent has seen of the store, kept on disk. */
export interface Known {
  /** In hex, as etcdctl prints it. */
  readonly clusterId: string;
  readonly revision: number;
  /** Networks that this host has set up. */
  readonly networks: Iterable<string>;
}

/** What the store looks like now. */
export interface Seen {
  readonly clusterId: string;
  readonly revision: number;
  /** Networks that are set up on this host, as the store says. */
  readonly networks: ReadonlySet<string>;
}

/**
 * Why the store is in doubt, as part of a sentence; undefined when it is not.
 *
 * @param known Of an agent that has not seen the store yet, only the networks that its host's kernel has.
 */
export function doubtOf(known: Partial<Known>, seen: Seen): string | undefined {
  const { clusterId = seen.clusterId, revision = 0, networks = [] } = known;
  if (clusterId !== seen.clusterId) {
    return `another etcd cluster answers (${seen.clusterId}; so far it was ${clusterId})`;
  }
  if (seen.revision < revision) {
    return `etcd went back from revision ${revision} to ${seen.revision}, as after the restore of a backup`;
  }
  // Whoever deletes a network leaves this host's own keys to it.
  let lost = 0;
  for (const id of networks) {
    if (seen.networks.has(id)) return undefined;
    lost++;
  }
  return lost ? `etcd knows nothing any more of the networks that this host has (${lost})` : undefined;
}
