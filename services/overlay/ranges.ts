/** Decides which ranges a network cannot have, and finds conflicts of a range with addresses in use elsewhere. */
import { Cidr, type Ip } from "../common/ip.ts";

/** Addresses that no host can have or that are local to each host (RFC 6890, RFC 1112 §4). */
const UNUSABLE: readonly (readonly [range: Cidr, what: string])[] = [
  [Cidr.parse("0.0.0.0/8"), 'stand for "this host" and no other'],
  [Cidr.parse("127.0.0.0/8"), "are loopback: each container has them for itself"],
  [Cidr.parse("169.254.0.0/16"), "are link-local: hosts give them to themselves, and clouds answer there"],
  [Cidr.parse("224.0.0.0/4"), "are those of multicast groups"],
  [Cidr.parse("240.0.0.0/4"), "are reserved, and kernels refuse them"],
];

/** Ranges that are not routed on the Internet (IANA's IPv4 special-purpose address registry). */
const PRIVATE = [
  ...["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"],
  ...["192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"],
].map((text) => Cidr.parse(text));

/** Why no network can have the range, as part of a sentence; undefined when one can. */
export function unusableRange(range: Cidr): string | undefined {
  const found = UNUSABLE.find(([block]) => block.overlaps(range));
  return found && `the addresses of ${found[0]} ${found[1]}`;
}

/** Why no connection can be made to an address, as part of a sentence; undefined when one can. */
export function unusableAddress(address: Ip): string | undefined {
  const found = UNUSABLE.find(([block]) => block.contains(address));
  return found && `the addresses of ${found[0]} ${found[1]}`;
}

/** True when the range has addresses that are routed on the Internet. */
export function isPublic(range: Cidr): boolean {
  const within = ({ prefix }: Cidr, block: Cidr) => block.prefix <= prefix && block.contains(range.address);
  return !PRIVATE.some((block) => within(range, block)) && unusableRange(range) === undefined;
}

/** A destination that a host reaches over one of its interfaces. */
export interface HostRoute {
  readonly destination: Cidr;
  readonly interface: string;
  /** True: it is reached over a next hop. */
  readonly far: boolean;
}

/** The addresses and routes with which a network's range may conflict. */
export interface ReservedRanges {
  /** VTEPs of hosts, this one's too. */
  readonly vteps: Iterable<Ip>;
  /** The host's routes, without those to containers. */
  readonly routes: readonly HostRoute[];
}

/**
 * The destinations that containers cannot reach because the network's range covers them, a part of a sentence each. This does
 * no harm while a network is isolated from its host.
 */
export function conflictsOf(range: Cidr, { vteps, routes }: ReservedRanges): string[] {
  const found: string[] = [];
  for (const { destination, far, interface: name } of routes) {
    const inside = range.prefix <= destination.prefix && range.contains(destination.address);
    // A wide route over a next hop does not conflict: the network's longer prefix wins.
    const around = !far && destination.prefix > 0 && destination.contains(range.address);
    if (inside || around) found.push(`this host has ${destination} behind ${name} already`);
  }
  for (const vtep of vteps) {
    if (range.contains(vtep)) found.push(`${vtep} in it is the VTEP of a host`);
    if (found.length >= MOST) break;
  }
  if (isPublic(range)) found.push("it has public addresses, which are others' on the Internet");
  return found.slice(0, MOST);
}

/** The most conflicts that are reported: there may be a VTEP of each of 10,000 hosts. */
const MOST = 5;
