/** Frames as an attacker would send them, octet by octet. */

export const mac = (text: string) => text.split(":").map((octet) => parseInt(octet, 16));
export const ip = (text: string) => text.split(".").map(Number);
export const frame = (to: string, from: string, type: number[], ...payload: number[]) =>
  Uint8Array.from([...mac(to), ...mac(from), ...type, ...payload]);

/** An unsolicited ARP reply. */
export function arp(from: string, to: string, sender: [mac: string, ip: string], target: string) {
  const body = [0, 1, 8, 0, 6, 4, 0, 2, ...mac(sender[0]), ...ip(sender[1]), ...mac(to), ...ip(target)];
  return frame(to, from, [8, 6], ...body);
}

export function udp(to: string, from: string, source: string, target: string, ports: [number, number]) {
  const header = [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, ...ip(source), ...ip(target)];
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += (header[i] ?? 0) << 8 | (header[i + 1] ?? 0);
  sum = ~(sum % 0xffff) & 0xffff;
  header[10] = sum >> 8, header[11] = sum & 0xff;
  return frame(to, from, [8, 0], ...header, ...ports.flatMap((port) => [port >> 8, port & 0xff]), 0, 8, 0, 0);
}

/** A frame with tags, or what stands for them, before its type. */
export const tagged = (plain: Uint8Array, ...tags: number[]) =>
  Uint8Array.from([...plain.slice(0, 12), ...tags, ...plain.slice(12)]);
/** Tags of VLAN 0: a machine takes out two, and a bridge one. */
export const TWO = [0x81, 0, 0, 0, 0x81, 0, 0, 0];

/** A router advertisement (RFC 4861 §4.2) that offers a default route. */
export const advertisement = (from: string) =>
  toAllNodes(from, 58, [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0], 2);
/** UDP over IPv6 as DHCPv6's, from a server to a client (RFC 8415 §7.2). */
export const toDhcpv6Client = (from: string) => toAllNodes(from, 17, [2, 35, 2, 34, 0, 8, 0, 0], 6);

/** @param sumAt Where the checksum stands in the body. */
export function toAllNodes(from: string, protocol: number, body: number[], sumAt: number) {
  const source = [0xfe, 0x80, ...Array(13).fill(0), 0x99], target = [0xff, 2, ...Array(13).fill(0), 1];
  const words = [...source, ...target, 0, 0, 0, body.length, 0, 0, 0, protocol, ...body];
  let sum = 0;
  for (let i = 0; i < words.length; i += 2) sum += (words[i] ?? 0) << 8 | (words[i + 1] ?? 0);
  sum = ~(sum % 0xffff) & 0xffff;
  body[sumAt] = sum >> 8, body[sumAt + 1] = sum & 0xff;
  return frame(
    "33:33:00:00:00:01",
    from,
    [0x86, 0xdd],
    0x60,
    0,
    0,
    0,
    0,
    body.length,
    protocol,
    255,
    ...source,
    ...target,
    ...body,
  );
}
