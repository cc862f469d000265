import type { NetworkTrouble } from "../api.ts";
import type { EndpointRecord, NetworkRecord } from "../../store/sand_records.ts";

const networkFields = [
  "id",
  "created_at",
  "name",
  "type",
  "ns_handle_path",
  "vxlan_vni",
  "ip_range",
  "gateway",
] as const;

const endpointFields = [
  "id",
  "network_id",
  "hostname",
  "host_ip",
  "api_hostname",
  "created_at",
  "target_netns_path",
  "overlay_veth_name",
  "overlay_veth_mac",
  "target_veth_name",
  "target_veth_mac",
  "target_veth_ip",
  "active",
] as const;

/**
 * The JSON of a network; a stored record may have more fields. `broken` and `deleting` are present only where they
 * apply.
 */
export function shownNetwork(record: NetworkRecord, { broken, deleting }: NetworkTrouble = {}): object {
  return {
    ...pick(record, networkFields),
    ...(broken !== undefined && { broken }),
    ...(deleting && { deleting: true, pending_hosts: deleting }),
  };
}

/** The JSON of an endpoint; `name` is present only where it has one. */
export function shownEndpoint(
  record: EndpointRecord,
): Pick<EndpointRecord, typeof endpointFields[number]> & { readonly name?: string } {
  const { strand_name: name } = record;
  return { ...pick(record, endpointFields), ...(name !== undefined && { name }) };
}

function pick<T, K extends keyof T>(record: T, fields: readonly K[]): Pick<T, K> {
  return Object.fromEntries(fields.map((field) => [field, record[field]])) as Pick<T, K>;
}
