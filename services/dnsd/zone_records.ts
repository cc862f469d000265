/** Derives the DNS records of a name from its addresses and settings. */
import { type Cidr, Ip } from "../common/ip.ts";
import { reverseZones } from "./reverse.ts";
import type { Rrset } from "./table_writer.ts";
import { nameToWire, TYPE } from "./wire.ts";

/** The parts of a network that DNS depends on. */
export interface NetworkNames {
  /** The network's own name: of several networks with one domain or reverse zone, the first by name is its SOA's. */
  readonly name: string;
  /** Its forward zone, without a last dot; "" for none. */
  readonly domain: string;
  readonly subnets: readonly Cidr[];
  /** The addresses of `ns.DOMAIN`; with none, this server's addresses are served. */
  readonly nameservers: readonly Ip[];
  /** Seconds, of every record and of negative answers. */
  readonly ttl: number;
}

export interface Zone {
  readonly id: number;
  readonly apex: string;
  readonly networks: Map<string, NetworkNames>;
  /** It is no network's own zone, but several networks together have all of its addresses. */
  joined?: boolean;
  serial: number;
}

/**
 * The data of one name. There are tens of thousands, so addresses are kept as text, separated by blanks, which takes
 * a sixth of the memory of objects.
 */
export interface Owner {
  /** A member's; "" is a name without an address. */
  addresses?: string;
  /** The addresses of a zone's name server, where no member has its name. */
  glue?: string;
  /** Names that have the address whose reverse name this is. */
  pointers?: readonly string[];
  zone?: Zone;
}

// Our zones cannot be transferred, so the SOA's first three times have no effect.
const REFRESH = 3600, RETRY = 600, EXPIRE = 86400;

/** The zone below which a network's name server has its name; "" for a network without any zone. */
export function homeOf({ domain, subnets: [subnet] }: NetworkNames): string {
  return domain || (subnet ? reverseZones(subnet)[0] : "") || "";
}

/** Addresses, each once, in their order. */
export function toText(addresses: readonly Ip[]): string {
  return [...new Set(addresses.map(String))].join(" ");
}

/** The addresses of a text with blanks between them. */
export function fromText(text: string): Ip[] {
  return text === "" ? [] : text.split(" ").map((address) => Ip.parse(address));
}

/** A checked name in wire format. */
export function wire(name: string): Uint8Array {
  const octets = nameToWire(name);
  if (!octets) throw new Error(`"${name}" got past the checks`);
  return octets;
}

/** The RRsets of a name; `owner` is undefined for an empty non-terminal. */
export function rrsets(owner: Owner | undefined, zone: Zone): Rrset[] {
  const main = [...zone.networks.values()].sort((a, b) => a.name < b.name ? -1 : 1)[0];
  const ttl = main?.ttl ?? 0;
  const sets: Rrset[] = [];
  const add = (type: number, records: Uint8Array[]) => {
    if (records.length > 0) sets.push({ type, ttl, records });
  };
  const addresses = fromText(owner?.addresses || owner?.glue || "");
  add(TYPE.A, addresses.filter((ip) => ip.family === 4).map((ip) => ip.bytes));
  add(TYPE.AAAA, addresses.filter((ip) => ip.family === 6).map((ip) => ip.bytes));
  add(TYPE.PTR, [...owner?.pointers ?? []].sort().map(wire));
  if (owner?.zone === zone) {
    const domain = main ? homeOf(main) : zone.apex;
    const ns = wire(`ns.${domain}`);
    add(TYPE.NS, [ns]);
    add(TYPE.SOA, [soa(ns, wire(`hostmaster.${domain}`), zone.serial, ttl)]);
  }
  return sets;
}

/** SOA RDATA: RFC 1035 §3.3.13, the last field as RFC 2308 §4 has it. */
function soa(mname: Uint8Array, rname: Uint8Array, serial: number, ttl: number): Uint8Array {
  const octets = new Uint8Array(mname.length + rname.length + 20);
  octets.set(mname);
  octets.set(rname, mname.length);
  const view = new DataView(octets.buffer, mname.length + rname.length);
  [serial, REFRESH, RETRY, EXPIRE, ttl].forEach((value, i) => view.setUint32(4 * i, value));
  return octets;
}
