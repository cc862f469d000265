/** The endpoints and hosts of one network, indexed by address, MAC and host. */
import { Ip } from "../common/ip.ts";
import { SetsBy } from "../common/sets_by.ts";
import type {
  PresenceRecord,
  ReservationRecord,
  SettingsRecord,
  WithheldAddressRecord,
} from "../store/sand_records.ts";
import { AllowedAddresses } from "./allowed.ts";
import { FormerHolders } from "./former_holders.ts";
import { Holders, older, VtepCounts } from "./holders.ts";
import type { OverlayEndpoint } from "./overlay_endpoint.ts";

/** The address space of one network: many networks use the same range, so each has its own. */
export class Space {
  readonly endpoints = new Map<string, OverlayEndpoint>();
  /** Hosts on which the network is set up, with their presence records. */
  readonly #hosts = new Map<string, PresenceRecord>();
  readonly #applied = new Map<string, number>();
  readonly #refusedApplied = new Map<string, number>();
  /** Hosts by the MTU that they publish, and those with a SAND agent; both are used with every change. */
  readonly #byMtu = new SetsBy<number, string>();
  readonly #old = new Set<string>();
  readonly #byAddress = new Holders();
  readonly #byMac = new Holders();
  readonly #byHost = new SetsBy<string, OverlayEndpoint>();
  /** Addresses that endpoints may use beside their own. */
  readonly allowed = new AllowedAddresses();
  /** The VTEPs of hosts with endpoints. */
  readonly vteps = new VtepCounts();
  readonly #byName = new Map<string, readonly OverlayEndpoint[]>();
  /** The settings of its DHCP, DNS and containment; undefined for a network of SAND, which has none. */
  settings: SettingsRecord | undefined;
  readonly #reservations = new Map<string, ReservationRecord>();
  /** MACs by the reserved address, as a 32-bit value. */
  readonly #reservedAt = new Map<number, string>();
  readonly #reservedNames = new Map<string, ReadonlySet<string>>();
  /** Addresses in quarantine, in text form. */
  readonly withheld = new Map<string, WithheldAddressRecord>();
  readonly former = new FormerHolders();

  /** Hosts on which the network is set up, with their presence records. */
  get hosts(): ReadonlyMap<string, PresenceRecord> {
    return this.#hosts;
  }

  /** Names and addresses of machines, by MAC. */
  get reservations(): ReadonlyMap<string, ReservationRecord> {
    return this.#reservations;
  }

  /** The MAC for which the address is reserved, by its 32-bit value. */
  reservedAt(address: number): string | undefined {
    return this.#reservedAt.get(address);
  }

  /** The MACs of the reservations with this label. */
  reservationsNamed(name: string): ReadonlySet<string> {
    return this.#reservedNames.get(name) ?? NO_MACS;
  }

  /** All labels that reservations have. */
  reservedNames(): Iterable<string> {
    return this.#reservedNames.keys();
  }

  setReservation(mac: string, after: ReservationRecord | undefined): void {
    const before = this.#reservations.get(mac);
    const had = numberOf(before?.ip4), has = numberOf(after?.ip4);
    if (this.#reservedAt.get(had) === mac) this.#reservedAt.delete(had);
    if (has >= 0) this.#reservedAt.set(has, mac);
    if (before?.name !== undefined) {
      const left = new Set(this.reservationsNamed(before.name));
      left.delete(mac);
      if (left.size) this.#reservedNames.set(before.name, left);
      else this.#reservedNames.delete(before.name);
    }
    if (after?.name !== undefined) {
      this.#reservedNames.set(after.name, new Set([...this.reservationsNamed(after.name), mac]));
    }
    if (after) this.#reservations.set(mac, after);
    else this.#reservations.delete(mac);
  }

  /** The revision that each host with this agent has applied. */
  get applied(): ReadonlyMap<string, number> {
    return this.#applied;
  }

  /**
   * The newest revision of the network's endpoints that is known: of those that are there, and that hosts publish that they have
   * applied, which may be of a deletion.
   */
  get newestRevision(): number {
    let newest = 0;
    for (const revision of this.#applied.values()) newest = Math.max(newest, revision);
    for (const { entries } of this.endpoints.values()) {
      for (const { modRevision } of entries) newest = Math.max(newest, modRevision);
    }
    return newest;
  }

  /**
   * Published revisions that did not exist yet when they were written, by host: these hosts count as having applied
   * nothing.
   */
  get refusedApplied(): ReadonlyMap<string, number> {
    return this.#refusedApplied;
  }

  /** Hosts by the MTU that they publish. */
  get hostsByMtu(): ReadonlyMap<number, ReadonlySet<string>> {
    return this.#byMtu.all();
  }

  /** @param after undefined: the network is no longer set up there */
  setHost(host: string, after: PresenceRecord | undefined): void {
    const before = this.#hosts.get(host)?.mtu;
    if (before !== undefined) this.#byMtu.delete(before, host);
    if (after?.mtu !== undefined) this.#byMtu.add(after.mtu, host);
    if (after) this.#hosts.set(host, after);
    else this.#hosts.delete(host);
    this.#setOld(host);
  }

  /**
   * @param revision The revision that the host has applied; undefined: it publishes none.
   * @param refused A published revision that is not accepted.
   */
  setApplied(host: string, revision: number | undefined, refused?: number): void {
    if (revision === undefined) this.#applied.delete(host);
    else this.#applied.set(host, revision);
    if (refused === undefined) this.#refusedApplied.delete(host);
    else this.#refusedApplied.set(host, refused);
    this.#setOld(host);
  }

  set(id: string, after: OverlayEndpoint | undefined): void {
    const before = this.endpoints.get(id);
    this.vteps.count(after?.hot.vtep, 1);
    this.vteps.count(before?.hot.vtep, -1);
    this.allowed.set(before, after);
    if (before) {
      this.#byHost.delete(before.host, before);
      this.#byAddress.remove(before.hot.address, before);
      this.#byMac.remove(before.hot.mac, before);
      for (const name of labelsOf(before)) this.#unname(name, before);
    }
    if (after) {
      this.#byAddress.add(after.hot.address, after);
      this.#byMac.add(after.hot.mac, after);
      for (const name of labelsOf(after)) {
        const named = this.#byName.get(name);
        this.#byName.set(name, named ? [...named, after].sort(older) : [after]);
      }
      this.endpoints.set(id, after);
      this.#byHost.add(after.host, after);
    } else this.endpoints.delete(id);
  }

  /** The endpoints of one host. */
  endpointsOn(host: string): ReadonlySet<OverlayEndpoint> {
    return this.#byHost.get(host) ?? NONE;
  }

  /** The hosts that have endpoints. */
  hostsWithEndpoints(): Iterable<string> {
    return this.#byHost.all().keys();
  }

  /** The endpoints with the address, by its 32-bit value, the oldest first; SAND's older agents may have given it twice. */
  holdersOf(address: number): readonly OverlayEndpoint[] {
    return this.#byAddress.get(address);
  }

  /** The endpoints with the MAC, by its 48-bit value, the oldest first. */
  holdersOfMac(mac: number): readonly OverlayEndpoint[] {
    return this.#byMac.get(mac);
  }

  /** The endpoints that have this label as name or alias, the oldest first. */
  endpointsNamed(name: string): readonly OverlayEndpoint[] {
    return this.#byName.get(name) ?? NO_ENDPOINTS;
  }

  /** All labels that endpoints have. */
  endpointNames(): Iterable<string> {
    return this.#byName.keys();
  }

  #unname(name: string, endpoint: OverlayEndpoint): void {
    const left = this.endpointsNamed(name).filter(({ id }) => id !== endpoint.id);
    if (left.length) this.#byName.set(name, left);
    else this.#byName.delete(name);
  }

  /** Hosts with a SAND agent, which publishes neither an MTU nor an applied revision; sorted. */
  oldHosts(): string[] {
    return [...this.#old].sort();
  }

  /** True for such a host. */
  isSilent(host: string): boolean {
    return this.#old.has(host);
  }

  /** Hosts whose agent does not know reservations: SAND's, and this one's earlier versions; sorted. */
  hostsWithoutNames(): string[] {
    const found: string[] = [];
    for (const [host, { names }] of this.#hosts) if (!names) found.push(host);
    return found.sort();
  }

  /** True when a host other than this one runs a SAND agent. */
  hasOldHostBeside(hostname: string): boolean {
    return this.#old.size > (this.#old.has(hostname) ? 1 : 0);
  }

  /** Lagging hosts: those with Strand's agent and endpoints that have not applied the revision yet, sorted. */
  hostsBehind(revision: number): string[] {
    const found: string[] = [];
    for (const host of this.#hosts.keys()) {
      // A host without endpoints has nothing to apply: it is leaving the network, or has failed for good.
      if ((this.#applied.get(host) ?? 0) >= revision || !this.#byHost.get(host)) continue;
      if (!this.#old.has(host)) found.push(host);
    }
    return found.sort();
  }

  #setOld(host: string): void {
    const told = this.#hosts.get(host);
    if (told && told.mtu === undefined && !this.#applied.has(host)) this.#old.add(host);
    else this.#old.delete(host);
  }

  get empty(): boolean {
    const { endpoints, reservations, withheld, settings, allowed } = this;
    return settings === undefined &&
      this.former.size + allowed.held + endpoints.size + reservations.size + withheld.size +
            this.#hosts.size +
            this.#applied.size === 0;
  }
}

const NO_ENDPOINTS: readonly OverlayEndpoint[] = [];
const NONE: ReadonlySet<OverlayEndpoint> = new Set();
const NO_MACS: ReadonlySet<string> = new Set();

/** The 32-bit value of an IPv4 address; -1 for none. */
function numberOf(address: string | undefined): number {
  const ip = address === undefined ? undefined : Ip.tryParse(address);
  return ip?.family === 4 ? ip.u32 : -1;
}

/** The labels by which an endpoint is found. */
export function labelsOf(
  { record: { strand_name: name, strand_aliases: aliases } }: OverlayEndpoint,
): Iterable<string> {
  if (name === undefined && aliases === undefined) return [];
  return new Set([...name === undefined ? [] : [name], ...aliases ?? []]);
}
