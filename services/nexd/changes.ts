/**
 * Computes which fields of a network or member a spec would change, in the words of a spec, for `strand apply
 * --dry-run` and the dashboard.
 */
import type * as proto from "../../proto/types.ts";

type Change = proto.MessageInput<proto.FieldChange>;
type Fields = ReadonlyMap<string, string>;

/** @param before Undefined: it would be created. */
export function networkChanges(
  before: proto.MessageInput<proto.Network> | undefined,
  after: proto.MessageInput<proto.Network>,
): Change[] {
  // A new network has a new id with each dry run.
  const { overlay } = after, now = before || !overlay ? after : { ...after, overlay: { ...overlay, id: "" } };
  return differences(before && networkFields(before), networkFields(now));
}

/** @param before Undefined: it would be created. */
export function memberChanges(
  before: proto.MessageInput<proto.Member> | undefined,
  after: proto.MessageInput<proto.Member>,
): Change[] {
  return differences(before && memberFields(before), memberFields(after));
}

function differences(before: Fields = new Map(), after: Fields): Change[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((field) => {
    const change = { field, before: before.get(field) ?? "", after: after.get(field) ?? "" };
    return change.before === change.after ? [] : change;
  });
}

function networkFields(net: proto.MessageInput<proto.Network>): Fields {
  const range = (of: proto.MessageInput<proto.AddressRange> | null | undefined) =>
    of ? `${of.begin} - ${of.end}` : "";
  const list = (of: readonly (string | null | undefined)[] | null | undefined) => (of ?? []).join(", ");
  return fieldsOf({
    subnet4: net.subnet4,
    range4: range(net.Range4),
    subnet6: net.subnet6,
    range6: range(net.Range6),
    gateways: list(net.gateways),
    nameservers: list(net.nameservers),
    dhcp4server: net.dhcp4server,
    dhcp6server: net.dhcp6server,
    domain: net.domain,
    siaddr: net.siaddr,
    macrange: range(net.macRange),
    leaseduration: net.leaseDuration ? `${net.leaseDuration} s` : "",
    ...Object.fromEntries((net.options ?? []).map((option) => [`option ${option?.number}`, option?.value])),
    ...Object.fromEntries(
      Object.entries(net.overlay ?? {}).map(([option, value]) => [`overlay.${option}`, value]),
    ),
  });
}

function memberFields({ name, ip4, ip6, shared }: proto.MessageInput<proto.Member>): Fields {
  return fieldsOf({ name, ip4: ip4?.address, ip6: ip6?.address, shared: shared || undefined });
}

function fieldsOf(record: Readonly<Record<string, unknown>>): Fields {
  return new Map(
    Object.entries(record).flatMap(([field, value]) =>
      value === undefined || value === null || value === "" ? [] : [[field, String(value)] as const]
    ),
  );
}
