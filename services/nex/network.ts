/** A network as the store holds it, and questions about its subnets and ranges. */
import { Cidr, Ip } from "../common/ip.ts";
import { tryParseMac } from "../common/mac.ts";
import { repeatedOptions } from "./dhcp_options.ts";
import type { Entry } from "../store/types.ts";
import type { NexNetworkRecord } from "../store/records.ts";

/** Four hours: how long a lease lasts unless its network says otherwise. */
export const DEFAULT_LEASE_SECONDS = 4 * 3600;

/** A network as the store holds it, its fields read. */
export interface Network {
  readonly name: string;
  /** Each number once in its options. */
  readonly record: NexNetworkRecord;
  readonly modRevision: number;
  readonly subnet4: Cidr | undefined;
  readonly subnet6: Cidr | undefined;
  /** Both ends inclusive, as 32-bit values. */
  readonly range4: { readonly begin: number; readonly end: number } | undefined;
  /** Both ends inclusive, in stored form: MACs of that form sort as their bytes do. */
  readonly macRange: { readonly begin: string; readonly end: string } | undefined;
  /** Lower-case, without a trailing dot; empty when the network has none. */
  readonly domain: string;
  readonly gateways: readonly Ip[];
  readonly nameservers: readonly Ip[];
  readonly dhcp4server: Ip | undefined;
  readonly siaddr: Ip | undefined;
  readonly leaseSeconds: number;
  /** Numbers that occur more than once in the options, as in stores of Nex's daemons: the last value of each counts. */
  readonly repeatedOptions: readonly number[];
}

/** Reads a stored network, whose record the schema has checked. */
export function readNetwork(
  name: string,
  entry: Pick<Entry<unknown>, "modRevision">,
  record: NexNetworkRecord,
): Network {
  const ip = (text: string | undefined) => text ? Ip.tryParse(text) : undefined;
  const ips = (texts: readonly string[] | undefined) => (texts ?? []).flatMap((t) => ip(t) ?? []);
  const begin = ip(record.Range4?.begin), end = ip(record.Range4?.end);
  const { options } = record;
  const last = new Map(options?.map((option) => [option.number, option]));
  const macBegin = tryParseMac(record.macRange?.begin ?? ""),
    macEnd = tryParseMac(record.macRange?.end ?? "");
  return {
    name,
    record: options ? { ...record, options: [...last.values()] } : record,
    modRevision: entry.modRevision,
    subnet4: record.subnet4 ? Cidr.tryParse(record.subnet4) : undefined,
    subnet6: record.subnet6 ? Cidr.tryParse(record.subnet6) : undefined,
    range4: begin?.family === 4 && end?.family === 4 ? { begin: begin.u32, end: end.u32 } : undefined,
    macRange: macBegin && macEnd ? { begin: macBegin, end: macEnd } : undefined,
    domain: (record.domain ?? "").toLowerCase().replace(/\.$/, ""),
    gateways: ips(record.gateways),
    nameservers: ips(record.nameservers),
    dhcp4server: ip(record.dhcp4server),
    siaddr: ip(record.siaddr),
    leaseSeconds: record.lease_duration || DEFAULT_LEASE_SECONDS,
    repeatedOptions: [...new Set(repeatedOptions(options).map(({ number }) => number))],
  };
}

/** The network's subnet of an address's family. */
export function subnetFor(network: Pick<Network, "subnet4" | "subnet6">, address: Ip): Cidr | undefined {
  return address.family === 4 ? network.subnet4 : network.subnet6;
}

/** True when `address` is in the network's range. */
export function inRange(network: Network, address: Ip): boolean {
  return address.family === 4 && network.range4 !== undefined &&
    address.u32 >= network.range4.begin && address.u32 <= network.range4.end;
}

/** The number of MACs in a network's macRange. */
export function macRangeSize({ macRange }: Network): number {
  const number = (mac: string) => parseInt(mac.replaceAll(":", ""), 16);
  return macRange ? number(macRange.end) - number(macRange.begin) + 1 : 0;
}

/** True when a client with this MAC gets a lease in the network without being a listed member. */
export function inMacRange(network: Network, mac: string): boolean {
  return network.macRange !== undefined && mac >= network.macRange.begin && mac <= network.macRange.end;
}
