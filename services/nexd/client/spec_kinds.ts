/** The keys of a Network and of a MemberList document: lower-case proto field names. */
import type {
  AddressRange,
  Lease,
  Member,
  MemberList,
  MessageInput,
  Network,
  Option,
} from "../../../proto/types.ts";
import { Cidr, type Family, Ip } from "../../common/ip.ts";
import { parseMac } from "../../common/mac.ts";
import { invalid } from "../../common/refusal.ts";
import { checkOption, repeated, repeatedOptions } from "../../nex/dhcp_options.ts";
import { checkNetworkName, tryParseDomain } from "../../nex/names.ts";
import { isMap } from "yaml";
import {
  at,
  checked,
  flag,
  gather,
  list,
  mapping,
  placed,
  placeOf,
  refused,
  text,
  type ValueReader,
  wholeNumber,
  within,
} from "./spec_values.ts";

const ip = checked((text, field) => Ip.parse(text, field).toString());
const mac = checked(parseMac);
const ofFamily = (family: Family) =>
  checked((text, field) => {
    const ip = Ip.parse(text, field);
    if (ip.family !== family) throw invalid(`${field}: ${text} is not an IPv${family} address`);
    return ip.toString();
  });
const cidr = (family: Family) =>
  checked((text, field) => {
    const cidr = Cidr.parse(text, field);
    if (cidr.family !== family) throw invalid(`${field}: ${text} is not an IPv${family} subnet`);
    return cidr.toString();
  });
const networkName = checked(checkNetworkName);
const domain = checked((text, field) => {
  if (tryParseDomain(text) !== undefined) return text;
  throw invalid(`${field}: "${text}" is not a domain, like mini.net`);
});
const hostName = checked((text, field) => {
  if (tryParseDomain(text) !== undefined) return text;
  throw invalid(
    `${field}: "${text}" is not a DNS label: 1 to 63 letters, digits or hyphens, no hyphen at either end`,
  );
});

function range(
  end: ValueReader<string>,
  compare: (begin: string, end: string) => number,
): ValueReader<MessageInput<AddressRange>> {
  const keys = mapping({ begin: end, end }, ["begin", "end"]);
  return (value) => {
    const range = keys(value);
    const { begin, end } = range;
    if (begin !== undefined && end !== undefined && compare(begin, end) > 0) {
      throw refused(value, `${value.field}: end ${end} comes before begin ${begin}`);
    }
    return range;
  };
}
const ipRange = (family: Family) => range(ofFamily(family), (a, b) => Ip.parse(a).compare(Ip.parse(b)));
const macRange = range(mac, (a, b) => a < b ? -1 : Number(a > b));

const optionKeys = mapping({ number: wholeNumber, value: text }, ["number", "value"]);
const option: ValueReader<MessageInput<Option>> = (value) => {
  const option = optionKeys(value), { number, value: text } = option;
  if (number !== undefined && text !== undefined) within(value, () => checkOption(number, text));
  return option;
};

const optionList = list(option);
const options: ValueReader<MessageInput<Option>[]> = (value) => {
  const options = optionList(value);
  const numbered = options.flatMap((option) => {
    const { number } = option;
    return number === undefined || number === null ? [] : { number, place: placeOf(option) ?? value };
  });
  for (const twice of repeatedOptions(numbered)) {
    gather(value, () => {
      throw refused(twice.place, repeated(twice).message);
    });
  }
  return options;
};

const uuid = checked((text, field) => {
  if (/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text)) return text.toLowerCase();
  throw invalid(`${field}: "${text}" is not a UUID, like 320a669f-e465-4806-ab46-f2e6620c4311`);
});
const overlay = mapping({
  id: uuid,
  dhcp: flag,
  dns: flag,
  forward: flag,
  egress: flag,
  contain: flag,
  trusted: flag,
  broadcast: flag,
});

const networkKeys = mapping(
  {
    kind: text,
    name: networkName,
    subnet4: cidr(4),
    subnet6: cidr(6),
    dhcp4server: ofFamily(4),
    dhcp6server: ofFamily(6),
    range4: ipRange(4),
    range6: ipRange(6),
    gateways: list(ip),
    nameservers: list(ip),
    options,
    domain,
    macrange: macRange,
    siaddr: ofFamily(4),
    leaseduration: wholeNumber,
    overlay,
  },
  ["name"],
  {
    mac_range: "macrange",
    macRange: "macrange",
    lease_duration: "leaseduration",
    leaseDuration: "leaseduration",
  },
);

/** Reads a Network document. */
export const readNetwork: ValueReader<MessageInput<Network>> = (value) => {
  const { kind: _, range4, range6, macrange, leaseduration, ...rest } = networkKeys(value);
  for (
    const [key, range, subnet] of [["range4", range4, rest.subnet4], [
      "range6",
      range6,
      rest.subnet6,
    ]] as const
  ) {
    for (const [end, address] of Object.entries(range ?? {})) {
      if (!subnet || !address || Cidr.parse(subnet).contains(Ip.parse(address))) continue;
      gather(value, () => {
        throw refused(at(value, key, end), `${key}.${end}: ${address} lies outside the subnet ${subnet}`);
      });
    }
  }
  return placed(value, {
    ...rest,
    Range4: range4,
    Range6: range6,
    macRange: macrange,
    leaseDuration: leaseduration,
  });
};

const time = checked((text, field) => {
  if (!Number.isNaN(Date.parse(text))) return text;
  throw invalid(`${field}: "${text}" is not a time, like 2026-01-01T00:00:00Z`);
});

/**
 * An address by itself, or in a mapping. The end of its lease may be in the mapping too, as `nex get` prints it, and is ignored:
 * leases are given by DHCP only.
 */
function lease(family: Family): ValueReader<MessageInput<Lease>> {
  const address = ofFamily(family);
  const keys = mapping({ address, expires: time }, ["address"]);
  return (value) => {
    if (!isMap(value.node)) return { address: address(value) };
    const { expires: _, ...lease } = keys(value);
    return lease;
  };
}

const memberOf = mapping(
  { mac, name: hostName, client_name: text, shared: flag, ip4: lease(4), ip6: lease(6) },
  ["mac"],
);
/** The client's own name is ignored, since the client sends it itself. */
const member: ValueReader<MessageInput<Member>> = (value) => {
  const { client_name: _, ...member } = memberOf(value);
  return placed(value, member);
};
const members = list(member);
const memberList: typeof members = (value) => {
  if (!isMap(value.node) || !value.node.has("members")) return members(value);
  throw refused(
    at(value, "members"),
    `${value.field}.members: the members are the items of list itself; leave members: out`,
  );
};
/** Addresses that are held for clients' leases, as `nex get` prints them. */
const held = list(mapping({ mac, ip4: lease(4) }, ["mac", "ip4"]));
const memberKeys = mapping({ kind: text, net: text, list: memberList, force: flag, held }, ["net"]);

/** Reads a MemberList document; held addresses are ignored, since leases are given by DHCP only. */
export const readMembers: ValueReader<MessageInput<MemberList>> = (value) => {
  const { kind: _, held: __, ...members } = memberKeys(value);
  return placed(value, members);
};
