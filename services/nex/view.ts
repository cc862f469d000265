/** The view of a mirror: its networks and members, indexed by MAC, address and name. */
import { Ip } from "../common/ip.ts";
import { SetsBy } from "../common/sets_by.ts";
import type { Change, Entry, Guard, Mirror, Plan } from "../store/types.ts";
import type { DeletedNetworkRecord, FormerRecord, NexRecord, WithheldRecord } from "../store/records.ts";
import { keyOf } from "../store/keys.ts";
import { ExpiryQueue } from "./expiry_queue.ts";
import { Index } from "./index_by.ts";
import { byPrecedence, furtherId, type Member, readMember } from "./member.ts";
import { type Network, readNetwork, subnetFor } from "./network.ts";
import type { LeaseChange, LeaseSpace } from "./lease_space.ts";
import { mayQuarantine, planChange, planFree, refusalGuards } from "./plan_change.ts";
import type { NexState } from "./nex_state.ts";
import { UnreadableKeys } from "./unreadable_keys.ts";
import { UsedAddresses } from "./used_addresses.ts";

/** The change that a {@link NexView} passes to its listeners, once it shows it. */
export interface ViewChange {
  readonly networks: readonly { before: Network | undefined; after: Network | undefined }[];
  readonly members: readonly { before: Member | undefined; after: Member | undefined }[];
}

/**
 * The names and addresses of one space, as plans read them. Nex's networks share one space, so that an address occurs once in it,
 * and a MAC once in each network.
 */
export class NexView implements NexState, LeaseSpace {
  readonly #mirror: Mirror<NexRecord>;
  readonly #networks = new Map<string, Network>();
  /** By id. */
  readonly #members = new Map<string, Member>();
  /** By MAC: the ids of memberships that are not under Nex's key. */
  readonly #further = new Index();
  /** By MAC: keys of records in the newer layout, or with the MAC in another spelling. */
  readonly #strayRecords = new Index();
  readonly #membersOf = new SetsBy<string, string>();
  /** Ids of members of Nex's daemons whose record has no network: it follows from their address. */
  readonly #unplaced = new Set<string>();
  readonly #byAddress = new Index();
  readonly #byName = new Index();
  readonly #used = new UsedAddresses((name) => this.#networks.get(name));
  readonly #listeners = new Set<(change: ViewChange) => void>();

  readonly isOwnLabel = () => false;
  readonly bareNames = false;
  readonly mayQuarantine = mayQuarantine;
  readonly unreadable: UnreadableKeys;
  readonly withheld = new Map<string, WithheldRecord>();
  readonly former = new Map<string, FormerRecord>();
  readonly #formerOf = new Index();
  readonly #heldFor = new Index();
  readonly deleted = new Map<string, DeletedNetworkRecord>();
  /** Keys of Nex's that a store has no more once it is taken over, as far as the key alone tells. */
  readonly strays = new Set<string>();
  /** Members with a lease whose end removes something: a dynamic member, or a client's name. */
  readonly expiring = new ExpiryQueue((id) => {
    const member = this.#members.get(id);
    return member && (member.dynamic || member.record.hostname) ? member.expires : undefined;
  });

  constructor(mirror: Mirror<NexRecord>) {
    this.#mirror = mirror;
    this.unreadable = new UnreadableKeys(mirror);
    this.#take([...mirror.entries()].map((after) => ({
      key: after.key,
      before: undefined,
      after,
      revision: after.modRevision,
    })));
    mirror.subscribe((changes) => this.#take(changes));
  }

  /** Calls the listener, synchronously, after each batch of changes that affected a network or a member. */
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

  /** The MAC's membership of that network; without a network its first membership. */
  member(mac: string, network?: string): Member | undefined {
    const all = this.memberships(mac);
    if (network === undefined) return all[0];
    const there = all.filter((member) => this.netOf(member) === network);
    return there.length < 2 ? there[0] : there.sort(byPrecedence)[0];
  }

  memberships(mac: string): Member[] {
    const first = this.#members.get(mac), further = this.#further.get(mac);
    if (!further.length) return first ? [first] : [];
    return [mac, ...further].flatMap((id) => this.#members.get(id) ?? []);
  }

  /** The membership of that id. */
  memberById(id: string): Member | undefined {
    return this.#members.get(id);
  }

  members(): IterableIterator<Member> {
    return this.#members.values();
  }

  get size(): { networks: number; members: number } {
    return { networks: this.#networks.size, members: this.#members.size };
  }

  netOf(member: Member): string | undefined {
    return member.net ?? this.networkAt(member.ip4)?.name;
  }

  /** True for a member that does not end with its lease. Nex's daemons may list one whose record names no network. */
  isListed(member: Member): boolean {
    if (!member.dynamic || member.net) return !member.dynamic;
    return this.claim(keyOf.memberOf(this.netOf(member) ?? "", member.mac)) === member.mac;
  }

  /** The network that a member is in; undefined once that network is gone. */
  networkOf(member: Member): Network | undefined {
    return member.net ? this.#networks.get(member.net) : this.networkAt(member.ip4);
  }

  /** The network whose subnet contains the address; the narrowest where a store that was taken over has several. */
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
    const found = [...this.#membersOf.get(name) ?? []].flatMap((id) => this.#members.get(id) ?? []);
    for (const member of this.unplaced()) if (this.netOf(member) === name) found.push(member);
    return found.sort((a, b) => a.mac < b.mac ? -1 : 1);
  }

  /** Members of Nex's daemons whose network follows from their address, if at all. */
  unplaced(): Member[] {
    return [...this.#unplaced].flatMap((id) => this.#members.get(id) ?? []);
  }

  memberAt(address: string): Member | undefined {
    const ids = this.#byAddress.get(address);
    if (ids.length < 2) return this.#members.get(ids[0] ?? "");
    const holders = this.membersAt(address);
    // The lease that ends last may be running, so its member keeps the address. Without a lease the claim decides.
    const claimed = this.claim(keyOf.claimIp(address));
    const unclaimed = (member: Member) => Number(member.mac !== claimed);
    return holders.sort((a, b) =>
      (b.expires ?? 0) - (a.expires ?? 0) || unclaimed(a) - unclaimed(b) || byPrecedence(a, b)
    )[0];
  }

  /** The members with the address: more than one only in a store that is not taken over yet. */
  membersAt(address: string): Member[] {
    return this.#byAddress.get(address).flatMap((id) => this.#members.get(id) ?? []);
  }

  membersNamed(name: string): readonly Member[] {
    return this.#byName.get(name.toLowerCase()).flatMap((id) => this.#members.get(id) ?? []);
  }

  claim(key: string): string | undefined {
    const record = this.#mirror.get(key)?.record;
    return record && "mac" in record ? record.mac : undefined;
  }

  /** The address that a client had last in a network, while no other client has it. */
  formerAddressOf(mac: string, network: Network): string | undefined {
    return this.#formerOf.get(mac).findLast((address) => {
      const ip = Ip.tryParse(address);
      return ip && network.subnet4?.contains(ip);
    });
  }

  formerHolderOf(address: string): string | undefined {
    return this.former.get(address)?.mac;
  }

  heldFor(mac: string): readonly string[] {
    return this.#heldFor.get(mac);
  }

  taken(address: number): boolean {
    if (this.#used.has(address)) return true;
    // The record that withholds an address may be unreadable: a plan that gives the address could not be committed.
    return this.unreadable.size > 0 && this.unreadable.has(keyOf.withheld(Ip.from4(address).toString()));
  }

  lowest(network: Network): number {
    return this.#used.lowest(network);
  }

  planChange(change: LeaseChange): Plan {
    return planChange(this, change);
  }

  planFree(address: string): Plan {
    return planFree(this, address);
  }

  refusalGuards(...about: Parameters<LeaseSpace["refusalGuards"]>): Guard[] {
    return refusalGuards(this, ...about);
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
          members.push(...this.#setRecord(record.id, key, after));
          break;
        case "further-member":
          members.push(this.#setMember(furtherId(record.network, record.mac), record.mac, after));
          break;
        case "withheld":
          this.#setWithheld(record.id, after);
          break;
        case "former":
          this.#setFormer(record.id, after);
          break;
        case "deleted-network":
          if (after) this.deleted.set(record.id, record.value);
          else this.deleted.delete(record.id);
          break;
        case "newer-name":
        case "pool":
          this.#setStray(key, after !== undefined);
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
    this.#used.forgetNetwork(name);
    return { before, after };
  }

  #setStray(key: string, isThere: boolean): void {
    if (isThere) this.strays.add(key);
    else this.strays.delete(key);
  }

  /** Sets a MAC's record under a key of Nex's. Of several records the first one has the MAC as its id. */
  #setRecord(mac: string, key: string, entry: Entry<NexRecord> | undefined) {
    const own = keyOf.member(mac), known = this.#strayRecords.get(mac);
    if (key === own && !known.length) return [this.#setMember(mac, mac, entry)];
    if (key !== own && !known.includes(key)) this.#strayRecords.add(mac, key);
    this.#setStray(key, entry !== undefined && key !== own);
    const keys = [own, ...this.#strayRecords.get(mac)];
    const [first, ...others] = keys.flatMap((key) => this.#mirror.get(key) ?? []);
    const changes = [
      this.#setMember(mac, mac, first),
      ...keys.map((key) => this.#setMember(key, mac, others.find((other) => other.key === key))),
    ];
    if (!entry && key !== own) this.#strayRecords.remove(mac, key);
    return changes;
  }

  #setMember(id: string, mac: string, entry: Entry<NexRecord> | undefined) {
    const before = this.#members.get(id), record = entry?.record;
    const isMember = record?.kind === "member" || record?.kind === "further-member";
    const after = entry && isMember ? readMember(id, mac, entry, record.value) : undefined;
    if (before?.net !== after?.net || !before || !after) {
      if (before?.net) this.#membersOf.delete(before.net, id);
      if (after?.net) this.#membersOf.add(after.net, id);
    }
    if (after && !after.net) this.#unplaced.add(id);
    else this.#unplaced.delete(id);
    if (before?.ip4 !== after?.ip4) {
      if (before?.ip4) this.#used.remove(before.ip4);
      if (after?.ip4) this.#used.add(after.ip4);
    }
    this.#byAddress.move(before?.ip4, after?.ip4, id);
    this.#byAddress.move(before?.ip6, after?.ip6, id);
    this.#byName.move(before?.name, after?.name, id);
    if (mac !== id) this.#further.move(before?.mac, after?.mac, id);
    if (after) this.#members.set(id, after);
    else this.#members.delete(id);
    this.expiring.changed(id);
    return { before, after };
  }

  #setWithheld(address: string, entry: Entry<NexRecord> | undefined): void {
    const after = entry?.record.kind === "withheld" ? entry.record.value : undefined;
    const before = this.withheld.get(address);
    if (before?.leased) this.#heldFor.remove(before.mac, address);
    if (after?.leased) this.#heldFor.add(after.mac, address);
    if (before && !after) this.withheld.delete(address), this.#used.remove(address);
    if (!after) return;
    this.withheld.set(address, after);
    if (!before) this.#used.add(address);
  }

  #setFormer(address: string, entry: Entry<NexRecord> | undefined): void {
    const after = entry?.record.kind === "former" ? entry.record.value : undefined;
    const before = this.former.get(address);
    if (before) this.#formerOf.remove(before.mac, address);
    if (after) this.former.set(address, after), this.#formerOf.add(after.mac, address);
    else this.former.delete(address);
  }
}
