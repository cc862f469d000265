/** One endpoint of an overlay network as plans and the kernel's state need it, read from its records in etcd. */
import { Cidr, Ip } from "../common/ip.ts";
import { tryParseMac } from "../common/mac.ts";
import type { EndpointRecord, SandRecord } from "../store/sand_records.ts";
import type { Entry } from "../store/types.ts";
import { macNumber } from "./state.ts";

/** An endpoint in the form that plans and the computation of the kernel state use. */
export interface OverlayEndpoint {
  readonly id: string;
  readonly network: string;
  readonly host: string;
  /** Undefined where the record has none. */
  readonly address: Ip | undefined;
  readonly mac: string | undefined;
  /** The address of its host in the underlay. */
  readonly vtep: Ip | undefined;
  /**
   * Address, MAC and VTEP as numbers of 32, 48 and 32 bits, -1 for none, since networks of 100,000 endpoints are
   * compared with the kernel.
   */
  readonly hot: { readonly address: number; readonly mac: number; readonly vtep: number };
  readonly active: boolean;
  readonly record: EndpointRecord;
  /** The create revision: of two endpoints that claim one address, the older has it. */
  readonly created: number;
  /** The mod revision. */
  readonly modified: number;
  /** Its keys, as far as they exist and are followed. */
  readonly entries: readonly Entry<SandRecord>[];
}

/** The 48-bit value of a unicast MAC; -1 for none, and for a multicast or all-zero MAC, for which no entry is useful. */
function unicast(mac: string | undefined): number {
  const value = mac === undefined ? 0 : macNumber(mac);
  return value === 0 || parseInt(mac?.slice(0, 2) ?? "", 16) & 1 ? -1 : value;
}

/**
 * The 32-bit value of an address that one host can have in the underlay; -1 for none, and for 0/8, loopback (127/8),
 * multicast and reserved addresses (224/3): frames to one of these would come back or go to many hosts.
 */
function usable(vtep: Ip | undefined): number {
  if (vtep?.family !== 4) return -1;
  const { u32 } = vtep, first = u32 >>> 24;
  return first !== 0 && first !== 127 && first < 224 ? u32 : -1;
}

/**
 * Reads an endpoint from its entries; where they differ, the one written last counts.
 *
 * @param before The result for the earlier entries: an unchanged record is not parsed again.
 */
export function readEndpoint(
  entries: readonly Entry<SandRecord>[],
  before?: OverlayEndpoint,
): OverlayEndpoint | undefined {
  let newest: Entry<SandRecord> | undefined, created: number | undefined;
  for (const entry of entries) {
    if (!newest || entry.modRevision > newest.modRevision) newest = entry;
    // Every host of the network follows this key: all must agree which endpoint is older.
    if (created === undefined || entry.record.kind === "network-endpoint") created = entry.createRevision;
  }
  const found = newest?.record;
  if (found?.kind !== "host-endpoint" && found?.kind !== "network-endpoint") return undefined;
  const record = found.value;
  const times = { created: created ?? 0, modified: newest?.modRevision ?? 0 };
  if (before?.record === record) return { ...before, ...times, entries };
  const address = Cidr.tryParse(record.target_veth_ip)?.address;
  const mac = tryParseMac(record.target_veth_mac), vtep = Ip.tryParse(record.host_ip);
  return {
    id: found.id,
    network: record.network_id,
    host: record.hostname,
    address,
    mac,
    vtep,
    hot: {
      address: address?.family === 4 ? address.u32 : -1,
      mac: unicast(mac),
      vtep: usable(vtep),
    },
    active: record.active,
    record,
    ...times,
    entries,
  };
}
