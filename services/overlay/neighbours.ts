import type { Ip } from "../common/ip.ts";
import type { Endpoint, Space } from "./space.ts";
import type { EndpointChange, View } from "./view.ts";
import { gatewayOf, rangeOf } from "./claims.ts";
import type { Op } from "./ops.ts";
import { macNumber } from "./state.ts";

/**
 * Which of a network's endpoints a host has ARP and FDB entries for: active ones on other hosts. Where old agents gave
 * an address or a MAC twice, the older endpoint has it: a leaked one that comes later cannot take over traffic.
 */
export class Neighbours {
  readonly #space: Space;
  readonly #valid: (endpoint: Endpoint) => boolean;

  constructor(view: View, network: string, private readonly hostname: string) {
    this.#space = view.space(network);
    const record = view.network(network);
    const range = record && rangeOf(record), gateway = record && gatewayOf(record);
    this.#valid = ({ address }) =>
      address !== undefined && range !== undefined && gateway !== undefined && range.contains(address) &&
      !range.reserved(address) && !address.equals(gateway);
  }

  /** Why an active endpoint gets no entry; undefined when it is local or gets one. */
  problem(endpoint: Endpoint): string | undefined {
    const { id, host, active, address, mac, vtep } = endpoint;
    if (!active) return undefined;
    const who = `endpoint ${id} on ${host}`;
    if (!mac || vtep?.family !== 4) return `${who} has no MAC or no IPv4 address of its host`;
    if (!this.#valid(endpoint)) return `${who} has the address ${address}, which no endpoint can have`;
    const other = [this.#ofAddress(endpoint), this.#ofMac(endpoint)].find((e) => e && e !== endpoint);
    if (!other) return undefined;
    return `${who} has the address or MAC of endpoint ${other.id} on ${other.host}, which is older: ${address}, ${mac}`;
  }

  /** Both entries of an endpoint, if this host is to have them. */
  entryOf(endpoint: Endpoint): { address: number; mac: number; vtep: number } | undefined {
    if (endpoint.host === this.hostname || !this.#eligible(endpoint)) return undefined;
    const { address, mac, vtep } = endpoint;
    if (!address || !mac || !vtep) return undefined;
    if (this.#ofAddress(endpoint) !== endpoint || this.#ofMac(endpoint) !== endpoint) return undefined;
    return { address: address.u32, mac: macNumber(mac), vtep: vtep.u32 };
  }

  /**
   * What some changes of endpoints mean for the tables, without looking at the rest of the network. It may say what the
   * kernel has already, and remove what it does not have.
   */
  opsFor(changes: readonly EndpointChange[]): Op[] {
    const addresses = new Map<string, Ip>(), macs = new Set<string>();
    const touch = ({ address, mac }: Endpoint) => {
      if (address) addresses.set(address.toString(), address);
      if (mac) macs.add(mac);
    };
    for (const { before, after } of changes) {
      for (const endpoint of [before, after]) {
        if (!endpoint) continue;
        touch(endpoint);
        // Whoever shares its address or its MAC may have won or lost them, and with one the other.
        for (const other of endpoint.address ? this.#space.holdersOf(endpoint.address) : []) touch(other);
        for (const other of endpoint.mac ? this.#space.holdersOfMac(endpoint.mac) : []) touch(other);
      }
    }
    const arp = new Map<number, number>(), fdb = new Map<number, number>();
    const noArp = new Set<number>(), noFdb = new Set<number>();
    for (const address of addresses.values()) {
      const entry = this.#entryAmong(this.#space.holdersOf(address));
      if (entry) arp.set(entry.address, entry.mac);
      else noArp.add(address.u32);
    }
    for (const mac of macs) {
      const entry = this.#entryAmong(this.#space.holdersOfMac(mac));
      if (entry) fdb.set(entry.mac, entry.vtep);
      else noFdb.add(macNumber(mac));
    }
    const ops: Op[] = [];
    if (noArp.size) ops.push({ op: "arp-remove", addresses: noArp });
    if (noFdb.size) ops.push({ op: "fdb-remove", macs: noFdb });
    if (fdb.size) ops.push({ op: "fdb-set", entries: fdb });
    if (arp.size) ops.push({ op: "arp-set", entries: arp });
    return ops;
  }

  #entryAmong(endpoints: readonly Endpoint[]) {
    for (const endpoint of endpoints) {
      const entry = this.entryOf(endpoint);
      if (entry) return entry;
    }
    return undefined;
  }

  #eligible(endpoint: Endpoint): boolean {
    return endpoint.active && endpoint.mac !== undefined && endpoint.vtep?.family === 4 &&
      this.#valid(endpoint);
  }

  #ofAddress({ address }: Endpoint): Endpoint | undefined {
    return address && this.#space.holdersOf(address).find((e) => this.#eligible(e));
  }

  #ofMac({ mac }: Endpoint): Endpoint | undefined {
    return mac === undefined ? undefined : this.#space.holdersOfMac(mac).find((e) => this.#eligible(e));
  }
}
