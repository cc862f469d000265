/**
 * Compares the store in etcd with the one that this agent has worked with. A network that is missing from etcd was
 * deleted; but a store that was restored from a backup, replaced or emptied lacks networks that were never deleted,
 * so while that is possible nothing is torn down until an operator decides.
 */

/** The identity and contents of the store that the agent has worked with, as its state file has them. */
export interface KnownStore {
  /** In hex, as etcdctl prints it. */
  readonly clusterId: string;
  readonly revision: number;
  /** Networks that this host has set up. */
  readonly networks: Iterable<string>;
}

/** The identity and contents of the store as it is now. */
export interface SeenStore {
  readonly clusterId: string;
  readonly revision: number;
  /** Networks that the store lists as set up on this host. */
  readonly networks: ReadonlySet<string>;
}

/**
 * The reason why the store may be another one, as part of a sentence; undefined where nothing suggests that.
 *
 * @param known For an agent that has not seen the store yet: only the networks that its host's kernel has.
 */
export function identityFault(known: Partial<KnownStore>, seen: SeenStore): string | undefined {
  const { clusterId = seen.clusterId, revision = 0, networks = [] } = known;
  if (clusterId !== seen.clusterId) {
    return `another etcd cluster answers (${seen.clusterId}; so far it was ${clusterId})`;
  }
  if (seen.revision < revision) {
    return `etcd went back from revision ${revision} to ${seen.revision}, as after the restore of a backup`;
  }
  // When a network is deleted, this host's key for it stays until its own agent removes it. So at least one of these
  // keys must exist.
  let lost = 0;
  for (const id of networks) {
    if (seen.networks.has(id)) return undefined;
    lost++;
  }
  return lost ? `etcd knows nothing any more of the networks that this host has (${lost})` : undefined;
}
