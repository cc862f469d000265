/** The hosts that share networks with this one, as targets of the probes between hosts. */
import type { Ip } from "../common/ip.ts";
import type { OverlayEndpoint } from "./overlay_endpoint.ts";
import { LARGEST_PROBE, PROBE_VNI } from "./state.ts";
import type { OverlayView } from "./view.ts";
import type { NetworkChange } from "./network_change.ts";

/** A host that shares a network with another one, and answers its probes. */
export interface OverlayPeer {
  readonly hostname: string;
  /** Its VTEP, as a 32-bit value. */
  readonly vtep: number;
  /** The largest MTU of the networks that both have, limited to the size of a probe. */
  readonly mtu: number;
}

/**
 * The hosts that answer probes and have one of these networks too, by name. A host publishes in its presence record
 * that it answers; SAND's agents never do.
 *
 * @param networks The probing host's networks, with their MTUs there.
 */
export function peersOf(
  view: OverlayView,
  hostname: string,
  networks: Iterable<{ readonly id: string; readonly mtu: number }>,
): Map<string, OverlayPeer> {
  const found = new Map<string, OverlayPeer>();
  for (const { id, mtu: whole } of networks) {
    const space = view.space(id), mtu = Math.min(whole, LARGEST_PROBE);
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

/** The VTEPs of the hosts that share networks with this one, once for each network. */
export function* vtepsBeside(view: OverlayView, hostname: string): Generator<Ip> {
  for (const network of view.networksOn(hostname)) {
    const space = view.space(network);
    for (const host of space.hosts.keys()) {
      if (host === hostname) continue;
      for (const { vtep, hot } of space.endpointsOn(host)) {
        if (!vtep || hot.vtep < 0) continue;
        yield vtep;
        break;
      }
    }
  }
}

/** True when a change may affect which hosts have the network, or their VTEPs. */
export function concernsPeers(
  view: OverlayView,
  hostname: string,
  network: string,
  { kinds, endpoints }: NetworkChange,
): boolean {
  if (kinds.has("hosts") || kinds.has("network")) return true;
  return endpoints.some(({ before, after }) => {
    const host = (after ?? before)?.host;
    if (host === undefined || host === hostname || before?.hot.vtep === after?.hot.vtep) return false;
    // When an endpoint is created or deleted, the host's other endpoints still have the same VTEP.
    return (before && after) || view.space(network).endpointsOn(host).size <= endpoints.length;
  });
}

function vtepIn(endpoints: Iterable<Pick<OverlayEndpoint, "hot">>): number | undefined {
  for (const { hot: { vtep } } of endpoints) if (vtep >= 0) return vtep;
  return undefined;
}
