/** Presents an overlay network as an address space for DHCP leases, with its reservations and endpoints as the members. */
import { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import type { AddressState, LeaseChange, LeaseSpace } from "../nex/lease_space.ts";
import type { Member } from "../nex/member.ts";
import { inRange, type Network, readNetwork } from "../nex/network.ts";
import type { MemberRecord } from "../store/records.ts";
import type { BitSet } from "../overlay/bit_set.ts";
import { expiryOf, kindOf } from "../overlay/endpoint_kind.ts";
import { rangeOf, storedBits } from "../overlay/claims.ts";
import { isOwnLabel } from "../overlay/own_labels.ts";
import type { Space } from "../overlay/space.ts";
import type { OverlayEndpoint } from "../overlay/overlay_endpoint.ts";
import { macNumber } from "../overlay/state.ts";
import type { OverlayView } from "../overlay/view.ts";
import type { NetworkRecord, ReservationRecord, SettingsRecord } from "../store/sand_records.ts";
import type { Guard } from "../store/types.ts";
import { effectiveRecord } from "./effective.ts";
import {
  type EndpointLeasePlan,
  guardsOf,
  type LeasingHost,
  type OverlayMember,
  planLeaseChange,
} from "./lease_plans.ts";

const networks = new WeakMap<SettingsRecord, { readonly record: NetworkRecord; readonly network: Network }>();

/** The network as the code that answers DHCP takes it; the same object for as long as nothing of it changes. */
export function leasingNetwork(view: OverlayView, record: NetworkRecord, settings: SettingsRecord): Network {
  const known = networks.get(settings);
  if (known?.record === record) return known.network;
  const { name } = settings.network, { modRevision } = view.guard(view.keys.settings(record.id));
  const network = readNetwork(name, { modRevision }, effectiveRecord({ name, record, settings }));
  networks.set(settings, { record, network });
  return network;
}

/** The leases of one network, as a host gives them. Each answer is read from the view at the time of the call. */
export class OverlayLeases implements LeaseSpace {
  readonly isOwnLabel = isOwnLabel;
  readonly bareNames = true;
  readonly #space: Space;
  readonly #network: Network;

  /**
   * @param record The network. Its settings must be known, and its claims those of its range.
   * @param now Seconds since the epoch.
   */
  constructor(
    readonly view: OverlayView,
    readonly record: NetworkRecord,
    settings: SettingsRecord,
    readonly host: LeasingHost,
    private readonly now: number,
  ) {
    this.#space = view.space(record.id);
    this.#network = leasingNetwork(view, record, settings);
  }

  network(name: string): Network | undefined {
    return name === this.#network.name ? this.#network : undefined;
  }

  networks(): Iterable<Network> {
    return [this.#network];
  }

  networkAt(address: string | Ip | undefined): Network | undefined {
    const ip = typeof address === "string" ? Ip.tryParse(address) : address;
    return ip && this.#network.subnet4?.contains(ip) ? this.#network : undefined;
  }

  networkOf(): Network {
    return this.#network;
  }

  /** A reservation, with the endpoint of its MAC; or an endpoint alone. */
  member(mac: string): OverlayMember | undefined {
    const endpoint = this.#space.holdersOfMac(macNumber(mac))[0];
    const reservation = this.#space.reservations.get(mac);
    return endpoint || reservation ? this.#read(mac, endpoint, reservation) : undefined;
  }

  memberships(mac: string): readonly OverlayMember[] {
    const member = this.member(mac);
    return member ? [member] : [];
  }

  memberAt(address: string): OverlayMember | undefined {
    const ip = Ip.tryParse(address);
    if (!ip) return undefined;
    const [endpoint] = this.#space.holdersOf(ip.u32), mac = endpoint?.mac ?? this.#space.reservedAt(ip.u32);
    return mac === undefined ? undefined : this.member(mac);
  }

  /** @param name With the network's domain, where it has one. */
  membersNamed(name: string): readonly OverlayMember[] {
    const { domain } = this.#network, suffix = domain && `.${domain}`;
    const label = name.toLowerCase().slice(0, name.length - suffix.length);
    const macs = new Set(this.#space.reservationsNamed(label));
    for (const { mac } of this.#space.endpointsNamed(label)) if (mac !== undefined) macs.add(mac);
    return [...macs].flatMap((mac) => this.member(mac) ?? []);
  }

  get withheld(): AddressState["withheld"] {
    return this.#space.withheld;
  }

  /** An endpoint stays when its reservation is deleted, so that no address has to be held for it. */
  heldFor(): readonly string[] {
    return [];
  }

  formerHolderOf(address: string): string | undefined {
    return this.#space.former.of(address);
  }

  formerAddressOf(mac: string): string | undefined {
    return this.#space.former.addressOf(mac);
  }

  lowest({ range4 }: Network): number {
    const first = rangeOf(this.record).first.u32, begin = Math.max(range4?.begin ?? first, first);
    const bits = this.#bits();
    if (bits === "wrong") return Infinity;
    return bits ? first + (bits.firstClear(begin - first) ?? bits.length) : begin;
  }

  taken(address: number): boolean {
    const bits = this.#bits();
    if (bits === "wrong" || bits?.has(address - rangeOf(this.record).first.u32)) return true;
    if (this.#space.holdersOf(address).length || this.#space.reservedAt(address) !== undefined) return true;
    const { withheld } = this.#space;
    return withheld.size > 0 && (withheld.get(Ip.from4(address).toString())?.until ?? 0) > this.now;
  }

  /** False for a reserved address, and for an endpoint that an agent made: these stay as they are. */
  mayQuarantine(network: Network, { ip4, dynamic }: Member): boolean {
    const ip = ip4 === undefined ? undefined : Ip.tryParse(ip4);
    return dynamic && ip !== undefined && inRange(network, ip);
  }

  planChange(change: LeaseChange): EndpointLeasePlan {
    return planLeaseChange(this, change);
  }

  /** Plans the end of a lease whose time is over, in seconds since the epoch. */
  planEnd(endpoint: OverlayEndpoint, now: number): EndpointLeasePlan {
    const { mac = "", address } = endpoint;
    const before = this.#read(mac, endpoint, this.#space.reservations.get(mac));
    const ended = address && { address: address.toString(), at: now };
    return this.planChange({ mac, before, after: undefined, ended });
  }

  planFree(): EndpointLeasePlan {
    return { guards: [], ops: [] };
  }

  refusalGuards(_: Network, member: Member | undefined, mac: string): Guard[] {
    const { view, record: { id } } = this, { keys } = view;
    const endpoint = (member as OverlayMember | undefined)?.endpoint;
    return [
      view.guard(keys.network(id)),
      view.guard(keys.settings(id)),
      view.guard(keys.reservation(id, mac)),
      view.guard(keys.allocation(id)),
      ...guardsOf(endpoint),
    ];
  }

  /** The claimed addresses; undefined before the first one; "wrong" where no address can be given. */
  #bits(): BitSet | "wrong" | undefined {
    const allocation = this.view.allocation(this.record.id);
    try {
      return allocation && storedBits(this.record, allocation);
    } catch (error) {
      if (error instanceof Refusal) return "wrong";
      throw error;
    }
  }

  #read(
    mac: string,
    endpoint: OverlayEndpoint | undefined,
    reservation: ReservationRecord | undefined,
  ): OverlayMember {
    const { name: net, domain } = this.#network, suffix = domain && `.${domain}`;
    const record = endpoint?.record, isLease = record !== undefined && kindOf(record) === "dhcp";
    const full = (label: string | undefined) => label === undefined ? undefined : label + suffix;
    const own = full(record?.strand_name), given = full(reservation?.name) ?? (isLease ? undefined : own);
    const there = endpoint?.address?.toString();
    const ip4 = endpoint && !isLease ? there : reservation?.ip4 ?? there;
    const expires = isLease && there === ip4 ? expiryOf(record) : undefined;
    const member: MemberRecord = {
      mac,
      net,
      ...given === undefined ? {} : { name: given },
      ...given === undefined && own !== undefined ? { hostname: own } : {},
      ...ip4 === undefined
        ? {}
        : { ip4: { address: ip4, ...expires === undefined ? {} : { expires: { seconds: expires } } } },
    };
    return {
      mac,
      id: mac,
      record: member,
      key: endpoint?.entries[0]?.key ?? this.view.keys.reservation(this.record.id, mac),
      modRevision: endpoint?.modified ?? 0,
      net,
      dynamic: !reservation && (!endpoint || isLease),
      ip4,
      ip6: undefined,
      expires,
      name: given ?? own,
      endpoint,
      reservation,
    };
  }
}
