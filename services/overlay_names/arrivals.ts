/** Plans of machines that come to a port of a host: members that the port names, and machines that were behind another port. */
import { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import { Claims, rangeOf } from "../overlay/claims.ts";
import { isBehindPort } from "../overlay/endpoint_kind.ts";
import { putEndpoint } from "../overlay/endpoints.ts";
import { findNetwork } from "../overlay/networks.ts";
import type { OverlayEndpoint } from "../overlay/overlay_endpoint.ts";
import { macNumber } from "../overlay/state.ts";
import type { OverlayView } from "../overlay/view.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import type { EndpointRecord } from "../store/sand_records.ts";
import type { Plan } from "../store/types.ts";
import { guardsOf, type LeasingHost, newMachine } from "./lease_plans.ts";

/** The fields that an arrival sets. */
const FIELDS = [
  ...["id", "hostname", "host_ip", "api_hostname", "target_veth_ip", "active", "kind", "expires_at"] as const,
  ...["strand_name", "strand_port"] as const,
];

/** A machine at a port. */
export interface MachineArrival {
  readonly network: string;
  readonly mac: string;
  readonly port: string;
  /** True: the port names it, so that its reservation is its address and name; false: it keeps those that it has. */
  readonly named: boolean;
}

/**
 * Plans the machine's endpoint on this host; undefined where it is there already. The endpoint that it has on another host is
 * deleted in the same transaction, and made under another id, since agents of SAND do not follow a changed VTEP.
 *
 * @param now Milliseconds since the epoch.
 * @throws Refusal "not-found" for a member without a reservation, or a machine without an endpoint; "exists" where the MAC is
 *   that of a container, or the address another machine's
 */
export function planArrival(
  view: OverlayView,
  arrival: MachineArrival,
  host: LeasingHost,
  now: number,
): Plan | undefined {
  const { network: id, mac, named } = arrival, { keys } = view;
  const network = findNetwork(view, id), space = view.space(id);
  const [before] = space.holdersOfMac(macNumber(mac)), reservation = space.reservations.get(mac);
  const who = reservation?.name ?? mac, where = `network ${network.name}`;
  if (before && !isBehindPort(before.record)) {
    const what = `is the MAC of endpoint ${before.id} on ${before.host}, which is no machine behind a device`;
    throw new Refusal("exists", `${who}: ${mac} of ${where} ${what}`);
  }
  const address = named ? Ip.tryParse(reservation?.ip4 ?? "") : before?.address;
  if (!address) {
    const what = named ? "has no reservation with an address" : "has no address";
    throw new Refusal("not-found", `${who}: ${mac} ${what} in ${where}`);
  }
  const other = space.holdersOf(address.u32).find((endpoint) => endpoint !== before);
  if (other) {
    const its = `belongs to endpoint ${other.id} on ${other.host}`;
    throw new Refusal("exists", `${who}: ${address} of ${where} ${its}`);
  }
  const record = recordOf(arrival, before, { address, label: reservation?.name }, host, network);
  if (before && FIELDS.every((field) => record[field] === before.record[field])) return undefined;
  const claims = new Claims(view, network, now), builder = new PlanBuilder();
  for (const key of [keys.network(id), keys.settings(id), keys.reservation(id, mac)]) {
    builder.guard(view.guard(key));
  }
  builder.guard(...guardsOf(before));
  if (before && before.id !== record.id) {
    builder.remove(keys.hostEndpoint(before.host, before.id)).remove(keys.networkEndpoint(id, before.id));
  }
  if (before?.id !== record.id) {
    // The host has the network for as long as it has this key.
    builder.guard(
      view.guard(keys.networkEndpoint(id, record.id)),
      view.guard(keys.hostNetwork(host.hostname, id)),
    );
  }
  if (before?.address && !before.address.equals(address)) {
    claims.release(before.address, new Set([before.id]));
  }
  // They are written in any case, so that no two hosts make an endpoint with the MAC unseen of each other.
  claims.touch();
  claims.writeTo(putEndpoint(view, record, builder));
  return builder.plan();
}

function recordOf(
  { mac, port, named }: MachineArrival,
  before: OverlayEndpoint | undefined,
  { address, label }: { readonly address: Ip; readonly label: string | undefined },
  host: LeasingHost,
  network: ReturnType<typeof findNetwork>,
): EndpointRecord {
  const isElsewhere = before !== undefined && before.host !== host.hostname;
  // The trace is that of the endpoint on the other host.
  const { kind = "static", expires_at: ends, strand_name: name, strand_traceparent: _, ...kept } =
    before?.record ?? newMachine(host, network, mac);
  const its = label ?? name;
  return {
    ...kept,
    ...isElsewhere ? { id: host.newId(), created_at: host.timestamp() } : {},
    hostname: host.hostname,
    host_ip: host.ip.toString(),
    api_hostname: host.apiHostname,
    target_veth_ip: `${address}/${rangeOf(network).prefix}`,
    active: true,
    kind: named ? "static" : kind,
    ...named || ends === undefined ? {} : { expires_at: ends },
    ...its === undefined ? {} : { strand_name: its },
    strand_port: port,
  } as EndpointRecord;
}
