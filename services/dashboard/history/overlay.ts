/** Events of machines of overlay networks, as changes of records tell them: of endpoints, reservations, and addresses. */
import { kindOf } from "../../overlay/endpoint_kind.ts";
import type { EndpointRecord, ReservationRecord, SandRecord } from "../../store/sand_records.ts";
import { differences, type Field, msOf, rfc3339, summary, type Told, told } from "./told.ts";

const bare = (cidr: string) => cidr.replace(/\/.*$/, "");
const macOf = ({ target_veth_mac: mac }: EndpointRecord) => mac.toLowerCase();

const fields: readonly Field<EndpointRecord>[] = [
  ["name", ({ strand_name }) => strand_name],
  ["further names", ({ strand_aliases }) => strand_aliases?.join(" ")],
  ["address", ({ target_veth_ip }) => bare(target_veth_ip)],
  ["MAC", macOf],
];

/** Fields of an endpoint, with those that are told only when they change. */
const further: readonly Field<EndpointRecord>[] = [
  ...fields,
  ["VTEP of its host", ({ host_ip }) => host_ip],
  ["kind", kindOf],
  ["port of its host", ({ strand_port }) => strand_port],
  ["network namespace", ({ target_netns_path }) => target_netns_path],
  ["may also use", ({ strand_allowed }) => strand_allowed?.map(({ address }) => address).join(" ")],
];

const reserved: readonly Field<ReservationRecord>[] = [
  ["name", ({ name }) => name],
  ["address", ({ ip4 }) => ip4],
];

/**
 * The event that a change of a record is; undefined: it says nothing of a machine.
 *
 * @param before Undefined: there was none, or it is not known.
 * @param isKnown False: whether there was a record before is not known.
 */
export function overlayEvent(
  before: SandRecord | undefined,
  after: SandRecord | undefined,
  isKnown = true,
): Told | undefined {
  const record = after ?? before;
  switch (record?.kind) {
    case "network-endpoint":
      return endpointEvent(
        before?.kind === record.kind ? before.value : undefined,
        after?.kind === record.kind ? after.value : undefined,
        isKnown,
      );
    case "reservation": {
      const { network, mac } = record, was = before?.kind === "reservation" ? before.value : undefined;
      const is = after?.kind === "reservation" ? after.value : undefined;
      const about = [mac, was?.name, was?.ip4, is?.name, is?.ip4];
      const text = is && was
        ? `its reservation changed: ${differences(reserved, was, is).join(", ")}`
        : `${
          !is ? "its reservation was removed" : isKnown ? "it was reserved" : "its reservation was written"
        }: ${summary(reserved, is ?? record.value)}`;
      return told({ what: "reserved", network, machine: mac, about, text, by: "nexd" });
    }
    case "held-address": {
      const { network, address, value: { endpoint } } = record;
      const text = after ? `it has ${address} now, which several may use` : `it has given up ${address}`;
      return told({ what: "address", network, machine: endpoint, about: [address, endpoint], text });
    }
    case "withheld-address": {
      if (!after) return undefined;
      const { network, address, value: { mac, until } } = record;
      const text = `it declined ${address}, which is kept from others until ${rfc3339(until)}`;
      return told({ what: "address", network, machine: mac.toLowerCase(), about: [address, mac], text });
    }
    default:
      return undefined;
  }
}

function endpointEvent(
  before: EndpointRecord | undefined,
  after: EndpointRecord | undefined,
  isKnown: boolean,
): Told | undefined {
  const record = after ?? before;
  if (!record) return undefined;
  const { id, network_id: network, hostname: host } = record;
  const about = [before, after].flatMap((one) =>
    one ? [macOf(one), bare(one.target_veth_ip), one.strand_name, ...one.strand_aliases ?? [], one.id] : []
  );
  const base = { network, machine: macOf(record) || id, about };
  const lease = record.expires_at ? `, with a lease until ${record.expires_at}` : "";
  if (!after) {
    return told({ ...base, what: "left", host, text: `left ${host}${lease}: ${summary(fields, record)}` });
  }
  const by = `agent of ${host}`;
  if (!before) {
    const time = isKnown ? msOf(record.created_at) : undefined;
    const text = `${isKnown ? "came to" : "was written, on"} ${host}${lease}: ${summary(fields, record)}`;
    const what = isKnown ? "came" : "changed";
    return told({ ...base, what, host, text, by, ...time !== undefined && { time } });
  }
  const changes = differences(further, before, after), moved = before.hostname !== host;
  if (before.active !== after.active) {
    changes.unshift(after.active ? "active" : "inactive: the namespace that it was made for is gone");
  }
  const until = after.expires_at;
  if (!moved && !changes.length && until && until !== before.expires_at) {
    return told({ ...base, what: "renewed", text: `its lease was renewed until ${until}`, by });
  }
  if (until !== before.expires_at) changes.push(until ? `lease until ${until}` : "no lease any more");
  if (moved) changes.unshift(`moved from ${before.hostname} to ${host}`);
  const text = changes.join(", ") || "its record was written again";
  return told({ ...base, what: moved ? "moved" : "changed", text, by });
}
