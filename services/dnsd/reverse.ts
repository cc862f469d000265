/** The reverse names and reverse zones of addresses and subnets (in-addr.arpa, ip6.arpa). */
import type { Cidr, Ip } from "../common/ip.ts";

/** An address's name in in-addr.arpa (RFC 1035 §3.5) or ip6.arpa (RFC 3596 §2.5), without the last dot. */
export function reverseName(ip: Ip): string {
  if (ip.family === 6) return `${units(ip).reverse().join(".")}.${suffix(ip)}`;
  const [a, b, c, d] = ip.bytes;
  return `${d}.${c}.${b}.${a}.${suffix(ip)}`;
}

/**
 * The reverse zones that lie wholly within a subnet, cut where a name has its dots: at octets for IPv4, at nibbles
 * for IPv6. A prefix between two cuts gets every zone within it: a /22 four /24 zones, a /26 a zone for each of its
 * 64 addresses, since the rest of the /24 may belong to others.
 */
export function reverseZones(subnet: Cidr): string[] {
  const unit = subnet.family === 4 ? 8 : 4;
  const bits = subnet.address.bytes.length * 8;
  const cut = Math.max(Math.ceil(subnet.prefix / unit), 1) * unit;
  const count = 1 << Math.max(cut - subnet.prefix, 0);
  const zones: string[] = [];
  for (let i = 0; i < count; i++) {
    const address = subnet.first.plus(BigInt(i) << BigInt(bits - cut));
    if (!address) break;
    zones.push(`${units(address).slice(0, cut / unit).reverse().join(".")}.${suffix(address)}`);
  }
  return zones;
}

/** The names of a subnet's addresses are one label longer than this; undefined where they are longer still. */
export function nameAround({ first, prefix }: Cidr): string | undefined {
  const name = reverseName(first);
  const unit = first.family === 4 ? 8 : 4;
  return prefix < first.bytes.length * 8 - unit ? undefined : name.slice(name.indexOf(".") + 1);
}

/**
 * The zone that RFC 2317 has for an IPv4 subnet of more than one address that is longer than /24, named as in its §4
 * (`64/26.60.168.192.in-addr.arpa`): it can be delegated where a zone for each address would be too many.
 */
export function classlessZone({ family, prefix, first }: Cidr): string | undefined {
  if (family !== 4 || prefix <= 24 || prefix === 32) return undefined;
  const [last = "", ...rest] = units(first).reverse();
  return `${last}/${prefix}.${rest.join(".")}.${suffix(first)}`;
}

function units(ip: Ip): string[] {
  if (ip.family === 4) return Array.from(ip.bytes, String);
  return Array.from(ip.bytes, (byte) => byte.toString(16).padStart(2, "0")).flatMap((byte) => [...byte]);
}

function suffix(ip: Ip): string {
  return ip.family === 4 ? "in-addr.arpa" : "ip6.arpa";
}
