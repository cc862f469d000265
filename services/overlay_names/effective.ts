/** Derives the settings of a named network for DHCP, DNS and commands, from what was set and from its overlay network. */
import { Ip } from "../common/ip.ts";
import { compact } from "../nex/check_network.ts";
import { DEFAULT_LEASE_SECONDS, type Network, readNetwork } from "../nex/network.ts";
import { gatewayOf, rangeOf } from "../overlay/claims.ts";
import type { NexNetworkRecord } from "../store/records.ts";
import type { NetworkRecord, SettingsRecord } from "../store/sand_records.ts";

/** An overlay network with its name and settings. */
export interface NamedNetwork {
  readonly name: string;
  /** Its record among SAND's, with range, gateway and VNI. */
  readonly record: NetworkRecord;
  readonly settings: SettingsRecord;
}

/** The fields that a named network has where nothing else was set. */
export function derivedFrom(name: string, record: NetworkRecord): NexNetworkRecord {
  const range = rangeOf(record), gateway = gatewayOf(record);
  const [first, last] = [range.first.u32 + 1, range.last.u32 - 1];
  const begin = gateway.u32 === first && first < last ? first + 1 : first;
  const end = gateway.u32 === last && first < last ? last - 1 : last;
  return {
    name,
    subnet4: range.toString(),
    dhcp4server: gateway.toString(),
    Range4: { begin: Ip.from4(begin).toString(), end: Ip.from4(end).toString() },
    gateways: [gateway.toString()],
    nameservers: [gateway.toString()],
    // A machine needs nothing but to be connected.
    macRange: { begin: "00:00:00:00:00:00", end: "ff:ff:ff:ff:ff:ff" },
    lease_duration: DEFAULT_LEASE_SECONDS,
  };
}

/** All fields of a named network, in the form of a network of Nex. */
export function effectiveRecord({ name, record, settings }: NamedNetwork): NexNetworkRecord {
  return { ...derivedFrom(name, record), ...compact(settings.network), name };
}

/** A named network as the code that answers DHCP and DNS takes it. */
export function effectiveNetwork(named: NamedNetwork): Network {
  return readNetwork(named.name, { modRevision: 0 }, effectiveRecord(named));
}

/** The fields that have to be stored, since they differ from the derived ones. */
export function withoutDerived(given: NexNetworkRecord, derived: NexNetworkRecord): NexNetworkRecord {
  const same = (field: string) => JSON.stringify(given[field]) === JSON.stringify(derived[field]);
  const kept = Object.entries(given).filter(([field]) => field === "name" || !same(field));
  return Object.fromEntries(kept) as NexNetworkRecord;
}

/** The fields of {@link effectiveRecord} as machines are told them: the gateway is no name server where it does not answer DNS. */
export function toldRecord(named: NamedNetwork): NexNetworkRecord {
  const record = effectiveRecord(named), gateway = gatewayOf(named.record).toString();
  if (named.settings.overlay.dns !== false) return record;
  return { ...record, nameservers: record.nameservers?.filter((server) => server !== gateway) ?? [] };
}

/** The resolver settings of a network's machines, as resolv.conf(5) has them. */
export interface ResolverSettings {
  readonly nameservers: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
}

/** A network's resolver; undefined where it has no name server. The gateway is one unless DNS is switched off there. */
export function resolverOf(named: NamedNetwork): ResolverSettings | undefined {
  const { nameservers = [], domain } = toldRecord(named);
  return nameservers.length ? { nameservers, ...domain ? { domain, search: [domain] } : {} } : undefined;
}
