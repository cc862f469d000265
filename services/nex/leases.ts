/** Plans of leases: the network that a client is served from, the address that it gets, and the lease's record and end. */
import { Ip } from "../common/ip.ts";
import type { MemberRecord } from "../store/records.ts";
import type { Guard, Plan } from "../store/types.ts";
import { nameClient, type NameOutcome } from "./client_name.ts";
import { isHeldFor, leaseOn } from "./held.ts";
import type { LeaseSpace } from "./lease_space.ts";
import type { Member } from "./member.ts";
import { qualifyName } from "./names.ts";
import { inMacRange, macRangeSize, type Network } from "./network.ts";
import { heldAddress, isFree, lowestFree, mayReuse, oldestDeclined } from "./pool.ts";
import type { PlanStep } from "./steps.ts";

/**
 * The longest that a request may have waited for etcd, in seconds, while another replica gave its client a later end:
 * that end is kept. An end beyond that was stored by a wrong clock, or with a longer lease time.
 */
const MOST_WAITED = 60;

/** The network that a client is served from, and its membership there. */
export interface Placement {
  readonly network: Network;
  /** Undefined for a client that the network's macRange lets in and that has no lease yet. */
  readonly member: Member | undefined;
}

export interface PlacementRequest {
  readonly mac: string;
  /** The link that a relay names (giaddr, or the link selection of RFC 3527); undefined: the client is on the server's link. */
  readonly link?: Ip | undefined;
  /** Without a relay: the networks on the interface that received the packet; undefined: not known, any. */
  readonly attached?: ((network: Network) => boolean) | undefined;
  /** The address that the client names, as a 32-bit value: it decides between several networks. */
  readonly named?: number | undefined;
}

/**
 * The network that a client is served from; undefined for an unknown client.
 *
 * Behind a relay the relay's link decides, on the server's own link the networks on it: the client is served in the one that it is
 * a member of, or else in one whose macRange contains it. Of several, the one with the address that it names is taken, then one
 * that it is listed in, then the narrower one.
 */
export function placeClient(view: LeaseSpace, request: PlacementRequest): Placement | undefined {
  const { link, attached } = request, here = link && view.networkAt(link);
  if (link && !here) return undefined;
  const memberships = view.memberships(request.mac), [only] = memberships;
  // The fast path: nearly every client has one membership, and each of its messages gets here.
  if (only && memberships.length === 1) {
    const home = view.networkOf(only);
    if (home && (here ? home === here : !attached || attached(home))) return { network: home, member: only };
  }
  return placeAmong(view, memberships, request, here);
}

function placeAmong(
  view: LeaseSpace,
  memberships: readonly Member[],
  { mac, attached, named }: PlacementRequest,
  here: Network | undefined,
): Placement | undefined {
  const serves = (network: Network) => here ? network === here : !attached || attached(network);
  const homes = memberships.flatMap((member): Placement[] => {
    const network = view.networkOf(member);
    // A store that is not taken over yet may hold two records of one membership.
    const counts = memberships.length < 2 || !network || view.member(mac, network.name) === member;
    return network && counts && serves(network) ? [{ network, member }] : [];
  });
  if (homes.length < 2 && homes[0]) return homes[0];
  if (homes.length) {
    const at = named ? view.networkAt(Ip.from4(named)) : undefined;
    return homes.find(({ network }) => network === at) ?? homes.sort(byPreference)[0];
  }
  // A listed member of another network is on the wrong link.
  if (memberships.some((member) => !member.dynamic && view.networkOf(member))) return undefined;
  const guests = [...view.networks()].filter((network) => inMacRange(network, mac) && serves(network));
  const network = guests.sort((a, b) => macRangeSize(a) - macRangeSize(b) || byName(a, b))[0];
  return network && { network, member: undefined };
}

function byPreference(a: Placement, b: Placement): number {
  const dynamic = (p: Placement) => Number(p.member?.dynamic ?? true),
    prefix = (p: Placement) => p.network.subnet4?.prefix ?? 0;
  return dynamic(a) - dynamic(b) || prefix(b) - prefix(a) || byName(a.network, b.network);
}

function byName(a: Network, b: Network): number {
  return a.name < b.name ? -1 : 1;
}

/** Addresses offered to other clients a moment ago, as 32-bit values. */
export interface Offered {
  has(address: number): boolean;
  /**
   * Returns where a search for an address that is not offered begins; called once for each search.
   * @param lowest the lowest address that is not taken
   * @param end the last address of the range
   */
  begin(lowest: number, end: number): number;
}

/**
 * The address to offer a client: the one that it has or still has a lease on, else its former one, else the one that it asks for
 * where that is free, else the lowest free one, else the one that was declined longest ago.
 *
 * @returns undefined when the network has none left, or none for this member.
 */
export function addressFor(
  view: LeaseSpace,
  { network, member }: Placement,
  mac: string,
  requested?: Ip,
  offered: Offered = { has: () => false, begin: (lowest) => lowest },
): Ip | undefined {
  const own = ownAddress(view, network, member) ?? heldAddress(view, network, mac);
  if (own) return own;
  const former = view.formerAddressOf(mac, network);
  for (const wish of [former ? Ip.tryParse(former) : undefined, requested]) {
    if (wish?.family === 4 && isFree(view, network, wish.u32) && !offered.has(wish.u32)) return wish;
  }
  if (!network.range4) return undefined;
  const begin = offered.begin(view.lowest(network), network.range4.end);
  const free = lowestFree(view, network, offered, begin) ?? lowestFree(view, network, offered) ??
    lowestFree(view, network) ?? oldestDeclined(view, network, offered) ?? oldestDeclined(view, network);
  return free === undefined ? undefined : Ip.from4(free);
}

/** The address that a member has in the network and that is not withheld from it. */
export function ownAddress(view: LeaseSpace, network: Network, member: Member | undefined): Ip | undefined {
  if (!member?.ip4) return undefined;
  if (view.withheld.has(member.ip4) && !isHeldFor(view, network, member.mac, member.ip4)) return undefined;
  // Two records of a store of Nex's daemons may name one address: only one of them has it.
  const address = view.memberAt(member.ip4)?.id === member.id ? Ip.tryParse(member.ip4) : undefined;
  return address && network.subnet4?.contains(address) ? address : undefined;
}

/** A lease as the reply to the client contains it. */
interface Lease {
  readonly address: Ip;
  /** Seconds since the epoch. */
  readonly expires: number;
  /** The client's fully qualified name, if it has one. */
  readonly name: string | undefined;
  /** The outcome for the name that it asks for, where it did not get it unchanged. */
  readonly what?: NameOutcome | undefined;
}

export type LeasePlan =
  | Lease & { readonly kind: "commit"; readonly plan: Plan }
  /** The client may not have the address that it names (NAK), as long as `guards` hold. */
  | { readonly kind: "wrong-address"; readonly guards: readonly Guard[] }
  | { readonly kind: "exhausted" };

export interface LeaseRequest {
  readonly mac: string;
  /** The address that the client names; undefined: any (rapid commit). */
  readonly address: Ip | undefined;
  /** The name that the client asks for, see {@link nameClient}; undefined: none. */
  readonly hostname?: string | undefined;
  /**
   * The time by a clock that is known to be right, as `now`. Undefined where no clock is: then no other client loses its name
   * because it seems not to renew its lease, and no stored end of a lease is made earlier.
   */
  readonly trustedNow?: number | undefined;
  /** Seconds since the epoch, whole: rounded up, so that the stored lease begins no earlier than the client's. */
  readonly now: number;
}

/**
 * Plans a lease of one address: the member's record with its expiry and, for a new client, the claim on the address. Each
 * lease is written, also where the stored one is the same: the client may have released that one through another replica.
 */
export function planLease(view: LeaseSpace, placement: Placement, request: LeaseRequest): LeasePlan {
  const { network, member } = placement;
  const { mac, now } = request;
  const own = ownAddress(view, network, member);
  const address = request.address ?? own ?? addressFor(view, placement, mac);
  if (!address) return { kind: "exhausted" };
  const granted = own
    ? address.equals(own)
    : address.family === 4 && (isFree(view, network, address.u32) || mayReuse(view, network, mac, address));
  if (!granted) {
    return { kind: "wrong-address", guards: view.refusalGuards(network, member, mac, address.toString()) };
  }

  const wanted = now + network.leaseSeconds;
  const requested = request.hostname;
  const { name, what, from } = nameClient(view, placement, mac, requested, request.trustedNow);
  const hostname = member?.record.name ? undefined : name;
  const told = requested === undefined
    ? member?.record.client_name
    : asIs(requested, name, network)
    ? undefined
    : requested;
  const text = address.toString();
  // A lease may have outlived its membership: then its end is with the address that is held for it.
  const held = leaseOn(view, network, mac, text).expires?.seconds ?? 0;
  const stored = Math.max(held, own && member?.expires || 0);
  const isKept = request.trustedNow === undefined || stored - wanted <= MOST_WAITED;
  const expires = isKept ? Math.max(wanted, stored) : wanted;
  const { hostname: _, client_name: __, ...before } = (member?.record ?? {}) as MemberRecord;
  const record: MemberRecord = {
    ...before,
    mac,
    net: network.name,
    ip4: { ...before.ip4, address: text, expires: { seconds: expires } },
    ...(!member || member.dynamic) ? { dynamic: true } : {},
    ...hostname ? { hostname } : {},
    ...told ? { client_name: told } : {},
  };
  const plan = view.planChange({ mac, before: member, after: record, losing: from });
  return { kind: "commit", plan, address, expires, name, what };
}

/** True for a name that is exactly the one that the client asks for. */
function asIs(requested: string, name: string | undefined, { domain }: Network): boolean {
  return name !== undefined && name === qualifyName(requested, domain);
}

/** Plans the end of a client's lease, because the client has released it (DHCPRELEASE) or because its time is over. */
export function planLeaseEnd(view: LeaseSpace, member: Member, now: number): PlanStep | undefined {
  const address = member.ip4;
  if (!member.dynamic) {
    if (member.expires === undefined) return undefined;
    const { hostname: _, client_name: __, ip4, ...rest } = member.record;
    const { expires: ___, ...kept } = ip4 ?? {};
    return view.planChange({ mac: member.mac, before: member, after: { ...rest, ip4: kept } });
  }
  const ended = address ? { address, at: now } : undefined;
  return view.planChange({ mac: member.mac, before: member, after: undefined, ended });
}

/** Plans that an address is free again that is held for the client's lease in the network: the client has released it. */
export function planRelease(
  view: LeaseSpace,
  network: Network,
  mac: string,
  address: string,
): PlanStep | undefined {
  if (!isHeldFor(view, network, mac, address)) return undefined;
  return view.planFree(address);
}
