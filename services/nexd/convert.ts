/** Between the messages of the API and what the domain and the store call the same things. */
import type * as proto from "../../proto/types.ts";
import type { MemberListRequest } from "../nex/apply.ts";
import type { Member } from "../nex/member.ts";
import type { MemberRequest, MemberUpdate } from "../nex/members.ts";
import type { Network } from "../nex/network.ts";
import type { Declined } from "../nex/quarantine.ts";
import { compact } from "../nex/check_network.ts";
import type { LeaseRecord, NetworkRecord } from "../store/records.ts";

/** A network as it is stored, without the fields that the message leaves empty. Nothing is checked yet. */
export function networkFrom(message: proto.Network): NetworkRecord {
  return compact({
    ...message,
    options: message.options.map((option) => ({ ...option })),
    Range4: rangeFrom(message.Range4),
    Range6: rangeFrom(message.Range6),
    macRange: rangeFrom(message.macRange),
    leaseDuration: message.leaseDuration || undefined,
  });
}

function rangeFrom(range: proto.AddressRange | null): NetworkRecord["Range4"] {
  return range ? { ...range } : undefined;
}

/** A network as the API shows it. */
export function networkTo({ name, record }: Network): proto.Sent<proto.Network> {
  return { ...record, name };
}

/** A member as the API shows it; `network` is the one it is listed in. */
export function memberTo(member: Member, network: string): proto.Sent<proto.Member> {
  return {
    mac: member.mac,
    name: member.name ?? "",
    ip4: leaseTo(member.record.ip4),
    ip6: leaseTo(member.record.ip6),
    net: network,
  };
}

function leaseTo(lease: LeaseRecord | undefined): proto.Sent<proto.Lease> | null {
  if (!lease?.address) return null;
  const { seconds, nanos = 0 } = lease.expires ?? {};
  return { address: lease.address, expires: seconds === undefined ? null : { seconds, nanos } };
}

/** An address in quarantine as the API shows it. */
export function declinedTo({ address, net, mac, until }: Declined): proto.Sent<proto.Declined> {
  return { address, net, mac, until: { seconds: until, nanos: 0 } };
}

/** A member that is asked for. An expiry is not taken from outside: leases are what DHCP gives. */
export function memberFrom(message: proto.Member): MemberRequest {
  return { mac: message.mac, name: message.name, ip4: message.ip4?.address, ip6: message.ip6?.address };
}

/** A member list that is asked for, in its order. */
export function listFrom(message: proto.MemberList): MemberListRequest {
  return { net: message.net, list: message.list.map(memberFrom), force: message.force };
}

/** A change to one member; what the message leaves out stays undefined, and as it is. */
export function updateFrom(message: proto.MemberUpdate): MemberUpdate {
  return {
    mac: message.mac,
    name: message.name?.value,
    ip4: message.ip4?.address,
    ip6: message.ip6?.address,
  };
}

/**
 * A network's record with an update done to it. A wrapped value that is empty, and a range without ends, take the
 * field away; lists lose what is absent, then gain what is present.
 */
export function updatedNetwork(record: NetworkRecord, update: proto.NetworkUpdateRequest): NetworkRecord {
  const text = (wrapped: proto.StringValue | null, old: string | undefined) => wrapped ? wrapped.value : old;
  const set = (old: readonly string[] = [], present: string[], absent: string[]) => {
    const gone = new Set([...absent, ...present]);
    return [...old.filter((value) => !gone.has(value)), ...present];
  };
  const { optionsPresent, optionsAbsent } = update;
  const replaced = new Set(optionsPresent.map((option) => option.number));
  const absent = (option: proto.Option) =>
    optionsAbsent.some((a) => a.number === option.number && (a.value === "" || a.value === option.value));
  return compact({
    ...record,
    subnet4: text(update.subnet4, record.subnet4),
    subnet6: text(update.subnet6, record.subnet6),
    dhcp4server: text(update.dhcp4server, record.dhcp4server),
    dhcp6server: text(update.dhcp6server, record.dhcp6server),
    Range4: rangeFrom(update.Range4) ?? record.Range4,
    Range6: rangeFrom(update.Range6) ?? record.Range6,
    gateways: set(record.gateways, update.gatewaysPresent, update.gatewaysAbsent),
    nameservers: set(record.nameservers, update.nameserversPresent, update.nameserversAbsent),
    options: [
      ...(record.options ?? []).filter((option) => !replaced.has(option.number) && !absent(option)),
      ...optionsPresent.map((option) => ({ ...option })),
    ],
    domain: text(update.domain, record.domain),
    macRange: rangeFrom(update.macRange) ?? record.macRange,
    siaddr: text(update.siaddr, record.siaddr),
    leaseDuration: update.leaseDuration ? update.leaseDuration.value || undefined : record.leaseDuration,
  });
}
