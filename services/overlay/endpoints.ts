/** Plans that activate, deactivate, move and delete endpoints. */
import { Ip } from "../common/ip.ts";
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
import { allowedOf } from "./allowed.ts";
import { isBehindPort } from "./endpoint_kind.ts";
import { PlanBatch } from "./plan_batch.ts";
import { findNetwork, type Planned } from "./networks.ts";
import { MOST_PORTS } from "./proxy.ts";
import { older } from "./holders.ts";
import { identityFields, isMadeFor, withoutCookie } from "./namespace_identity.ts";
import type { OverlayEndpoint } from "./overlay_endpoint.ts";
import type { RouteState } from "./state.ts";
import type { OverlayView } from "./view.ts";

/** The fields of an active endpoint that describe its interfaces. */
export interface Activation {
  /**
   * The path of the container namespace. For a Docker endpoint it is where Docker will move the interface; it may not
   * exist yet, and the agent does nothing there.
   */
  readonly targetNetnsPath: string;
  /** The identity of the namespace at that path, which differs after a reboot: see namespace_identity.ts. */
  readonly targetNetnsIdentity?: string;
  readonly overlayVethName: string;
  readonly overlayVethMac: string;
  readonly targetVethName: string;
  /** Routes that the target namespace gets with the address. */
  readonly routes?: readonly RouteState[];
  /** True: the host gets a route to the address. */
  readonly hostRoute?: boolean;
  /** The name of the veth's end in the host's own namespace; undefined: it has none there. */
  readonly hostVethName?: string | undefined;
}

/**
 * Plans to activate an endpoint.
 *
 * @throws Refusal "not-found" when the host does not own it, "forbidden" when it is active in another namespace,
 *   "exhausted" when the host has no port left for it
 */
export function planActivate(
  view: OverlayView,
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
export function portsLeft(view: OverlayView, network: string, hostname: string): number {
  let left = MOST_PORTS;
  for (const { active, record } of view.space(network).endpointsOn(hostname)) {
    // Several machines may be behind one port.
    if (active && !isBehindPort(record)) left--;
  }
  return left;
}

/** The error when no more can be active. */
export function noPort(network: NetworkRecord, hostname: string): Refusal {
  return new Refusal(
    "exhausted",
    `network ${network.name} has ${MOST_PORTS} active endpoints on ${hostname} already, as many as a bridge has ports for: ` +
      "make this one on another host, or in another network",
  );
}

/**
 * Plans to deactivate an endpoint, which keeps its address. Throws Refusal "not-found" when the host does not own it.
 */
export function planDeactivate(view: OverlayView, id: string, hostname: string): Planned<EndpointRecord> {
  return update(view, findEndpoint(view, id, hostname), { target_netns_path: "", active: false });
}

/** A host's addresses for other hosts. */
export interface HostAddresses {
  readonly hostname: string;
  /** Its VTEP. */
  readonly ip: Ip;
  readonly apiHostname: string;
}

/** Plans to write the host's current VTEP into an endpoint that may have been created with another one. */
export function planHostAddresses(
  view: OverlayView,
  id: string,
  { hostname, ip, apiHostname }: HostAddresses,
): Planned<EndpointRecord> {
  const fields = { host_ip: ip.toString(), api_hostname: apiHostname };
  return update(view, findEndpoint(view, id, hostname), fields);
}

/** Plans to mark an endpoint of a SAND agent as Docker's. */
export function planAdopt(
  view: OverlayView,
  id: string,
  hostname: string,
  docker: DockerIds,
): Planned<EndpointRecord> {
  return update(view, findEndpoint(view, id, hostname), { strand_docker: docker });
}

/** The record's fields of an active endpoint. */
export function activeFields(activation: Activation): Partial<EndpointRecord> {
  return {
    target_netns_path: activation.targetNetnsPath,
    overlay_veth_name: activation.overlayVethName,
    overlay_veth_mac: activation.overlayVethMac,
    target_veth_name: activation.targetVethName,
    ...activation.targetNetnsIdentity === undefined ? {} : identityFields(activation.targetNetnsIdentity),
    ...activation.routes?.length ? { strand_routes: [...activation.routes] } : {},
    ...activation.hostRoute ? { strand_host_route: true } : {},
    ...activation.hostVethName === undefined ? {} : { strand_host_veth: activation.hostVethName },
    active: true,
  };
}

/**
 * True when the namespace of an active endpoint is gone: nothing is at its path, or the path is that of a process in
 * /proc and another namespace is there. A new namespace at any other path is a container that was restarted.
 *
 * @param identity The identity of the namespace at the path now; undefined: none.
 */
export function namespaceGone({ record }: OverlayEndpoint, identity: string | undefined): boolean {
  // Docker itself moves its endpoints' veths: see lostVeths().
  if (record.target_netns_path === "" || record.strand_docker) return false;
  if (identity === undefined) return true;
  return record.target_netns_path.startsWith("/proc/") && isMadeFor(record, identity) === false;
}

/**
 * Finds the endpoint that replaces one whose namespace is gone: the container was replaced, and the namespace at the
 * path belongs to another container. Undefined: the endpoint was not replaced; its namespace still exists, or exists
 * again.
 *
 * An endpoint of the same network replaces it even if the older one came back first. One of another network does so
 * only before that, since a restarted container may get further networks.
 *
 * @param madeFor See {@link byNamespace}, of the endpoint's host.
 * @param identity The identity of the namespace at the path now.
 * @param inPlace True: its interface is in that namespace.
 */
export function supersededBy(
  madeFor: (identity: string) => readonly OverlayEndpoint[],
  endpoint: OverlayEndpoint,
  identity: string,
  inPlace: boolean,
): OverlayEndpoint | undefined {
  const { record } = endpoint, its = isMadeFor(record, identity);
  if (record.strand_docker || its || (inPlace && its === undefined)) return undefined;
  return madeFor(identity).find((other) =>
    older(endpoint, other) < 0 && (!inPlace || other.network === endpoint.network)
  );
}

/**
 * Indexes a host's active endpoints by the namespace that they were created for. The index is built on the first call
 * only: after a reboot it is used for thousands of endpoints.
 */
export function byNamespace(
  view: OverlayView,
  hostname: string,
): (identity: string) => readonly OverlayEndpoint[] {
  let found: ReadonlyMap<string | undefined, readonly OverlayEndpoint[]> | undefined;
  return (identity) => {
    found ??= Map.groupBy(
      view.endpointsOn(hostname).filter(({ active }) => active),
      ({ record }) => record.strand_netns,
    );
    return found.get(withoutCookie(identity))?.filter(({ record }) => isMadeFor(record, identity)) ?? [];
  };
}

function update(
  view: OverlayView,
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
  /** Milliseconds since the epoch, from which on the released addresses are allocated last. */
  readonly now: number;
  /** The deleting host, which must own the endpoints; undefined: forced, for a host that is gone. */
  readonly hostname: string | undefined;
  /** Endpoints that earlier attempts of this request found: those that are gone now were deleted by them. */
  readonly found?: Set<string>;
  /** Endpoints whose addresses stay claimed, since Docker releases them itself. */
  readonly keepAddresses?: ReadonlySet<string>;
}

/**
 * Plans to delete endpoints and release their addresses, many in one transaction. Endpoints of a network that is
 * gone, or whose claims cannot be read, are deleted as well.
 *
 * @returns plans to be committed in order
 * @throws Refusal "not-found" for an endpoint that the host does not own
 */
export function planDeleteEndpoints(
  view: OverlayView,
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
      for (const { address } of allowedOf(endpoint)) claims?.release(Ip.from4(address), going);
      work.next((builder) => {
        // A key whose newest value cannot be read is deleted too.
        builder.guard(...endpoint.entries.map(({ key }) => view.newest(key)))
          .remove(view.keys.hostEndpoint(endpoint.host, endpoint.id))
          .remove(view.keys.networkEndpoint(endpoint.network, endpoint.id));
        for (const { address } of allowedOf(endpoint)) {
          if (view.space(network).allowed.holderOf(address) !== endpoint.id) continue;
          const held = view.guard(view.keys.heldAddress(network, Ip.from4(address).toString()));
          builder.guard(held).remove(held.key);
        }
        if (docker) builder.remove(view.keys.dockerEndpoint(docker.endpoint));
        if (hostname === undefined) forgetHost(view, endpoint, going, builder);
      });
    }
    return work.plans();
  });
}

/**
 * Removes the keys of a host that is gone with its last endpoint in a network: it must neither keep the network from
 * being deleted nor limit its MTU. The key under the host's own name stays: should the host come back, it shows that
 * nothing was lost.
 */
function forgetHost(
  view: OverlayView,
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
 * Finds an endpoint by id.
 *
 * @param hostname The host that must own it; undefined: any.
 * @throws Refusal "not-found"
 */
export function findEndpoint(view: OverlayView, id: string, hostname?: string): OverlayEndpoint {
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

/** Adds both keys of an endpoint to a plan. */
export function putEndpoint(view: OverlayView, record: EndpointRecord, builder: PlanBuilder): PlanBuilder {
  const value = writeSandRecord(record);
  return builder.put(view.keys.hostEndpoint(record.hostname, record.id), value)
    .put(view.keys.networkEndpoint(record.network_id, record.id), value);
}
