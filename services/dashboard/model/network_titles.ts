/** Titles of networks of which a record has the name or the id. */
import type { Cluster } from "../cluster.ts";

export interface NetworkTitle {
  /** By which its page is asked for; of one that is gone what the record has. */
  readonly network: string;
  /** Its title, where that is something else. */
  readonly networkTitle?: string;
}

/** Looks each network up once. */
export function networkTitles(cluster: Cluster): (id: string) => NetworkTitle {
  const known = new Map<string, NetworkTitle>();
  return (id) => {
    let title = known.get(id);
    if (!title) known.set(id, title = titleOf(cluster, id));
    return title;
  };
}

function titleOf(cluster: Cluster, id: string): NetworkTitle {
  const isThere = id !== "" && (cluster.nex.network(id) ?? cluster.overlay(id));
  const found = isThere ? cluster.network(id) : undefined;
  if (!found) return { network: id };
  return { network: found.key, ...found.key !== found.title && { networkTitle: found.title } };
}
