import { Ip } from "../common/ip.ts";
import type { Change, Entry, Guard, Mirror } from "../store/types.ts";
import type { DeclinedRecord, DeletedNetworkRecord, FormerRecord, NexRecord } from "../store/records.ts";
import { keyOf } from "../store/keys.ts";
import { ExpiryQueue } from "./expiry_queue.ts";
import { type Member, readMember } from "./member.ts";
import { type Network, readNetwork, subnetFor } from "./network.ts";

/** What a plan may ask of the state it starts from: the {@link View}, or a draft on top of it. */
export interface Reader {
  network(name: string): Network | undefined;
  networks(): Iterable<Network>;
  member(mac: string): Member | undefined;
  membersOf(network: string): Member[];
  /** The MAC that has the address; undefined when nobody does. */
  holderOfAddress(address: string): string | undefined;
  /** The MAC that has the fully qualified name; undefined when nobody does. */
  holderOfName(name: string): string | undefined;
  /** The network whose subnet holds the address. */
  networkAt(address: string | Ip | undefined): Network | undefined;
  /** The MAC that a claim's key holds, whether or not that member agrees. */
  claim(key: string): string | undefined;
  /** The client that had the address last, while nobody else has it. */
  formerHolderOf(address: string): string | undefined;
  /** Addresses in quarantine, because a client found them in use. */
  readonly declined: ReadonlyMap<string, DeclinedRecord>;
  /** Where a search for the lowest free address of the network's range starts. */
  lowest(network: Network): number;
  /** True when an IPv4 address, as a 32-bit value, must not be given to anyone else. */
  taken(address: number): boolean;
  /** The guard under which a key is still as it was read. */
  guard(key: string): Guard;
  /** The newest mod revision of anything under a prefix, readable or not. */
  newestUnder(prefix: string): number;
}

/** What a {@link View} tells of each change, after it took it in. */
export interface ViewChange {
  readonly networks: readonly { before: Network | undefined; after: Network | undefined }[];
  readonly members: readonly { before: Member | undefined; after: Member | undefined }[];
}

/**
 * The names and addresses of one space, indexed: a mirror's records as the plans read them. Nex's networks share one
 * space, so that a MAC, a name and an address occur once in it.
 */
export class View implements Reader {
  readonly #mirror: Mirror<NexRecord>;
  readonly #networks = new Map<string, Network>();
  readonly #members = new Map<string, Member>();
  readonly #membersOf = new Map<string, Set<string>>();
  /** Members of old stores whose network follows from their address. */
  readonly #unplaced = new Set<string>();
  readonly #byAddress = new Index();
  readonly #byName = new Index();
  /** IPv4 addresses in use, for the search of a free one: how many records hold each. */
  readonly #taken = new Map<number, number>();
  /** For each network's range: nothing below is free. */
  readonly #lowest = new Map<string, number>();
  readonly #listeners = new Set<(change: ViewChange) => void>();

  readonly declined = new Map<string, DeclinedRecord>();
  readonly former = new Map<string, FormerRecord>();
  readonly #formerOf = new Map<string, string>();
  readonly deleted = new Map<string, DeletedNetworkRecord>();
  /** Documents of the old daemons that are not used here. */
  readonly pools = new Set<string>();
  /** Members whose lease takes something with it when it ends. */
  readonly expiring = new ExpiryQueue((mac) => {
    const member = this.#members.get(mac);
    return member && (member.dynamic || member.record.hostname) ? member.expires : undefined;
  });

  constructor(mirror: Mirror<NexRecord>) {
    this.#mirror = mirror;
    this.#take([...mirror.entries()].map((after) => ({
      key: after.key,
      before: undefined,
      after,
      revision: after.modRevision,
    })));
    mirror.subscribe((changes) => this.#take(changes));
  }

  /** Calls back, synchronously, after each batch of changes that touched a network or a member. */
  subscribe(listener: (change: ViewChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  network(name: string): Network | undefined {
    return this.#networks.get(name);
  }

  networks(): IterableIterator<Network> {
    return this.#networks.values();
  }

  member(mac: string): Member | undefined {
    return this.#members.get(mac);
  }

  members(): IterableIterator<Member> {
    return this.#members.values();
  }

  get size(): { networks: number; members: number } {
    return { networks: this.#networks.size, members: this.#members.size };
  }

  /** The network that a member is in; undefined once that network is gone. */
  networkOf(member: Member): Network | undefined {
    return member.net ? this.#networks.get(member.net) : this.networkAt(member.ip4);
  }

  /** The network whose subnet holds the address, the narrowest when a store that was taken over has several. */
  networkAt(address: string | Ip | undefined): Network | undefined {
    const ip = typeof address === "string" ? Ip.tryParse(address) : address;
    let found: Network | undefined, prefix = -1;
    if (!ip) return undefined;
    for (const network of this.#networks.values()) {
      const subnet = subnetFor(network, ip);
      if (subnet && subnet.prefix > prefix && subnet.contains(ip)) [found, prefix] = [network, subnet.prefix];
    }
    return found;
  }

  /** Sorted by MAC. */
  membersOf(name: string): Member[] {
    const macs = [...this.#membersOf.get(name) ?? []];
    for (const mac of this.#unplaced) {
      if (this.networkAt(this.#members.get(mac)?.ip4)?.name === name) macs.push(mac);
    }
    return macs.sort().flatMap((mac) => this.#members.get(mac) ?? []);
  }

  /** Members that no network claims and whose own is gone. */
  unplaced(): Member[] {
    return [...this.#unplaced].flatMap((mac) => this.#members.get(mac) ?? []);
  }

  /** What a store that was taken over holds and a new one could not, a sentence each. */
  problems(): string[] {
    const networks = [...this.#networks.values()];
    const lost = [...this.#members.values()].filter((m) =>
      !this.networkOf(m) && !this.deleted.has(m.net ?? "")
    );
    const orphans = lost.length
      ? [
        `${lost.length} members are in no network that exists and are not served; the first: ${lost[0]?.mac}`,
      ]
      : [];
    return orphans.concat(
      this.forgedMarks(),
      networks.flatMap((a, i) =>
        networks.slice(i + 1).flatMap((b) =>
          a.subnet4 && b.subnet4?.overlaps(a.subnet4)
            ? `networks ${a.name} (${a.subnet4}) and ${b.name} (${b.subnet4}) overlap; the narrower one answers for an address`
            : []
        )
      ),
    );
  }

  /** Marks of deletions that are not believed, a sentence each. */
  forgedMarks(): string[] {
    return [...this.deleted.keys()].filter((name) => this.isForgedMark(name)).map((name) =>
      `the record ${
        keyOf.deletedNetwork(name)
      } in etcd says that network ${name} was deleted, which is there and older: nothing of it is removed`
    );
  }

  /** True for a mark of a deletion that is younger than a network which is there: see planDeletedNetwork(). */
  isForgedMark(name: string): boolean {
    const mark = this.#mirror.get(keyOf.deletedNetwork(name)), living = this.#mirror.get(keyOf.network(name));
    return mark !== undefined && living !== undefined && mark.createRevision > living.createRevision;
  }

  holderOfAddress(address: string): string | undefined {
    const holders = this.#byAddress.get(address);
    if (!holders || holders.length === 1) return holders?.[0];
    // Two records of an old store may name one address: the claim decides.
    const claimed = this.claim(keyOf.claimIp(address));
    return claimed !== undefined && holders.includes(claimed) ? claimed : holders[0];
  }

  holderOfName(name: string): string | undefined {
    const holders = this.#byName.get(name.toLowerCase());
    if (!holders || holders.length === 1) return holders?.[0];
    const claimed = this.claim(keyOf.claimName(name.toLowerCase()));
    return claimed !== undefined && holders.includes(claimed) ? claimed : holders[0];
  }

  claim(key: string): string | undefined {
    const record = this.#mirror.get(key)?.record;
    return record && "mac" in record ? record.mac : undefined;
  }

  /** The address that a client had last, while nobody else has it. */
  formerAddressOf(mac: string): string | undefined {
    return this.#formerOf.get(mac);
  }

  formerHolderOf(address: string): string | undefined {
    return this.former.get(address)?.mac;
  }

  taken(address: number): boolean {
    return this.#taken.has(address);
  }

  lowest(network: Network): number {
    const begin = network.range4?.begin ?? 0;
    let low = Math.max(this.#lowest.get(network.name) ?? begin, begin);
    while (network.range4 && low <= network.range4.end && this.#taken.has(low)) low++;
    this.#lowest.set(network.name, low);
    return low;
  }

  guard(key: string): Guard {
    return { key, modRevision: this.#mirror.get(key)?.modRevision ?? 0 };
  }

  newestUnder(prefix: string): number {
    let newest = 0;
    for (const { key, modRevision } of this.#mirror.entries()) {
      if (modRevision > newest && key.startsWith(prefix)) newest = modRevision;
    }
    for (const key of this.#mirror.state.quarantined.keys()) {
      if (key.startsWith(prefix)) newest = Math.max(newest, this.#mirror.version(key));
    }
    return newest;
  }

  /** True for a key whose value cannot be read: nothing that depends on it can be committed. */
  unreadable(key: string): boolean {
    return this.#mirror.state.quarantined.has(key);
  }

  entry(key: string): Entry<NexRecord> | undefined {
    return this.#mirror.get(key);
  }

  entries(): IterableIterator<Entry<NexRecord>> {
    return this.#mirror.entries();
  }

  #take(changes: readonly Change<NexRecord>[]): void {
    const networks: { before: Network | undefined; after: Network | undefined }[] = [];
    const members: { before: Member | undefined; after: Member | undefined }[] = [];
    for (const { key, before, after } of changes) {
      const record = (after ?? before)?.record;
      switch (record?.kind) {
        case "network":
          networks.push(this.#setNetwork(record.id, after));
          break;
        case "member":
          // An old store may hold a MAC in two spellings: the one in ours counts.
          if (key === keyOf.member(record.id) || (this.#members.get(record.id)?.key ?? key) === key) {
            members.push(this.#setMember(record.id, after));
          }
          break;
        case "declined":
          this.#setDeclined(record.id, after);
          break;
        case "former":
          this.#setFormer(record.id, after);
          break;
        case "deleted-network":
          if (after) this.deleted.set(record.id, record.value);
          else this.deleted.delete(record.id);
          break;
        case "pool":
          if (after) this.pools.add(record.id);
          else this.pools.delete(record.id);
      }
    }
    if (networks.length || members.length) {
      for (const listener of this.#listeners) listener({ networks, members });
    }
  }

  #setNetwork(name: string, entry: Entry<NexRecord> | undefined) {
    const before = this.#networks.get(name);
    const after = entry?.record.kind === "network" ? readNetwork(name, entry, entry.record.value) : undefined;
    if (after) this.#networks.set(name, after);
    else this.#networks.delete(name);
    this.#lowest.delete(name);
    return { before, after };
  }

  #setMember(mac: string, entry: Entry<NexRecord> | undefined) {
    const before = this.#members.get(mac);
    const after = entry?.record.kind === "member" ? readMember(mac, entry, entry.record.value) : undefined;
    if (before?.net !== after?.net || !before || !after) {
      if (before?.net) this.#membersOf.get(before.net)?.delete(mac);
      if (after?.net) entryOf(this.#membersOf, after.net, () => new Set()).add(mac);
    }
    if (after && !after.net) this.#unplaced.add(mac);
    else this.#unplaced.delete(mac);
    if (before?.ip4 !== after?.ip4) {
      if (before?.ip4) this.#byAddress.remove(before.ip4, mac), this.#release(before.ip4);
      if (after?.ip4) this.#byAddress.add(after.ip4, mac), this.#occupy(after.ip4);
    }
    this.#byAddress.move(before?.ip6, after?.ip6, mac);
    this.#byName.move(before?.name, after?.name, mac);
    if (after) this.#members.set(mac, after);
    else this.#members.delete(mac);
    this.expiring.changed(mac);
    return { before, after };
  }

  #setDeclined(address: string, entry: Entry<NexRecord> | undefined): void {
    const had = this.declined.delete(address);
    if (entry?.record.kind === "declined") {
      this.declined.set(address, entry.record.value);
      if (!had) this.#occupy(address);
    } else if (had) this.#release(address);
  }

  #setFormer(address: string, entry: Entry<NexRecord> | undefined): void {
    const before = this.former.get(address);
    if (before && this.#formerOf.get(before.mac) === address) this.#formerOf.delete(before.mac);
    this.former.delete(address);
    if (entry?.record.kind === "former") {
      this.former.set(address, entry.record.value);
      this.#formerOf.set(entry.record.value.mac, address);
    }
  }

  #occupy(address: string): void {
    const ip = Ip.tryParse(address);
    if (ip?.family === 4) this.#taken.set(ip.u32, (this.#taken.get(ip.u32) ?? 0) + 1);
  }

  #release(address: string): void {
    const ip = Ip.tryParse(address);
    if (ip?.family !== 4) return;
    const count = (this.#taken.get(ip.u32) ?? 0) - 1;
    if (count > 0) {
      this.#taken.set(ip.u32, count);
      return;
    }
    this.#taken.delete(ip.u32);
    for (const [name, low] of this.#lowest) {
      if (ip.u32 < low && ip.u32 >= (this.#networks.get(name)?.range4?.begin ?? Infinity)) {
        this.#lowest.set(name, ip.u32);
      }
    }
  }
}

/** Which MACs have a value; nearly always one. */
class Index {
  readonly #holders = new Map<string, string[]>();

  get(value: string): string[] | undefined {
    return this.#holders.get(value);
  }

  add(value: string, mac: string): void {
    entryOf(this.#holders, value, () => []).push(mac);
  }

  remove(value: string, mac: string): void {
    const left = this.#holders.get(value)?.filter((m) => m !== mac);
    if (left?.length) this.#holders.set(value, left);
    else this.#holders.delete(value);
  }

  move(before: string | undefined, after: string | undefined, mac: string): void {
    if (before === after) return;
    if (before) this.remove(before, mac);
    if (after) this.add(after, mac);
  }
}

function entryOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, value = make());
  return value;
}
