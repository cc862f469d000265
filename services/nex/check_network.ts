/** Checks the contents of a network, and writes them in their canonical form. */
import { Cidr, Ip } from "../common/ip.ts";
import { parseMac } from "../common/mac.ts";
import { invalid, Refusal } from "../common/refusal.ts";
import { Refusals } from "../common/refusals.ts";
import type { NexNetworkRecord } from "../store/records.ts";
import { checkOption, repeated, repeatedOptions } from "./dhcp_options.ts";
import { checkNetworkName, tryParseDomain } from "./names.ts";

/**
 * Returns a network in its one canonical form, after checking every field by itself and against the others. Refuses
 * with the field and the value; where several fields are wrong, with Refusals.
 */
export function checkNetwork(given: NexNetworkRecord): NexNetworkRecord {
  const name = checkNetworkName(given.name ?? "");
  const field = (f: string) => `network ${name}: ${f}`;
  const ip = (text: string | undefined, f: string) => text ? Ip.parse(text, field(f)) : undefined;
  const refusals: Refusal[] = [];
  /** Returns a field in its canonical form, or notes its refusal and returns undefined. */
  const gathered = <T>(read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refusals.push(error);
      return undefined;
    }
  };
  const subnet4 = gathered(() => subnet(given.subnet4, 4, field("subnet4")));
  const subnet6 = gathered(() => subnet(given.subnet6, 6, field("subnet6")));
  const isKnown = !refusals.length;
  if (isKnown && !subnet4 && !subnet6) {
    refusals.push(invalid(`${field("subnet4")}: missing: a network needs a subnet, like 10.0.0.0/24`));
  }
  const within = (address: Ip, f: string) => {
    if (!isKnown || !subnet4 && !subnet6) return address;
    const holder = address.family === 4 ? subnet4 : subnet6;
    if (!holder?.contains(address)) {
      throw invalid(`${field(f)}: ${address} is outside the subnet ${holder ?? subnet4 ?? subnet6}`);
    }
    return address;
  };
  const range = (given: NexNetworkRecord["Range4"], f: string) => {
    if (!given || (!given.begin && !given.end)) return undefined;
    const begin = within(Ip.parse(given.begin, field(`${f}.begin`)), `${f}.begin`);
    const end = within(Ip.parse(given.end, field(`${f}.end`)), `${f}.end`);
    if (begin.family !== (f === "range4" ? 4 : 6)) {
      throw invalid(`${field(f)}: ${begin} is of the wrong family`);
    }
    if (end.compare(begin) < 0) throw invalid(`${field(f)}: the end ${end} is before the begin ${begin}`);
    return { ...given, begin: begin.toString(), end: end.toString() };
  };
  const host = (address: Ip, f: string) => {
    if (!isUnicast(address)) throw invalid(`${field(f)}: ${address} is no host's address`);
    if (subnet4?.reserved(address)) {
      const which = address.equals(subnet4.first) ? "network" : "broadcast";
      throw invalid(`${field(f)}: ${address} is the ${which} address of ${subnet4}`);
    }
    return address;
  };
  const once = (addresses: string[] | undefined, f: string) => {
    const twice = addresses?.find((address, i) => addresses.indexOf(address) < i);
    if (twice !== undefined) throw invalid(`${field(f)}: ${twice} is there twice`);
    return addresses;
  };
  const host4 = (text: string | undefined, f: string) =>
    gathered(() => {
      const address = ip(text, f);
      if (address && address.family !== 4) throw invalid(`${field(f)}: ${address} is not an IPv4 address`);
      return address && host(address, f);
    });
  const server4 = host4(given.dhcp4server, "dhcp4server"), siaddr = host4(given.siaddr, "siaddr");
  const leaseDuration = given.lease_duration ?? 0;
  // A lease time has 32 bits on the wire, and all ones mean "infinity" (RFC 2131 §3.3).
  if (!Number.isInteger(leaseDuration) || leaseDuration < 0 || leaseDuration >= 0xffffffff) {
    refusals.push(invalid(
      `${field("lease_duration")}: ${leaseDuration} is not a number of seconds from 1 to 4294967294`,
    ));
  }
  for (const twice of repeatedOptions(given.options)) refusals.push(invalid(field(repeated(twice).message)));
  const record = compact({
    ...given,
    name,
    subnet4: subnet4?.toString(),
    subnet6: subnet6?.toString(),
    dhcp4server: server4?.toString(),
    dhcp6server: gathered(() => ip(given.dhcp6server, "dhcp6server"))?.toString(),
    Range4: gathered(() => range(given.Range4, "range4")),
    Range6: gathered(() => range(given.Range6, "range6")),
    gateways: gathered(() =>
      once(
        given.gateways?.map((g) =>
          host(within(Ip.parse(g, field("gateways")), "gateways"), "gateways").toString()
        ),
        "gateways",
      )
    ),
    nameservers: gathered(() =>
      once(given.nameservers?.map((n) => Ip.parse(n, field("nameservers")).toString()), "nameservers")
    ),
    options: given.options?.map((option) => {
      gathered(() => checkOption(option.number, option.value));
      return { ...option };
    }),
    domain: gathered(() => domain(given.domain, field("domain"))),
    macRange: gathered(() => macRange(given.macRange, field("macrange"))),
    siaddr: siaddr?.toString(),
    lease_duration: leaseDuration || undefined,
  });
  const [first] = refusals;
  if (first) throw refusals.length > 1 ? new Refusals(refusals) : first;
  return record;
}

/** False for an address that no single host can have: in 0.0.0.0/8, multicast, broadcast, and the same of IPv6. */
function isUnicast({ family, bytes }: Ip): boolean {
  const [first = 0] = bytes;
  if (family === 6) return first !== 255 && bytes.some((byte) => byte !== 0);
  return first > 0 && (first < 224 || first > 239) && first < 255;
}

function subnet(text: string | undefined, family: 4 | 6, field: string): Cidr | undefined {
  if (!text) return undefined;
  const cidr = Cidr.parse(text, field);
  if (cidr.family !== family) throw invalid(`${field}: "${text}" is not an IPv${family} subnet`);
  return cidr.masked;
}

function domain(text: string | undefined, field: string): string | undefined {
  if (!text) return undefined;
  const domain = tryParseDomain(text);
  if (domain === undefined) throw invalid(`${field}: "${text}" is not a domain name, like mini.net`);
  return domain;
}

function macRange(given: NexNetworkRecord["macRange"], field: string): NexNetworkRecord["macRange"] {
  if (!given || (!given.begin && !given.end)) return undefined;
  const begin = parseMac(given.begin, `${field}.begin`), end = parseMac(given.end, `${field}.end`);
  if (end < begin) throw invalid(`${field}: the end ${end} is before the begin ${begin}`);
  return { ...given, begin, end };
}

/** A record without its empty fields, so that two records can be compared. */
export function compact(
  record: { [K in keyof NexNetworkRecord]: NexNetworkRecord[K] | undefined },
): NexNetworkRecord {
  const kept = Object.entries(record).filter(([, v]) =>
    v !== undefined && v !== "" && !(Array.isArray(v) && !v.length)
  );
  return Object.fromEntries(kept) as NexNetworkRecord;
}
