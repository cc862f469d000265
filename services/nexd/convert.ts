/** Conversions between the messages of the API and the records and requests of the domain. */
import type * as proto from "../../proto/types.ts";
import { Ip } from "../common/ip.ts";
import { invalid, type Refusal } from "../common/refusal.ts";
import { fieldIn } from "../common/refusals.ts";
import type { MemberListRequest } from "../nex/apply.ts";
import { heldIn, type WithheldEntry } from "../nex/held.ts";
import type { Member } from "../nex/member.ts";
import type { MemberRequest, MemberUpdate } from "../nex/members.ts";
import type { Network } from "../nex/network.ts";
import { ObjectRefused } from "../nex/refused_objects.ts";
import type { NexView } from "../nex/view.ts";
import { compact } from "../nex/check_network.ts";
import { repeated, repeatedOptions } from "../nex/dhcp_options.ts";
import { effectiveNetwork, type NamedNetwork } from "../overlay_names/effective.ts";
import type { NamedRequest } from "../overlay_names/networks.ts";
import type { LeaseRecord, NexNetworkRecord } from "../store/records.ts";
import type { ReservationRecord } from "../store/sand_records.ts";

/**
 * A network as it is stored, without the fields that are empty in the message. Only its MAC range is checked here: a build of Nex
 * that has addresses under that field's number would send an empty range.
 */
export function networkFrom(message: proto.Network): NexNetworkRecord {
  const { macRange, leaseDuration, overlay: _, ...others } = message;
  if (macRange && !(macRange.begin && macRange.end)) {
    throw invalid(`network ${message.name}: macrange: not a range with begin and end (field 12)`);
  }
  return compact({
    ...others,
    options: message.options.map((option) => ({ ...option })),
    Range4: rangeFrom(message.Range4),
    Range6: rangeFrom(message.Range6),
    macRange: rangeFrom(macRange),
    lease_duration: leaseDuration || undefined,
  });
}

function rangeFrom(range: proto.AddressRange | null): NexNetworkRecord["Range4"] {
  return range ? { ...range } : undefined;
}

/** A network as the API shows it. */
export function networkTo({ name, record }: Network): proto.MessageInput<proto.Network> {
  const { lease_duration: leaseDuration = 0, ...others } = record;
  return { ...others, name, leaseDuration };
}

/** A request for a network with an overlay. */
export function namedFrom(message: proto.Network): NamedRequest {
  return { network: networkFrom(message), ...overlayFrom(message.overlay) };
}

/** The options of an overlay that are in the message, and the id of the overlay network where it names one. */
function overlayFrom(message: proto.Overlay | null): Pick<NamedRequest, "id" | "overlay"> {
  const { id = "", ...options } = message ?? {};
  const given = Object.entries(options).filter(([, value]) => typeof value === "boolean");
  return { ...id && { id }, overlay: Object.fromEntries(given) };
}

/** A change of a network with an overlay: fields and options that the message leaves out stay. */
export function updatedNamed(
  { settings }: NamedNetwork,
  network: NexNetworkRecord,
  message: proto.Overlay | null,
): NamedRequest {
  const { overlay, ...id } = overlayFrom(message);
  return { network, ...id, overlay: { ...settings.overlay, ...overlay } };
}

/** A network with an overlay as the API shows it: what was set, and what is derived. */
export function namedTo(named: NamedNetwork): proto.MessageInput<proto.Network> {
  const { record: { id }, settings: { overlay } } = named;
  const { dhcp, dns, forward, egress, contain, trusted, broadcast } = overlay;
  const options = { dhcp, dns, forward, egress, contain, trusted, broadcast };
  return { ...networkTo(effectiveNetwork(named)), overlay: { id, ...options } };
}

/** A reservation as the API shows it. */
export function namedMemberTo(reservation: ReservationRecord, net: string): proto.MessageInput<proto.Member> {
  const { mac, name = "", ip4, shared = false } = reservation;
  return { mac, name, ip4: ip4 === undefined ? null : { address: ip4 }, net, shared };
}

/** A member as the API shows it; `network` is the one it is listed in. */
export function memberTo(member: Member, network: string): proto.MessageInput<proto.Member> {
  return {
    mac: member.mac,
    name: member.name ?? "",
    ip4: leaseTo(member.record.ip4),
    ip6: leaseTo(member.record.ip6),
    net: network,
    clientName: member.record.client_name ?? member.record.hostname ?? "",
    shared: member.record.shared ?? false,
  };
}

function leaseTo(lease: LeaseRecord | undefined): proto.MessageInput<proto.Lease> | null {
  if (!lease?.address) return null;
  const { seconds, nanos = 0 } = lease.expires ?? {};
  return { address: lease.address, expires: seconds === undefined ? null : { seconds, nanos } };
}

/** An address in quarantine as the API shows it. */
export function declinedTo(
  { address, net, mac, until }: Pick<WithheldEntry, "address" | "net" | "mac" | "until">,
): proto.MessageInput<proto.Declined> {
  return { address, net, mac, until: { seconds: until, nanos: 0 } };
}

/** An address that is held for a lease as the API shows it. */
export function heldTo({ address, mac, until }: WithheldEntry): proto.MessageInput<proto.Held> {
  return { mac, ip4: leaseTo({ address, expires: { seconds: until } }) };
}

/** The leases of a network without an overlay that run: members' own, and those for which an address is held. `now` in seconds. */
export function leasesIn(view: NexView, net: string, now: number): proto.MessageInput<proto.RunningLease>[] {
  const running = view.membersOf(net).flatMap(({ mac, name = "", record: { ip4 } }) => {
    const lease = leaseTo(ip4), expires = lease?.expires;
    return lease && (expires?.seconds ?? 0) > now
      ? [{ net, name, address: lease.address ?? "", mac, expires }]
      : [];
  });
  const held = heldIn(view, net).map(({ address, mac, until }) => ({
    net,
    address,
    mac,
    expires: { seconds: until, nanos: 0 },
    held: true,
  }));
  const order = (address: string) => Ip.tryParse(address)?.u32 ?? 0;
  return [...running, ...held].sort((a, b) => order(a.address) - order(b.address));
}

/** A member that is asked for. An expiry is not taken from outside: leases are what DHCP gives. */
export function memberFrom(message: proto.Member): MemberRequest {
  const { mac, name, ip4, ip6, shared } = message;
  return { mac, name, ip4: ip4?.address, ip6: ip6?.address, shared };
}

/** A member list of a request, in its order. */
export function listFrom(message: proto.MemberList): MemberListRequest {
  return { net: message.net, list: message.list.map(memberFrom), force: message.force };
}

/** The refusal of an object of a spec as the API shows it. */
export function refusedTo(refusal: Refusal): proto.MessageInput<proto.RefusedObject> {
  const { code, message: reason } = refusal, field = fieldIn(reason) ?? "";
  return { ...refusal instanceof ObjectRefused && refusal.object, field, reason, code };
}

/** A change to one member; fields that are not in the message are undefined, and stay as they are. */
export function updateFrom(message: proto.MemberUpdate): MemberUpdate {
  return {
    mac: message.mac,
    name: message.name ?? undefined,
    ip4: message.ip4?.address,
    ip6: message.ip6?.address,
  };
}

/**
 * A network's record with an update applied. An empty wrapped value, and a range without ends, remove the field; lists lose the
 * "absent" values, then gain the "present" ones that they do not contain. An option replaces the one with its number.
 */
export function updatedNetwork(
  record: NexNetworkRecord,
  update: proto.NetworkUpdateRequest,
): NexNetworkRecord {
  // A client with other field numbers sends values that are no addresses.
  const addresses = (list: string[], field: string) =>
    list.map((address) => Ip.parse(address, `network ${update.name}: ${field}`).toString());
  const set = (field: "gateways" | "nameservers") => {
    const present = addresses(update[`${field}Present`], `${field}_present`);
    const absent = addresses(update[`${field}Absent`], `${field}_absent`);
    const kept = (record[field] ?? []).filter((value) => present.includes(value) || !absent.includes(value));
    return [...kept, ...present.filter((value) => !kept.includes(value))];
  };
  return compact({
    ...record,
    subnet4: update.subnet4 ?? record.subnet4,
    subnet6: update.subnet6 ?? record.subnet6,
    dhcp4server: update.dhcp4server ?? record.dhcp4server,
    dhcp6server: update.dhcp6server ?? record.dhcp6server,
    Range4: rangeFrom(update.Range4) ?? record.Range4,
    Range6: rangeFrom(update.Range6) ?? record.Range6,
    gateways: set("gateways"),
    nameservers: set("nameservers"),
    options: updatedOptions(record.options ?? [], update),
    domain: update.domain ?? record.domain,
    macRange: rangeFrom(update.macRange) ?? record.macRange,
    siaddr: update.siaddr ?? record.siaddr,
    lease_duration: update.leaseDuration === null ? record.lease_duration : update.leaseDuration || undefined,
  });
}

function updatedOptions(
  old: NonNullable<NexNetworkRecord["options"]>,
  { name, optionsPresent, optionsAbsent }: proto.NetworkUpdateRequest,
): NexNetworkRecord["options"] {
  for (const { number } of optionsAbsent) {
    if (number < 1 || number > 254) {
      throw invalid(`network ${name}: options_absent: ${number} is no DHCP option, which are from 1 to 254`);
    }
  }
  const [twice] = repeatedOptions(optionsPresent);
  if (twice) throw invalid(`network ${name}: ${repeated(twice).message}`);
  const present = optionsPresent.map((option) => ({ ...option }));
  const replaced = old.flatMap((option) => {
    const same = present.find(({ number }) => number === option.number);
    const goes = optionsAbsent.some((a) =>
      a.number === option.number && (a.value === "" || a.value === option.value)
    );
    return same ?? (goes ? [] : option);
  });
  return [...replaced, ...present.filter((option) => !replaced.includes(option))];
}
