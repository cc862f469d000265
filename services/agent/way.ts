/** What this host knows of the way to an address of a network: what it has in its kernel, and what its probes say. Nothing is changed. */
import { Ip } from "../common/ip.ts";
import { macFromBytes } from "../common/mac.ts";
import { findNetwork } from "../overlay/networks.ts";
import { definitely } from "../store/change.ts";
import type { Context } from "./context.ts";
import { FOREIGN, macBytes } from "./kernel/tables.ts";
import type { Workers } from "./reconcile/networks.ts";

export interface Way {
  /** This host. */
  readonly hostname: string;
  /** True when the network's namespace is here, with vxlan0 up in its bridge. */
  readonly carried: boolean;
  /** Of vxlan0; undefined where there is none. */
  readonly mtu: number | undefined;
  /** The revision of the endpoint with the address that this host knows, and of its endpoints that it says to have applied; 0: none. */
  readonly known: number;
  readonly applied: number;
  /** The MAC that ARP requests for the address are answered with; undefined: there is no entry. */
  readonly arp: string | undefined;
  /** The VTEP that frames for that MAC are sent to; undefined: there is no entry. */
  readonly fdb: string | undefined;
  /** Of an endpoint of this host that has a veth: whether that is up in the bridge. */
  readonly port: boolean | undefined;
  /** What probes say of the host of the endpoint; undefined: it is not probed. */
  readonly reachable: boolean | undefined;
  /** The largest packet that passes to there, where that is less than the networks need. */
  readonly pathMtu: number | undefined;
  /** What the agent cannot carry out in the network, a sentence each. */
  readonly problems: readonly string[];
}

/** @throws Refusal "not-found" for an unknown network, "unavailable" */
export async function wayTo(context: Context, workers: Workers, network: string, address: Ip): Promise<Way> {
  const { view, store, kernel, host: { hostname }, prober } = context;
  await definitely(store, () => findNetwork(view, network));
  const space = view.space(network), [endpoint] = space.holdersOf(address.u32);
  const state = await kernel.network(context.namespacePath(network)).read(new Map());
  const mac = state?.arp.get(address.u32), vtep = mac === undefined ? undefined : state?.fdb.get(mac);
  const path = prober.paths().find(({ peer }) => peer.hostname === endpoint?.host);
  const port = endpoint?.host === hostname && endpoint.record.overlay_veth_name
    ? state?.veths.get(endpoint.record.overlay_veth_name) ?? { up: false, inBridge: false }
    : undefined;
  return {
    hostname,
    carried: state?.vxlan?.up === true && state.vxlan.inBridge && state.bridge?.up === true,
    mtu: state?.vxlan?.mtu,
    known: endpoint?.modified ?? 0,
    applied: space.applied.get(hostname) ?? 0,
    arp: mac === undefined || mac === FOREIGN ? undefined : macFromBytes(macBytes(mac)),
    fdb: vtep === undefined || vtep === FOREIGN ? undefined : Ip.from4(vtep).toString(),
    port: port ? port.up && port.inBridge : undefined,
    reachable: path?.reachable,
    pathMtu: path?.pathMtu,
    problems: workers.get(network)?.problems ?? [],
  };
}
