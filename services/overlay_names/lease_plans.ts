/** Plans of leases in an overlay network: each is an endpoint record of the host that the machine is connected to. */
import { Ip } from "../common/ip.ts";
import type { LeaseChange } from "../nex/lease_space.ts";
import { rangeOf } from "../overlay/claims.ts";
import { kindOf } from "../overlay/endpoint_kind.ts";
import { type HostAddresses, putEndpoint } from "../overlay/endpoints.ts";
import type { OverlayView } from "../overlay/view.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import type { Member } from "../nex/member.ts";
import type { OverlayEndpoint } from "../overlay/overlay_endpoint.ts";
import type { Guard } from "../store/types.ts";
import {
  type EndpointRecord,
  type NetworkRecord,
  type ReservationRecord,
  writeSandRecord,
} from "../store/sand_records.ts";
import type { Plan } from "../store/types.ts";

/** The host that gives leases, and what its records need. */
export interface LeasingHost extends HostAddresses {
  /** A random v4 UUID. */
  readonly newId: () => string;
  /** RFC 3339 with nanoseconds. */
  readonly timestamp: () => string;
  /** The port that the client is behind; undefined: its lease goes on where it is. */
  readonly port?: string | undefined;
  /** The port that the client's message came in by, also a container's. */
  readonly heardAt?: string | undefined;
  /** The span in which a lease is given, as W3C's traceparent. */
  readonly traceparent?: string | undefined;
}

/** The network in which leases are given, and the host that gives them. */
export interface LeasingNetwork {
  readonly view: OverlayView;
  readonly record: NetworkRecord;
  readonly host: LeasingHost;
}

/** A member of an overlay network. */
export interface OverlayMember extends Member {
  readonly endpoint: OverlayEndpoint | undefined;
  readonly reservation: ReservationRecord | undefined;
}

/** A plan of a lease, with what it changes in the network's claims: a writer joins those of several leases. */
export interface EndpointLeasePlan extends Plan {
  readonly claims?: {
    readonly network: string;
    readonly mac: string;
    /** The span in which they change, as W3C's traceparent. */
    readonly traceparent?: string | undefined;
    /** The address that is claimed for the MAC; undefined: none. */
    readonly take?: Ip | undefined;
    /** The address that is released once the endpoint of that id is gone. */
    readonly release?: { readonly address: Ip; readonly id: string } | undefined;
  };
}

/**
 * Plans a client's record: with a lease in it, an endpoint of this host; without one, the end of that endpoint. An endpoint that is
 * no lease, as a container's, stays as it is. Its claim on an address is for the writer.
 */
export function planLeaseChange(leases: LeasingNetwork, change: LeaseChange): EndpointLeasePlan {
  const { view, record: { id: network } } = leases, { keys } = view;
  const { mac, after, losing = [], ended, declined } = change;
  const { endpoint } = (change.before ?? {}) as Partial<OverlayMember>;
  const builder = new PlanBuilder().guard(
    ...[keys.network(network), keys.settings(network), keys.reservation(network, mac)].map((key) =>
      view.guard(key)
    ),
  ).guard(...guardsOf(endpoint));
  if (endpoint && kindOf(endpoint.record) !== "dhcp") return builder.plan();
  const expires = after?.ip4?.expires?.seconds, address = Ip.tryParse(after?.ip4?.address ?? "");
  const isLeased = address !== undefined && expires !== undefined;
  const isHere = endpoint?.host === leases.host.hostname;
  const kept = isLeased && isHere && endpoint.address?.equals(address) ? endpoint : undefined;
  const gone = kept ? undefined : endpoint;
  if (gone) {
    builder.remove(keys.hostEndpoint(gone.host, gone.id))
      .remove(keys.networkEndpoint(network, gone.id));
  }
  let renamed = false;
  if (isLeased) {
    const label = (after?.name ?? after?.hostname)?.split(".", 1)[0];
    renamed = label !== endpoint?.record.strand_name;
    const record = leaseRecord(leases, mac, kept?.record, {
      address,
      expires,
      label,
    });
    putEndpoint(view, record, builder);
    if (!kept) {
      // The host has the network for as long as it has this key.
      const joined = keys.hostNetwork(record.hostname, network);
      builder.guard(view.guard(keys.networkEndpoint(network, record.id)), view.guard(joined));
      forget(leases, address.toString(), builder);
    }
  }
  for (const loser of losing as readonly OverlayMember[]) {
    if (!loser.endpoint) continue;
    const { strand_name: _, ...record } = loser.endpoint.record;
    putEndpoint(view, record as EndpointRecord, builder.guard(...guardsOf(loser.endpoint)));
  }
  if (ended && !leases.view.space(network).reservations.has(mac)) {
    builder.put(keys.formerAddress(network, ended.address), writeSandRecord({ mac, ended: ended.at }));
  }
  if (declined) {
    const key = keys.withheldAddress(network, declined.address);
    const { hostname, heardAt } = leases.host,
      at = heardAt === undefined ? {} : { host: hostname, port: heardAt };
    builder.guard(view.guard(key)).put(key, writeSandRecord({ mac, until: declined.until, ...at }));
  }
  // Every plan that makes or renames an endpoint writes the claims, so that no two hosts do so unseen of each other.
  if (kept && !renamed) return builder.plan();
  return {
    ...builder.plan(),
    claims: {
      network,
      mac,
      traceparent: leases.host.traceparent,
      take: isLeased && !kept ? address : undefined,
      release: gone?.address ? { address: gone.address, id: gone.id } : undefined,
    },
  };
}

/** The guards that fail when an endpoint has changed. */
export function guardsOf(endpoint: OverlayEndpoint | undefined): Guard[] {
  return endpoint?.entries.map(({ key, modRevision }) => ({ key, modRevision })) ?? [];
}

/** The record of a free address's former client is deleted once a client has the address. */
function forget({ view, record: { id } }: LeasingNetwork, address: string, builder: PlanBuilder): void {
  const space = view.space(id);
  const keys = [
    ...space.former.of(address) === undefined ? [] : [view.keys.formerAddress(id, address)],
    ...space.withheld.has(address) ? [view.keys.withheldAddress(id, address)] : [],
  ];
  for (const key of keys) builder.guard(view.guard(key)).remove(key);
}

/** The first fields of the record of a machine behind a port; SAND's agents expect each of them. */
export function newMachine(host: LeasingHost, { id }: NetworkRecord, mac: string): EndpointRecord {
  return {
    id: host.newId(),
    network_id: id,
    hostname: host.hostname,
    host_ip: host.ip.toString(),
    api_hostname: host.apiHostname,
    created_at: host.timestamp(),
    target_netns_path: "",
    overlay_veth_name: "",
    overlay_veth_mac: "",
    target_veth_name: "",
    target_veth_mac: mac,
    target_veth_ip: "",
    active: true,
    ...host.traceparent === undefined ? {} : { strand_traceparent: host.traceparent },
  };
}

function leaseRecord(
  { host, record }: LeasingNetwork,
  mac: string,
  before: EndpointRecord | undefined,
  { address, expires, label }: { address: Ip; expires: number; label: string | undefined },
): EndpointRecord {
  const { strand_name: _, ...kept } = before ?? {
    ...newMachine(host, record, mac),
    target_veth_ip: `${address}/${rangeOf(record).prefix}`,
    strand_name: undefined,
  };
  return {
    ...kept,
    host_ip: host.ip.toString(),
    api_hostname: host.apiHostname,
    active: true,
    kind: "dhcp",
    ...host.port === undefined ? {} : { strand_port: host.port },
    expires_at: new Date(expires * 1000).toISOString().replace(".000Z", "Z"),
    ...label === undefined ? {} : { strand_name: label },
  } as EndpointRecord;
}
