/** Keeps dnsd's zones: it turns networks and their members' names into the records of each name in the table. */
import type { Cidr, Ip } from "../common/ip.ts";
import { invalid } from "../common/refusal.ts";
import { classlessZone, nameAround, reverseName, reverseZones } from "./reverse.ts";
import type { TableWriter } from "./table_writer.ts";
import { Node } from "./tree.ts";
import { canonical, nameToWire } from "./wire.ts";
import {
  fromText,
  homeOf,
  type NetworkNames,
  type Owner,
  rrsets,
  toText,
  wire,
  type Zone,
} from "./zone_records.ts";

export type { NetworkNames };

type NameNode = Node<Owner>;

/** The most addresses of this server that are served: a host may have one for each of its containers' networks. */
const MOST_SERVERS = 8;

/**
 * The records of every name, derived from networks and names, and written to the table.
 *
 * A network's domain is a zone, and so is the reverse zone (or zones) of each of its subnets, with the RFC 2317 zone
 * of one longer than /24, and the /24 around it once all its addresses are subnets'. Each name belongs to the longest zone that
 * it is in, whatever network it comes from. The SOA of a zone names `ns.DOMAIN` as the primary and `hostmaster.DOMAIN` as the
 * mailbox; `ns.DOMAIN` is its NS too, with the network's name servers as addresses, or else this server's, unless a member has
 * that name. For a network without a domain the first of its reverse zones stands for DOMAIN.
 *
 * Changes are gathered until {@link publish}.
 */
export class Zones {
  readonly #table: TableWriter;
  readonly #root: NameNode = new Node<Owner>("", undefined);
  readonly #networks = new Map<string, NetworkNames>();
  readonly #dirty = new Set<string>();
  #dead: Zone[] = [];
  #nextZone = 0;
  #serial = 0;
  #servers: readonly Ip[] = [];

  constructor(table: TableWriter) {
    this.#table = table;
  }

  /** Adds a network, or replaces the one of that name. Throws Refusal "invalid" for a domain that is none. */
  setNetwork(given: NetworkNames): void {
    const network = { ...given, domain: canonical(given.domain) };
    if (network.domain !== "" && !nameToWire(`hostmaster.${network.domain}`)) {
      throw invalid(`domain: "${given.domain}" is not a domain name, like mini.net`);
    }
    const before = this.#networks.get(network.name);
    this.#networks.set(network.name, network);
    const now = apexes(network);
    for (const apex of now) {
      const zone = this.#growZone(apex);
      if (zone.joined) zone.networks.clear();
      zone.joined = false;
      zone.networks.set(network.name, network);
      this.#markDirty(apex);
    }
    this.#changed(network);
    if (before) this.#retire(before, new Set(now));
  }

  /** Removes a network. Its names are kept, and are served again with a network that has their zone. */
  deleteNetwork(name: string): void {
    const network = this.#networks.get(name);
    if (!network) return;
    this.#networks.delete(name);
    this.#retire(network, new Set());
  }

  /** Removes a network, as it was, from its zones except those in `kept`. */
  #retire(network: NetworkNames, kept: ReadonlySet<string>): void {
    for (const apex of apexes(network)) {
      const owner = this.#root.find(apex)?.value;
      if (!owner?.zone || kept.has(apex)) continue;
      this.#markDirty(apex);
      owner.zone.networks.delete(network.name);
      if (owner.zone.networks.size === 0) this.#endZone(owner, owner.zone);
    }
    this.#changed(network);
  }

  /** Updates what depends on a network beside its zones. */
  #changed(network: NetworkNames): void {
    this.#setGlue(homeOf(network));
    for (const subnet of network.subnets) {
      this.#copyPointers(subnet);
      this.#join(subnet);
    }
  }

  /** Creates a zone for a /24 (IPv6: a /124) while all of its addresses belong to subnets of ours, and else removes it. */
  #join(subnet: Cidr): void {
    const apex = nameAround(subnet), node = apex === undefined ? undefined : this.#root.find(apex);
    const owner = node?.value, zone = owner?.zone;
    if (apex === undefined || (zone && !zone.joined)) return;
    const [count, radix] = subnet.family === 4 ? [256, 10] : [16, 16];
    const parts = Array.from({ length: count }, (_, i) => node?.child(i.toString(radix))?.value?.zone);
    if (parts.every((part) => part !== undefined)) {
      const joined = this.#growZone(apex);
      joined.joined = true;
      joined.networks.clear();
      for (const { networks } of parts) {
        for (const [name, network] of networks) joined.networks.set(name, network);
      }
      this.#markDirty(apex);
    } else if (owner && zone) {
      this.#markDirty(apex);
      this.#endZone(owner, zone);
    }
  }

  #growZone(apex: string): Zone {
    return this.#grow(apex).zone ??= { id: this.#nextZone++, apex, networks: new Map(), serial: 0 };
  }

  #endZone(owner: Owner, zone: Zone): void {
    this.#dead.push(zone);
    delete owner.zone;
    this.#tidy(zone.apex);
  }

  /**
   * Sets this server's own addresses, the best one first: they are served for networks without name servers.
   * @returns true when they have changed, which {@link publish} makes visible
   */
  setServers(addresses: readonly Ip[]): boolean {
    if (toText(addresses) === toText(this.#servers)) return false;
    this.#servers = addresses;
    for (const network of this.#networks.values()) this.#setGlue(homeOf(network));
    return true;
  }

  /** Sets all addresses of a name. Throws Refusal "invalid" when it is no domain name. */
  setName(name: string, addresses: readonly Ip[]): void {
    const fqdn = canonical(name);
    if (fqdn === "" || !nameToWire(fqdn)) {
      throw invalid(`name: "${name}" is not a domain name, like whiskey.mini.net`);
    }
    const owner = this.#grow(fqdn);
    this.#dirty.add(fqdn);
    this.#unpoint(fqdn, owner.addresses);
    owner.addresses = toText(addresses);
    for (const ip of fromText(owner.addresses)) this.#setPointers(ip, [...this.#pointers(ip), fqdn]);
  }

  /** Removes a name with its addresses, if it is there. */
  deleteName(name: string): void {
    const fqdn = canonical(name);
    const owner = this.#root.find(fqdn)?.value;
    if (owner?.addresses === undefined) return;
    this.#dirty.add(fqdn);
    this.#unpoint(fqdn, owner.addresses);
    delete owner.addresses;
    this.#tidy(fqdn);
  }

  /**
   * Makes all changes since the last time visible to queries.
   * @param serial the SOA serial of every zone that they touched, taken modulo 2^32: etcd's revision, or the last one
   */
  publish(serial: number = this.#serial): void {
    this.#serial = serial;
    const zones = new Set<Zone>();
    const names = [...this.#dirty].map((name) => ({ name, ...this.#find(name) }));
    this.#dirty.clear();
    // Apexes first, so that a name in the table always finds its zone's SOA.
    for (const { zone } of names) if (zone) zones.add(zone);
    for (const zone of zones) {
      zone.serial = serial % 2 ** 32;
      this.#table.set(wire(zone.apex), zone.id, rrsets(this.#root.find(zone.apex)?.value, zone), true);
    }
    for (const { name, node, zone } of names) {
      if (!node || !zone) this.#table.delete(wire(name));
      else if (name !== zone.apex) this.#table.set(wire(name), zone.id, rrsets(node.value, zone));
    }
    for (const zone of this.#dead) this.#table.deleteZone(zone.id);
    this.#dead = [];
  }

  /** The node of a name, if any, and the longest zone around it. */
  #find(name: string): { node: NameNode | undefined; zone: Zone | undefined } {
    let node: NameNode | undefined = this.#root, zone: Zone | undefined;
    for (const label of name.split(".").reverse()) {
      node = node?.child(label);
      zone = node?.value?.zone ?? zone;
    }
    return { node, zone };
  }

  #grow(name: string): Owner {
    const node = this.#root.grow(name, (made) => this.#dirty.add(made.name));
    return node.value ??= {};
  }

  /** Removes empty nodes from the tree. */
  #tidy(name: string): void {
    const node = this.#root.find(name);
    if (!node?.value) return;
    const { addresses, glue, pointers, zone } = node.value;
    if (addresses !== undefined || glue || pointers || zone) return;
    node.value = undefined;
    for (const gone of node.prune()) this.#dirty.add(gone.name);
  }

  /** Marks every name of the zone at `apex` as changed. */
  #markDirty(apex: string): void {
    const mark = (node: NameNode) => {
      this.#dirty.add(node.name);
      for (const child of node.children()) if (!child.value?.zone) mark(child);
    };
    const node = this.#root.find(apex);
    if (node) mark(node);
  }

  #unpoint(fqdn: string, addresses = ""): void {
    for (const ip of fromText(addresses)) {
      this.#setPointers(ip, this.#pointers(ip).filter((pointer) => pointer !== fqdn));
    }
  }

  /** The names that have an address. */
  #pointers(ip: Ip): readonly string[] {
    return this.#root.find(reverseName(ip))?.value?.pointers ?? [];
  }

  #setPointers(ip: Ip, pointers: readonly string[]): void {
    const name = reverseName(ip);
    this.#setPointersOf(name, pointers);
    // An address of a subnet longer than /24 is a zone, which knows its networks.
    for (const { subnets } of this.#root.find(name)?.value?.zone?.networks.values() ?? []) {
      for (const subnet of subnets) {
        const zone = classlessZone(subnet);
        if (zone && subnet.contains(ip)) this.#setPointersOf(`${ip.bytes.at(-1)}.${zone}`, pointers);
      }
    }
  }

  #setPointersOf(name: string, pointers: readonly string[]): void {
    this.#dirty.add(name);
    if (pointers.length > 0) this.#grow(name).pointers = pointers;
    else {
      delete this.#root.find(name)?.value?.pointers;
      this.#tidy(name);
    }
  }

  /** Copies the pointers of a subnet's addresses to its RFC 2317 zone, or removes them there once the zone is gone. */
  #copyPointers(subnet: Cidr): void {
    const zone = classlessZone(subnet);
    if (!zone) return;
    const held = this.#root.find(zone)?.value?.zone !== undefined;
    const { first, size } = subnet;
    for (let i = 0; i < size; i++) {
      const ip = first.plus(i);
      if (ip) this.#setPointersOf(`${ip.bytes.at(-1)}.${zone}`, held ? this.#pointers(ip) : []);
    }
  }

  /** Sets `ns.DOMAIN` to the name servers of all networks with that domain, or to this server's addresses. */
  #setGlue(domain: string): void {
    if (domain === "") return;
    const name = `ns.${domain}`;
    const networks = [...this.#root.find(domain)?.value?.zone?.networks.values() ?? []]
      .filter((network) => homeOf(network) === domain);
    const glue = networks.length === 0
      ? ""
      : toText(networks.flatMap((network) => network.nameservers)) || toText(this.#nearest(networks));
    this.#dirty.add(name);
    if (glue !== "") this.#grow(name).glue = glue;
    else {
      delete this.#root.find(name)?.value?.glue;
      this.#tidy(name);
    }
  }

  /** This server's addresses in the networks' own subnets; all of its addresses where it has none there. */
  #nearest(networks: readonly NetworkNames[]): readonly Ip[] {
    const subnets = networks.flatMap((network) => network.subnets);
    const near = this.#servers.filter((ip) => subnets.some((subnet) => subnet.contains(ip)));
    return (near.length > 0 ? near : this.#servers).slice(0, MOST_SERVERS);
  }
}

function apexes({ domain, subnets }: NetworkNames): string[] {
  const reverse = subnets.flatMap((subnet) => [...reverseZones(subnet), classlessZone(subnet) ?? ""]);
  return [domain, ...reverse].filter(Boolean);
}
