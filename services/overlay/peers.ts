import { PROBE_VNI } from "./state.ts";
import type { View } from "./view.ts";

/** A host that shares a network with another one, and answers its probes. */
export interface Peer {
  readonly hostname: string;
  /** Where it is reached, as a 32-bit value. */
  readonly vtep: number;
  /** The largest of the MTUs of the networks that both have. */
  readonly mtu: number;
}

/**
 * Hosts that answer probes and have one of these networks too, by name. A host says in its presence record that it does:
 * agents of SAND's never do.
 *
 * @param networks Those of the host that asks, with the MTU that they have there.
 */
export function peersOf(
  view: View,
  hostname: string,
  networks: Iterable<{ readonly id: string; readonly mtu: number }>,
): Map<string, Peer> {
  const found = new Map<string, Peer>();
  for (const { id, mtu } of networks) {
    const space = view.space(id);
    for (const [host, { probe_vni }] of space.hosts) {
      if (host === hostname || probe_vni !== PROBE_VNI) continue;
      const known = found.get(host);
      if (known && known.mtu >= mtu) continue;
      const vtep = known?.vtep ?? vtepIn(space.endpointsOn(host));
      if (vtep !== undefined) found.set(host, { hostname: host, vtep, mtu });
    }
  }
  return found;
}

function vtepIn(endpoints: Iterable<{ readonly hot: { readonly vtep: number } }>): number | undefined {
  for (const { hot: { vtep } } of endpoints) if (vtep >= 0) return vtep;
  return undefined;
}
