/** Events of machines of a LAN, as changes of records tell them: of members, their leases, and addresses. */
import type { MemberRecord, NexRecord } from "../../store/records.ts";
import { differences, type Field, rfc3339, summary, type Told, told } from "./told.ts";

const nameOf = ({ name, hostname }: MemberRecord) => name || hostname;

const fields: readonly Field<MemberRecord>[] = [
  ["name", nameOf],
  ["address", ({ ip4 }) => ip4?.address],
  ["IPv6 address", ({ ip6 }) => ip6?.address],
  ["client's own name", ({ client_name }) => client_name],
];

const further: readonly Field<MemberRecord>[] = [
  ...fields,
  ["network", ({ net }) => net],
  ["name may be shared", ({ shared }) => shared ? "yes" : undefined],
];

/** See overlayEvent(). */
export function lanEvent(
  before: NexRecord | undefined,
  after: NexRecord | undefined,
  isKnown = true,
): Told | undefined {
  const record = after ?? before;
  switch (record?.kind) {
    case "member":
    case "further-member":
      return memberEvent(
        record.kind === "member" ? record.id : record.mac,
        before?.kind === record.kind ? before.value : undefined,
        after?.kind === record.kind ? after.value : undefined,
        isKnown,
      );
    case "member-of": {
      if (before && after) return undefined;
      const { network, mac } = record;
      const text = after ? "it was made a member" : "it is no member any more";
      return told({ what: "reserved", network, machine: mac, about: [mac], text, by: "nexd" });
    }
    case "withheld": {
      if (!after) return undefined;
      const { id: address, value: { net: network, mac, until, leased } } = record;
      const why = leased ? `it has a lease of ${address}, and is no member` : `it declined ${address}`;
      const text = `${why}: the address is kept from others until ${rfc3339(until)}`;
      return told({ what: "address", network, machine: mac.toLowerCase(), about: [address, mac], text });
    }
    default:
      return undefined;
  }
}

function memberEvent(
  mac: string,
  before: MemberRecord | undefined,
  after: MemberRecord | undefined,
  isKnown: boolean,
): Told | undefined {
  const record = after ?? before;
  if (!record) return undefined;
  const about = [mac];
  for (const one of [before, after]) {
    const name = one && nameOf(one);
    // A name is found by its first label too.
    if (one) {
      about.push(...[name, name?.split(".")[0], one.client_name, one.ip4?.address, one.ip6?.address]
        .filter((id) => id !== undefined));
    }
  }
  const base = { network: record.net ?? "", machine: mac, about };
  const until = after?.ip4?.expires?.seconds, was = before?.ip4?.expires?.seconds;
  if (!after) {
    const its = was === undefined ? "" : ` (lease until ${rfc3339(was)})`;
    return told({ ...base, what: "left", text: `its record was removed${its}: ${summary(fields, record)}` });
  }
  const lease = until === undefined ? "" : `, with a lease until ${rfc3339(until)}`;
  const by = until !== undefined && until !== was ? "dhcpd" : undefined;
  if (!before) {
    const text = `${isKnown ? "came" : "was written"}${lease}: ${summary(fields, record)}`;
    return told({ ...base, what: isKnown ? "came" : "changed", text, ...by && { by } });
  }
  const changes = differences(further, before, after);
  if (!changes.length && until !== undefined && was !== undefined && until > was) {
    return told({
      ...base,
      what: "renewed",
      text: `its lease was renewed until ${rfc3339(until)}`,
      by: "dhcpd",
    });
  }
  if (until !== was) {
    changes.unshift(until === undefined ? "its lease ended" : `lease until ${rfc3339(until)}`);
  }
  const text = changes.join(", ") || "its record was written again";
  return told({ ...base, what: "changed", text, ...by && { by } });
}
