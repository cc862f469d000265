/** Chooses the fields of stored networks and endpoints that the HTTP API shows. */
import type { NetworkTrouble } from "../api.ts";
import { type EndpointKind, kindOf } from "../../overlay/endpoint_kind.ts";
import type { AllowedAddressRecord, EndpointRecord, NetworkRecord } from "../../store/sand_records.ts";

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
 * The JSON of a network; a stored record may have more fields. `broken`, `deleting` and `known_as`, the name that commands
 * have for it, are present only where they apply.
 */
export function shownNetwork(
  record: NetworkRecord,
  { broken, deleting }: NetworkTrouble = {},
  name?: string,
): object {
  return {
    ...pick(record, networkFields),
    ...(name !== undefined && { known_as: name }),
    ...(broken !== undefined && { broken }),
    ...(deleting && { deleting: true, pending_hosts: deleting }),
  };
}

/**
 * The JSON of an endpoint; `name` and `aliases` are present only where it has some, `allow` where it may use further addresses,
 * `kind` where a runtime or a lease made it, and `expires_at` where it is a lease.
 */
export function shownEndpoint(
  record: EndpointRecord,
): Pick<EndpointRecord, typeof endpointFields[number]> & {
  readonly name?: string;
  readonly aliases?: readonly string[];
  readonly allow?: readonly AllowedAddressRecord[];
  readonly kind?: EndpointKind;
  readonly expires_at?: string;
} {
  const { strand_name: name, strand_aliases: aliases, strand_allowed: allow } = record, kind = kindOf(record);
  return {
    ...pick(record, endpointFields),
    ...(name !== undefined && { name }),
    ...(aliases?.length && { aliases }),
    ...(allow && { allow }),
    ...(kind !== "netns" && { kind }),
    ...(kind === "dhcp" && record.expires_at !== undefined && { expires_at: record.expires_at }),
  };
}

function pick<T, K extends keyof T>(record: T, fields: readonly K[]): Pick<T, K> {
  return Object.fromEntries(fields.map((field) => [field, record[field]])) as Pick<T, K>;
}
