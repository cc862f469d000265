/**
 * Whether etcd is still the store that this agent has worked with. A network that is absent from it means deleted, but a
 * store that was restored from a backup, replaced or emptied lacks networks that were never deleted: while that is in
 * question, nothing is torn down until an operator says so.
 */

/** What the agent has seen of the store, kept on disk. */
export interface KnownStore {
  /** In hex, as etcdctl prints it. */
  readonly clusterId: string;
  readonly revision: number;
  /** Networks that this host has set up. */
  readonly networks: Iterable<string>;
}

/** What the store looks like now. */
export interface SeenStore {
  readonly clusterId: string;
  readonly revision: number;
  /** Networks that are set up on this host, as the store says. */
  readonly networks: ReadonlySet<string>;
}

/**
 * Why the store may be another one, as part of a sentence; undefined while there is no sign of that.
 *
 * @param known Of an agent that has not seen the store yet, only the networks that its host's kernel has.
 */
export function identityFault(known: Partial<KnownStore>, seen: SeenStore): string | undefined {
  const { clusterId = seen.clusterId, revision = 0, networks = [] } = known;
  if (clusterId !== seen.clusterId) {
    return `another etcd cluster answers (${seen.clusterId}; so far it was ${clusterId})`;
  }
  if (seen.revision < revision) {
    return `etcd went back from revision ${revision} to ${seen.revision}, as after the restore of a backup`;
  }
  // A network that is deleted leaves this host's own key for it, which its agent removes.
  let lost = 0;
  for (const id of networks) {
    if (seen.networks.has(id)) return undefined;
    lost++;
  }
  return lost ? `etcd knows nothing any more of the networks that this host has (${lost})` : undefined;
}
