/** Computes the ARP and FDB entries that a host needs for a network's endpoints on other hosts. */
import { gatewayOf, rangeOf } from "./claims.ts";
import { notCarriedOut } from "./faults.ts";
import type { KernelOp } from "./ops.ts";
import type { Space } from "./space.ts";
import type { OverlayEndpoint } from "./overlay_endpoint.ts";
import type { OverlayView } from "./view.ts";
import type { EndpointChange } from "./network_change.ts";

/** The ARP and the FDB entry of a host for an endpoint; see {@link OverlayEndpoint.hot} for the numbers. */
export type Neighbour = OverlayEndpoint["hot"];

/**
 * Decides for which endpoints a host has ARP and FDB entries: active ones on other hosts. Where SAND's older agents
 * allocated an address or a MAC twice, the older endpoint gets the entries, so that a later one cannot take over its
 * traffic.
 */
export class NetworkNeighbours {
  readonly #space: Space;
  readonly #first: number = 0;
  readonly #last: number = 0;
  readonly #gateway: number = 0;

  /**
   * @param proxied True: br0 answers ARP for the endpoints; see {@link ProxyState}.
   * @param vtep This host's VTEP, as 32 bits: frames for an endpoint that another host claims behind it would come
   *   back here.
   */
  constructor(
    private readonly view: OverlayView,
    network: string,
    private readonly hostname: string,
    private readonly proxied = false,
    private readonly vtep = -1,
    /** True: br0 has static entries for MACs of other hosts, also where it does not answer ARP. */
    private readonly pinned = proxied,
  ) {
    this.#space = view.space(network);
    const record = view.network(network);
    if (!record || view.isPartial(network)) return;
    const range = rangeOf(record);
    this.#first = range.first.u32;
    this.#last = range.last.u32;
    this.#gateway = gatewayOf(record).u32;
  }

  /** Why an active endpoint gets no entry; undefined when it is local or gets one. */
  problem(endpoint: OverlayEndpoint): string | undefined {
    const { id, host, active, address, mac, hot } = endpoint;
    if (!active) return undefined;
    const who = `endpoint ${id} on ${host}`, elsewhere = host !== this.hostname;
    const refused = (why: string) => notCarriedOut(this.view.keys.networkEndpoint(endpoint.network, id), why);
    if (elsewhere && hot.vtep < 0) {
      return refused(`host_ip: ${endpoint.vtep ?? "none"} is no IPv4 address that one host can have`);
    }
    if (elsewhere && hot.vtep === this.vtep) {
      return refused(`host_ip: ${endpoint.vtep} is this host's own address, not that of ${host}`);
    }
    if (hot.mac < 0) return refused(`target_veth_mac: ${mac ?? "none"} is no MAC that one host can have`);
    if (!this.#eligible(endpoint)) {
      return refused(`${who} has the address ${address}, which no endpoint can have`);
    }
    const other = [this.#ofAddress(hot.address), this.#ofMac(hot.mac)].find((e) => e && e !== endpoint);
    if (!other) return undefined;
    return `${who} has the address or MAC of endpoint ${other.id} on ${other.host}, which is older: ${address}, ${mac}`;
  }

  /** The entries that this host needs for the endpoint; undefined: none. */
  entryOf(endpoint: OverlayEndpoint): Neighbour | undefined {
    if (endpoint.host === this.hostname || !this.#eligible(endpoint)) return undefined;
    const { hot } = endpoint;
    return this.#ofAddress(hot.address) === endpoint && this.#ofMac(hot.mac) === endpoint ? hot : undefined;
  }

  /** The ARP answer that br0 gives for the endpoint, of this host or another; undefined: it gives none. */
  answerOf(endpoint: OverlayEndpoint): Neighbour | undefined {
    if (!this.proxied || !this.#eligible(endpoint)) return undefined;
    const { hot } = endpoint;
    return this.#ofAddress(hot.address) === endpoint && this.#ofMac(hot.mac) === endpoint ? hot : undefined;
  }

  /** The entries that this host needs for addresses that other hosts' endpoints have beside their own. */
  *held(): Generator<Neighbour> {
    for (const { address, mac, endpoint: { host, hot: { vtep } } } of this.#space.allowed.reachable()) {
      const isFree = this.#isUsable(address) && !this.#ofAddress(address) && mac >= 0;
      if (isFree && host !== this.hostname && vtep >= 0 && vtep !== this.vtep) yield { address, mac, vtep };
    }
  }

  /** The MAC of an address, on this host or another; undefined when no reachable endpoint has it. */
  macOf(address: number): number | undefined {
    const endpoint = this.#ofAddress(address);
    return endpoint && this.#ofMac(endpoint.hot.mac) === endpoint ? endpoint.hot.mac : undefined;
  }

  /** True when another endpoint of this host has the same address or MAC: which of them gets the entries may change. */
  contested({ id, hot }: OverlayEndpoint): boolean {
    return [...this.#space.holdersOf(hot.address), ...this.#space.holdersOfMac(hot.mac)]
      .some((other) => other.id !== id && other.host === this.hostname);
  }

  /**
   * Computes the table operations for some changed endpoints, without reading the rest of the network. They may set
   * what the kernel has already, and remove what it does not have.
   */
  opsFor(changes: readonly EndpointChange[]): KernelOp[] {
    const addresses = new Set<number>(), macs = new Set<number>(), answered = new Set<number>();
    for (const { before, after } of changes) {
      for (const endpoint of [before, after]) {
        if (!endpoint) continue;
        const { hot } = endpoint;
        // An endpoint with the same address or MAC may become, or cease to be, the oldest one, which gets the entries.
        const near = [endpoint, ...this.#space.holdersOf(hot.address), ...this.#space.holdersOfMac(hot.mac)];
        if (this.proxied) { for (const { hot } of near) answered.add(hot.address); }
        // Endpoints of this host have no entries in vxlan0's tables.
        if (near.every(({ host }) => host === this.hostname)) continue;
        for (const { hot } of near) addresses.add(hot.address), macs.add(hot.mac);
      }
    }
    const arp = new Map<number, number>(), fdb = new Map<number, number>();
    const noArp = new Set<number>(), noFdb = new Set<number>();
    for (const address of addresses) {
      const entry = this.#entryAmong(this.#space.holdersOf(address));
      if (entry) arp.set(address, entry.mac);
      else if (address >= 0) noArp.add(address);
    }
    for (const mac of macs) {
      const entry = this.#entryAmong(this.#space.holdersOfMac(mac));
      if (entry) fdb.set(mac, entry.vtep);
      else if (mac >= 0) noFdb.add(mac);
    }
    const ops: KernelOp[] = [];
    if (noArp.size) ops.push({ op: "arp-remove", addresses: noArp });
    if (noFdb.size) ops.push({ op: "fdb-remove", macs: noFdb });
    if (fdb.size) ops.push({ op: "fdb-set", entries: fdb });
    if (arp.size) ops.push({ op: "arp-set", entries: arp });
    if (this.pinned) ops.push(...this.#proxyOps(answered, new Set(fdb.keys()), noFdb));
    return ops;
  }

  #proxyOps(
    addresses: ReadonlySet<number>,
    fdb: ReadonlySet<number>,
    noFdb: ReadonlySet<number>,
  ): KernelOp[] {
    const arp = new Map<number, number>(), noArp = new Set<number>();
    for (const address of addresses) {
      const answer = this.#space.holdersOf(address).map((endpoint) => this.answerOf(endpoint)).find(Boolean);
      if (answer) arp.set(address, answer.mac);
      else if (address >= 0 && address !== this.#gateway) noArp.add(address);
    }
    const ops: KernelOp[] = [];
    if (noArp.size || noFdb.size) ops.push({ op: "proxy-remove", arp: noArp, fdb: noFdb });
    if (arp.size || fdb.size) ops.push({ op: "proxy-set", arp, fdb });
    return ops;
  }

  #entryAmong(endpoints: readonly OverlayEndpoint[]): Neighbour | undefined {
    for (const endpoint of endpoints) {
      const entry = this.entryOf(endpoint);
      if (entry) return entry;
    }
    return undefined;
  }

  /** True for a reachable endpoint at an address that an endpoint of this network can have. */
  #eligible({ active, host, hot: { address, mac, vtep } }: OverlayEndpoint): boolean {
    const reachable = host === this.hostname || (vtep >= 0 && vtep !== this.vtep);
    return active && mac >= 0 && reachable && this.#isUsable(address);
  }

  #isUsable(address: number): boolean {
    return address > this.#first && address < this.#last && address !== this.#gateway;
  }

  #ofAddress(address: number): OverlayEndpoint | undefined {
    return this.#space.holdersOf(address).find((e) => this.#eligible(e));
  }

  #ofMac(mac: number): OverlayEndpoint | undefined {
    return this.#space.holdersOfMac(mac).find((e) => this.#eligible(e));
  }
}
