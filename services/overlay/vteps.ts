/** Computes from which hosts VXLAN of a network is accepted, as elements of the sets of services/agent/kernel/vtep_table.ts. */
import { Ip } from "../common/ip.ts";
import { portOf } from "./desired.ts";
import type { OverlayView } from "./view.ts";

/**
 * A network's elements: `port 4789`; `drop 100` or `count 100`, what becomes of frames with its VNI from elsewhere;
 * `host 192.0.2.2` and `vtep 100 192.0.2.2` for each other host that has endpoints in it. None without a record.
 *
 * A host's endpoints are in etcd before its first frame, whichever agent it has.
 *
 * @param vtep This host's own, as 32 bits: none of its frames arrives here.
 */
export function vtepElements(
  view: OverlayView,
  network: string,
  { hostname, vtep }: { readonly hostname: string; readonly vtep: number },
): Set<string> {
  const record = view.network(network), space = view.space(network);
  if (!record || view.isPartial(network)) return new Set();
  const vni = record.vxlan_vni;
  const found = new Set([
    `port ${portOf(view, record, hostname)}`,
    `${isDropped(view, network) ? "drop" : "count"} ${vni}`,
  ]);
  for (const its of space.vteps.all()) {
    if (its === vtep) continue;
    const address = Ip.from4(its);
    found.add(`host ${address}`);
    found.add(`vtep ${vni} ${address}`);
  }
  return found;
}

/** Changes whenever {@link vtepElements} does, and costs less than that. */
export function vtepStamp(
  view: OverlayView,
  network: string,
  { hostname, vtep }: { hostname: string; vtep: number },
): string {
  const record = view.network(network), { vteps } = view.space(network);
  if (!record) return "";
  const { vxlan_vni: vni } = record;
  return `${vteps.stamp} ${vni} ${portOf(view, record, hostname)} ${isDropped(view, network)} ${vtep} ${
    view.isPartial(network)
  }`;
}

/** Networks that were not made with an overlay only count, until they are told to drop. */
function isDropped(view: OverlayView, network: string): boolean {
  return view.space(network).settings?.overlay.contain === true;
}
