/** The overlay networks of a mirror, indexed for plans and for the kernel's state. */
import { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import { SetsBy } from "../common/sets_by.ts";
import type { SandKeys } from "../store/sand_keys.ts";
import type {
  AllocationRecord,
  CursorRecord,
  NetworkRecord,
  PresenceRecord,
  SandRecord,
} from "../store/sand_records.ts";
import type { Change, Entry, Guard, Mirror, PrefixGuard } from "../store/types.ts";
import { VtepCounts } from "./holders.ts";
import type { EndpointChange, NetworkChange } from "./network_change.ts";
import { NetworkRecords } from "./network_records.ts";
import { Space } from "./space.ts";
import { type OverlayEndpoint, readEndpoint } from "./overlay_endpoint.ts";

const NONE: ReadonlySet<string> = new Set();

/** The part of a mirror that a view needs. */
export type Viewed = Pick<Mirror<SandRecord>, "get" | "entries" | "version" | "state" | "subscribe">;

/**
 * The overlay networks of a mirror with indexes for the plans. The cost of a change depends on its own size, not on the
 * number of networks and endpoints.
 */
export class OverlayView {
  readonly #mirror: Viewed;
  readonly #networks = new NetworkRecords();
  readonly #endpoints = new Map<string, OverlayEndpoint>();
  /** How many endpoints are behind each VTEP, by its 32-bit value. */
  readonly #vteps = new VtepCounts();
  readonly #onHost = new SetsBy<string, string>();
  readonly #networksOn = new SetsBy<string, string>();
  readonly #spaces = new Map<string, Space>();
  /** Ids of networks by the names that commands and specs have for them. */
  readonly #named = new Map<string, string>();
  readonly #listeners = new Set<(changes: ReadonlyMap<string, NetworkChange>) => void>();
  /** Networks that are marked for deletion once no older SAND agent has them; see {@link OverlayView.isDeleted}. */
  readonly deleted = new Set<string>();

  constructor(mirror: Viewed, readonly keys: SandKeys) {
    this.#mirror = mirror;
    this.#take([...mirror.entries()].map((after) => ({
      key: after.key,
      before: undefined,
      after,
      revision: after.modRevision,
    })));
    mirror.subscribe((changes) => this.#take(changes));
  }

  /** Calls the listener synchronously with the networks that a batch of changes concerns. */
  subscribe(listener: (changes: ReadonlyMap<string, NetworkChange>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** The network's record. Where the newest one cannot be parsed whole: an earlier one, or else its valid fields. */
  network(id: string): NetworkRecord | undefined {
    return this.#networks.get(id)?.record;
  }

  networks(): IterableIterator<NetworkRecord> {
    return this.#networks.records();
  }

  /** The id of the network that commands and specs call by this name. */
  networkNamed(name: string): string | undefined {
    return this.#named.get(name);
  }

  /** The names of networks with their ids. */
  networkNames(): ReadonlyMap<string, string> {
    return this.#named;
  }

  /** Why a network's record cannot be read whole; undefined when it can. */
  broken(id: string): string | undefined {
    return this.#networks.get(id)?.broken;
  }

  /** True when no record of the network could ever be parsed whole, so its settings are unknown. */
  isPartial(id: string): boolean {
    return this.#networks.get(id)?.partial === true;
  }

  /** The hosts and endpoints of a network; empty for an unknown one. */
  space(network: string): Space {
    return this.#spaces.get(network) ?? new Space();
  }

  endpoint(id: string): OverlayEndpoint | undefined {
    return this.#endpoints.get(id);
  }

  endpoints(): IterableIterator<OverlayEndpoint> {
    return this.#endpoints.values();
  }

  /** VTEPs of hosts with endpoints, as far as these are followed. */
  *vteps(): Iterable<Ip> {
    for (const vtep of this.#vteps.all()) yield Ip.from4(vtep);
  }

  hasVtep(address: Ip): boolean {
    return address.family === 4 && this.#vteps.has(address.u32);
  }

  endpointsOn(host: string): OverlayEndpoint[] {
    return [...this.#onHost.get(host) ?? []].flatMap((id) => this.#endpoints.get(id) ?? []);
  }

  /** Networks that the store lists as set up on the host. */
  networksOn(host: string): ReadonlySet<string> {
    return this.#networksOn.get(host) ?? NONE;
  }

  /**
   * True for a network that is marked as deleted. A mark that is older than the network is ignored: it belongs to an
   * earlier network of that id, which an older SAND agent has created again.
   */
  isDeleted(id: string): boolean {
    const mark = this.#mirror.get(this.keys.deleted(id)), network = this.#mirror.get(this.keys.network(id));
    return mark !== undefined && (network === undefined || mark.createRevision > network.createRevision);
  }

  /** The network's allocated addresses; undefined when none has been allocated yet. */
  allocation(network: string): AllocationRecord | undefined {
    const record = this.#mirror.get(this.keys.allocation(network))?.record;
    return record?.kind === "allocation" ? record.value : undefined;
  }

  /** The position from which the network's addresses are allocated; undefined when none is stored yet. */
  cursor(network: string): CursorRecord | undefined {
    const record = this.#mirror.get(this.keys.cursor(network))?.record;
    return record?.kind === "cursor" ? record.value : undefined;
  }

  /** The presence record under one of the two keys by which a host publishes that it has the network. */
  presence(key: string): PresenceRecord | undefined {
    const record = this.#mirror.get(key)?.record;
    return record?.kind === "network-host" || record?.kind === "host-network" ? record.value : undefined;
  }

  /** The guard that fails when a key has changed since it was read. */
  guard(key: string): Guard {
    return { key, modRevision: this.#mirror.get(key)?.modRevision ?? 0 };
  }

  /** Like {@link guard}, also for a key whose value may be unreadable. */
  newest(key: string): Guard {
    return { key, modRevision: this.#mirror.version(key) };
  }

  /** The guard that fails when a network was created or changed since the networks were read. */
  networksUnchanged(): PrefixGuard {
    const prefix = this.keys.networks;
    let unchangedSince = 0;
    for (const id of this.#networks.ids()) {
      unchangedSince = Math.max(unchangedSince, this.guard(this.keys.network(id)).modRevision);
    }
    return { prefix, unchangedSince };
  }

  /**
   * Throws a Refusal when an endpoint of the network cannot be parsed, since a plan over all endpoints would be
   * wrong.
   */
  refuseUnreadable(network: string): void {
    const prefix = this.keys.networkEndpoints(network);
    this.#refuseUnreadable(prefix, (key) => `endpoint-delete --endpoint ${key.slice(prefix.length)} --force`);
  }

  /** Refuses where the network's settings, reservations or quarantined addresses are unreadable. */
  refuseUnreadableNames(network: string): void {
    this.#refuseUnreadable(this.keys.namesOf(network), (key) => `etcdctl del ${key}`);
  }

  #refuseUnreadable(prefix: string, remedy: (key: string) => string): void {
    for (const [key, reason] of this.#mirror.state.quarantined) {
      if (!key.startsWith(prefix)) continue;
      throw new Refusal(
        "forbidden",
        `the record ${key} in etcd cannot be read (${reason}): put it right or remove it, with ${
          remedy(key)
        }`,
      );
    }
  }

  /** The keys under a prefix that are there and followed, readable or not. */
  keysUnder(prefix: string): string[] {
    const found = new Set<string>();
    for (const { key } of this.#mirror.entries()) if (key.startsWith(prefix)) found.add(key);
    for (const key of this.#mirror.state.quarantined.keys()) if (key.startsWith(prefix)) found.add(key);
    return [...found].sort();
  }

  /** The newest revision at which something under a prefix was written that is there now and is followed, readable or not. */
  newestUnder(prefix: string): number {
    let newest = 0;
    for (const key of this.keysUnder(prefix)) newest = Math.max(newest, this.#mirror.version(key));
    return newest;
  }

  #take(changes: readonly Change<SandRecord>[]): void {
    const about = new Map<string, NetworkChange>();
    const of = (network: string) => {
      let change = about.get(network);
      if (!change) {
        about.set(network, change = { kinds: new Set(), endpoints: [], labels: new Set(), revision: 0 });
      }
      return change;
    };
    for (const { before, after, revision } of changes) {
      const record = (after ?? before)?.record;
      switch (record?.kind) {
        case "network":
          this.#networks.set(record.network, after?.record.kind === "network" ? after.record : undefined);
          of(record.network).kinds.add("network");
          break;
        case "host-endpoint":
        case "network-endpoint": {
          const change = this.#setEndpoint(record.id, before, after);
          const { before: was, after: now } = change;
          if (was) of(was.network).endpoints.push(change);
          if (now && now.network !== was?.network) of(now.network).endpoints.push(change);
          if (record.kind === "network-endpoint") {
            const about = of(record.network);
            about.revision = Math.max(about.revision, revision);
          }
          break;
        }
        case "network-host":
        case "host-network":
          this.#setHost(record.network, record.host);
          of(record.network).kinds.add("hosts");
          break;
        case "applied": {
          const about = of(record.network);
          about.kinds.add("applied");
          about.revision = Math.max(about.revision, this.#setApplied(record.network, record.host, after));
          break;
        }
        case "deleted":
          if (after) this.deleted.add(record.network);
          else this.deleted.delete(record.network);
          of(record.network).kinds.add("deleted");
          break;
        case "network-name":
          if (after?.record.kind === "network-name") this.#named.set(record.name, after.record.value.id);
          else this.#named.delete(record.name);
          break;
        case "settings":
          this.#spaceOf(record.network).settings = after?.record.kind === "settings"
            ? after.record.value
            : undefined;
          of(record.network).kinds.add("names");
          break;
        case "reservation": {
          const space = this.#spaceOf(record.network), about = of(record.network);
          const was = space.reservations.get(record.mac)?.name;
          const now = after?.record.kind === "reservation" ? after.record.value : undefined;
          space.setReservation(record.mac, now);
          about.kinds.add("names");
          for (const label of [was, now?.name]) if (label !== undefined) about.labels.add(label);
          break;
        }
        case "withheld-address": {
          const { withheld } = this.#spaceOf(record.network);
          if (after?.record.kind === "withheld-address") withheld.set(record.address, after.record.value);
          else withheld.delete(record.address);
          of(record.network).kinds.add("names");
          break;
        }
        case "held-address":
          this.#spaceOf(record.network).allowed.setHolder(
            record.address,
            after?.record.kind === "held-address" ? after.record.value.endpoint : undefined,
          );
          of(record.network).kinds.add("held");
          break;
        case "former-address": {
          const former = after?.record.kind === "former-address" ? after.record.value : undefined;
          this.#spaceOf(record.network).former.set(record.address, former);
        }
      }
    }
    for (const network of about.keys()) if (this.#spaces.get(network)?.empty) this.#spaces.delete(network);
    for (const listener of about.size ? this.#listeners : []) listener(about);
  }

  #setEndpoint(
    id: string,
    before: Entry<SandRecord> | undefined,
    after: Entry<SandRecord> | undefined,
  ): EndpointChange {
    const known = this.#endpoints.get(id);
    const key = (after ?? before)?.key;
    const others = known?.entries.filter((entry) => entry.key !== key) ?? [];
    const now = readEndpoint(after ? [...others, after] : others, known);
    if (known && (known.network !== now?.network)) this.#spaces.get(known.network)?.set(id, undefined);
    if (known && known.host !== now?.host) this.#onHost.delete(known.host, id);
    this.#vteps.count(now?.hot.vtep, 1);
    this.#vteps.count(known?.hot.vtep, -1);
    if (!now) {
      this.#endpoints.delete(id);
      return { before: known, after: undefined };
    }
    this.#endpoints.set(id, now);
    this.#spaceOf(now.network).set(id, now);
    this.#onHost.add(now.host, id);
    return { before: known, after: now };
  }

  #setHost(network: string, host: string): void {
    const there = this.presence(this.keys.networkHost(network, host)) ??
      this.presence(this.keys.hostNetwork(host, network));
    this.#spaceOf(network).setHost(host, there);
    if (there) this.#networksOn.add(host, network);
    else this.#networksOn.delete(host, network);
  }

  /** @returns the revision that the host counts as having applied */
  #setApplied(network: string, host: string, after: Entry<SandRecord> | undefined): number {
    const space = this.#spaceOf(network);
    const revision = after?.record.kind === "applied" ? after.record.value.revision : undefined;
    // A host writes only revisions that exist already: a larger number would hide that the host lags behind.
    const refused = revision !== undefined && revision > (after?.modRevision ?? 0) ? revision : undefined;
    const accepted = refused === undefined ? revision : 0;
    space.setApplied(host, accepted, refused);
    return accepted ?? 0;
  }

  #spaceOf(network: string): Space {
    let space = this.#spaces.get(network);
    if (!space) this.#spaces.set(network, space = new Space());
    return space;
  }
}
