/** Plans that activate, deactivate, move and delete endpoints. */
import type { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import {
  type DockerIds,
  type EndpointRecord,
  type NetworkRecord,
  writeSandRecord,
} from "../store/sand_records.ts";
import type { Plan } from "../store/types.ts";
import { claimsOf } from "./addresses.ts";
import { PlanBatch } from "./plan_batch.ts";
import { findNetwork, type Planned } from "./networks.ts";
import { MOST_PORTS } from "./proxy.ts";
import { older, type OverlayEndpoint } from "./space.ts";
import type { RouteState } from "./state.ts";
import type { View } from "./view.ts";

/** What an active endpoint has in the kernel. */
export interface Activation {
  /** For an endpoint of Docker's, where Docker will put it: there may be nothing yet, and nothing is done there. */
  readonly targetNetnsPath: string;
  /** Which namespace is at that path: the same text for the same one, different after a reboot. */
  readonly targetNetnsIdentity?: string;
  readonly overlayVethName: string;
  readonly overlayVethMac: string;
  readonly targetVethName: string;
  /** What the target namespace gets along with the address. */
  readonly routes?: readonly RouteState[];
  /** The host is to have a route to the address. */
  readonly hostRoute?: boolean;
  /** What the veth's end in the host's own namespace is called; undefined: it has none there. */
  readonly hostVethName?: string | undefined;
}

/**
 * Plans that an endpoint is active.
 *
 * @throws Refusal "not-found" when the host does not own it, "forbidden" when it is active in another namespace,
 * "exhausted" when the host has no port left for it.
 */
export function planActivate(
  view: View,
  id: string,
  hostname: string,
  activation: Activation,
): Planned<EndpointRecord> {
  const endpoint = findEndpoint(view, id, hostname);
  const { record, active } = endpoint;
  if (active && !record.strand_docker && record.target_netns_path !== activation.targetNetnsPath) {
    throw new Refusal(
      "forbidden",
      `endpoint ${id} is active in ${
        record.target_netns_path || "a namespace of Docker's"
      }: deactivate it first`,
    );
  }
  if (!active && portsLeft(view, endpoint.network, hostname) <= 0) {
    throw noPort(findNetwork(view, endpoint.network), hostname);
  }
  return update(view, endpoint, activeFields(activation));
}

/** How many more of a network's endpoints can be active on a host. */
export function portsLeft(view: View, network: string, hostname: string): number {
  let left = MOST_PORTS;
  for (const { active } of view.space(network).endpointsOn(hostname)) if (active) left--;
  return left;
}

/** The reason why no more can. */
export function noPort(network: NetworkRecord, hostname: string): Refusal {
  return new Refusal(
    "exhausted",
    `network ${network.name} has ${MOST_PORTS} active endpoints on ${hostname} already, as many as a bridge has ports for: ` +
      "make this one on another host, or in another network",
  );
}

/** Plans that an endpoint is inactive: it keeps its address. Throws Refusal "not-found" when the host does not own it. */
export function planDeactivate(view: View, id: string, hostname: string): Planned<EndpointRecord> {
  return update(view, findEndpoint(view, id, hostname), { target_netns_path: "", active: false });
}

/** Where a host is reached. */
export interface Reach {
  readonly hostname: string;
  /** Its VTEP. */
  readonly ip: Ip;
  readonly apiHostname: string;
}

/** Plans that an endpoint is behind its host's present VTEP: it may have been made behind another. */
export function planReach(
  view: View,
  id: string,
  { hostname, ip, apiHostname }: Reach,
): Planned<EndpointRecord> {
  const fields = { host_ip: ip.toString(), api_hostname: apiHostname };
  return update(view, findEndpoint(view, id, hostname), fields);
}

/** Plans that an endpoint that an old agent has made is known for Docker's. */
export function planAdopt(
  view: View,
  id: string,
  hostname: string,
  docker: DockerIds,
): Planned<EndpointRecord> {
  return update(view, findEndpoint(view, id, hostname), { strand_docker: docker });
}

/** What the record of an active endpoint says. */
export function activeFields(activation: Activation): Partial<EndpointRecord> {
  return {
    target_netns_path: activation.targetNetnsPath,
    overlay_veth_name: activation.overlayVethName,
    overlay_veth_mac: activation.overlayVethMac,
    target_veth_name: activation.targetVethName,
    ...activation.targetNetnsIdentity === undefined ? {} : { strand_netns: activation.targetNetnsIdentity },
    ...activation.routes?.length ? { strand_routes: [...activation.routes] } : {},
    ...activation.hostRoute ? { strand_host_route: true } : {},
    ...activation.hostVethName === undefined ? {} : { strand_host_veth: activation.hostVethName },
    active: true,
  };
}

/**
 * True when the namespace that an active endpoint is in is gone: there is none at its path, or, with a path in /proc,
 * that of a process, another one than it was put in. A path of any other kind that has a new namespace is a container
 * that came back.
 *
 * @param identity Of what is at the path now; undefined: nothing.
 */
export function namespaceGone({ record }: OverlayEndpoint, identity: string | undefined): boolean {
  // Docker itself places its endpoints' veths: see lostVeths().
  if (record.target_netns_path === "" || record.strand_docker) return false;
  if (identity === undefined) return true;
  const { strand_netns: known } = record;
  return known !== undefined && known !== identity && record.target_netns_path.startsWith("/proc/");
}

/**
 * The endpoint that replaces one whose namespace is gone: the container was replaced, and the namespace at the path
 * belongs to another container. Undefined: the endpoint was not replaced; its namespace is still there, or is back.
 *
 * An endpoint of the same network takes its place even where the older one came back first. One of another network does
 * only before that: a container that came back may get further networks.
 *
 * @param madeFor See {@link byNamespace}, of the endpoint's host.
 * @param identity Of what is at the path now.
 * @param inPlace Its interface is in that namespace.
 */
export function supersededBy(
  madeFor: (identity: string) => readonly OverlayEndpoint[],
  endpoint: OverlayEndpoint,
  identity: string,
  inPlace: boolean,
): OverlayEndpoint | undefined {
  const { record: { strand_netns: known, strand_docker: docker } } = endpoint;
  if (docker || known === identity || (inPlace && known === undefined)) return undefined;
  return madeFor(identity).find((other) =>
    older(endpoint, other) < 0 && (!inPlace || other.network === endpoint.network)
  );
}

/**
 * A host's active endpoints by the namespace that they were made for. All of them are looked through once, and only if
 * one is asked for: after a reboot each of thousands is.
 */
export function byNamespace(view: View, hostname: string): (identity: string) => readonly OverlayEndpoint[] {
  let found: ReadonlyMap<string | undefined, readonly OverlayEndpoint[]> | undefined;
  return (identity) => {
    found ??= Map.groupBy(
      view.endpointsOn(hostname).filter(({ active }) => active),
      ({ record }) => record.strand_netns,
    );
    return found.get(identity) ?? [];
  };
}

function update(
  view: View,
  endpoint: OverlayEndpoint,
  fields: Partial<EndpointRecord>,
): Planned<EndpointRecord> {
  const record = { ...endpoint.record, ...fields } as EndpointRecord;
  const same = (Object.keys(fields) as (keyof EndpointRecord)[])
    .every((field) => record[field] === endpoint.record[field]);
  if (same) return { record: endpoint.record, plan: undefined };
  const builder = guarded(endpoint, new PlanBuilder()).guard(view.guard(view.keys.network(endpoint.network)));
  return { record, plan: putEndpoint(view, record, builder).plan() };
}

export interface DeleteOptions {
  /** Milliseconds since the epoch: from then on the addresses rest. */
  readonly now: number;
  /** The host that deletes, which must own the endpoints; undefined: force, for a host that is gone. */
  readonly hostname: string | undefined;
  /** What earlier attempts of this request found: what is no longer there they deleted. */
  readonly found?: Set<string>;
  /** Those whose addresses stay taken, since Docker gives them back by itself. */
  readonly keepAddresses?: ReadonlySet<string>;
}

/**
 * Plans the end of endpoints, which gives their addresses back; many in one transaction. Endpoints of a network that is
 * gone, or whose claims cannot be read, go too.
 *
 * @returns Plans to be committed in order.
 * @throws Refusal "not-found" for one that the host does not own.
 */
export function planDeleteEndpoints(
  view: View,
  ids: readonly string[],
  { hostname, now, found = new Set(), keepAddresses = new Set() }: DeleteOptions,
): readonly Plan[] {
  const going = new Set(ids), networks = new Map<string, OverlayEndpoint[]>();
  for (const id of going) {
    if (found.has(id) && !view.endpoint(id)) continue;
    const endpoint = findEndpoint(view, id, hostname);
    found.add(id);
    networks.set(endpoint.network, [...networks.get(endpoint.network) ?? [], endpoint]);
  }
  return [...networks].flatMap(([network, endpoints]) => {
    const claims = claimsOf(view, network, now);
    const work = new PlanBatch(() => new PlanBuilder(), claims);
    for (const endpoint of endpoints) {
      const { address, record: { strand_docker: docker } } = endpoint;
      if (address && !keepAddresses.has(endpoint.id)) claims?.release(address, going);
      work.next((builder) => {
        // A key whose newest value cannot be read goes too.
        builder.guard(...endpoint.entries.map(({ key }) => view.newest(key)))
          .remove(view.keys.hostEndpoint(endpoint.host, endpoint.id))
          .remove(view.keys.networkEndpoint(endpoint.network, endpoint.id));
        if (docker) builder.remove(view.keys.dockerEndpoint(docker.endpoint));
        if (hostname === undefined) forgetHost(view, endpoint, going, builder);
      });
    }
    return work.plans();
  });
}

/**
 * Adds that a host is gone whose last endpoint of a network goes: it must neither keep the network from being deleted
 * nor hold its MTU down. Its own key stays, from which it knows, should it come back, that nothing was lost.
 */
function forgetHost(
  view: View,
  { network, host }: OverlayEndpoint,
  going: ReadonlySet<string>,
  builder: PlanBuilder,
): void {
  for (const { id } of view.space(network).endpointsOn(host)) if (!going.has(id)) return;
  for (const key of [view.keys.networkHost(network, host), view.keys.applied(network, host)]) {
    const guard = view.guard(key);
    if (guard.modRevision) builder.guard(guard).remove(key);
  }
}

/**
 * The endpoint of that id.
 *
 * @param hostname The host that must own it; undefined: any may.
 * @throws Refusal "not-found"
 */
export function findEndpoint(view: View, id: string, hostname?: string): OverlayEndpoint {
  const endpoint = view.endpoint(id);
  if (!endpoint) throw new Refusal("not-found", `there is no endpoint "${id}"`);
  if (hostname !== undefined && endpoint.host !== hostname) {
    throw onAnotherHost(endpoint.record, hostname);
  }
  return endpoint;
}

/** Names the host that owns an endpoint, for an error. */
export function onAnotherHost(
  { id, hostname, api_hostname, host_ip }: EndpointRecord,
  here: string,
): Refusal {
  const api = api_hostname || host_ip, where = api ? `, whose API is at ${api}` : "";
  const message =
    `endpoint ${id} is on ${hostname}, not on ${here}: ask that host${where}, or force it if that host is gone`;
  return new Refusal("not-found", message);
}

function guarded(endpoint: OverlayEndpoint, builder: PlanBuilder): PlanBuilder {
  return builder.guard(...endpoint.entries.map(({ key, modRevision }) => ({ key, modRevision })));
}

/** Both keys of an endpoint. */
export function putEndpoint(view: View, record: EndpointRecord, builder: PlanBuilder): PlanBuilder {
  const value = writeSandRecord(record);
  return builder.put(view.keys.hostEndpoint(record.hostname, record.id), value)
    .put(view.keys.networkEndpoint(record.network_id, record.id), value);
}
