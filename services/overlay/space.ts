import { Cidr, Ip } from "../common/ip.ts";
import { tryParseMac } from "../common/mac.ts";
import type { EndpointRecord, SandRecord } from "../store/sand_records.ts";
import type { Entry } from "../store/types.ts";

/** An endpoint as plans and the kernel's state need it. */
export interface Endpoint {
  readonly id: string;
  readonly network: string;
  readonly host: string;
  /** Undefined in a record that names none. */
  readonly address: Ip | undefined;
  readonly mac: string | undefined;
  /** The address of its host in the underlay. */
  readonly vtep: Ip | undefined;
  readonly active: boolean;
  readonly record: EndpointRecord;
  /** The revision that it was made at: of two that claim one address, the older has it. */
  readonly created: number;
  /** Its two keys, as far as they are there and followed. */
  readonly entries: readonly Entry<SandRecord>[];
}

/** What the entries of one endpoint say; where they differ, the one written last. */
export function readEndpoint(entries: readonly Entry<SandRecord>[]): Endpoint | undefined {
  let newest: Entry<SandRecord> | undefined, created = Infinity;
  for (const entry of entries) {
    if (!newest || entry.modRevision > newest.modRevision) newest = entry;
    created = Math.min(created, entry.createRevision);
  }
  const found = newest?.record;
  if (found?.kind !== "host-endpoint" && found?.kind !== "network-endpoint") return undefined;
  const record = found.value;
  return {
    id: found.id,
    network: record.network_id,
    host: record.hostname,
    address: Cidr.tryParse(record.target_veth_ip)?.address,
    mac: tryParseMac(record.target_veth_mac),
    vtep: Ip.tryParse(record.host_ip),
    active: record.active,
    record,
    created,
    entries,
  };
}

/**
 * One network's addresses and who has them: an address space of its own, since many networks use the same range.
 */
export class Space {
  readonly endpoints = new Map<string, Endpoint>();
  /** Hosts that have the network set up. */
  readonly hosts = new Set<string>();
  /** The revision that each host with an agent of ours has applied. */
  readonly applied = new Map<string, number>();
  readonly #byAddress = new Holders();
  readonly #byMac = new Holders();

  set(id: string, after: Endpoint | undefined): void {
    const before = this.endpoints.get(id);
    if (before) {
      this.#byAddress.remove(before.address?.toString(), before);
      this.#byMac.remove(before.mac, before);
    }
    if (after) {
      this.#byAddress.add(after.address?.toString(), after);
      this.#byMac.add(after.mac, after);
      this.endpoints.set(id, after);
    } else this.endpoints.delete(id);
  }

  /** Who has the address, the oldest first; old agents may have given it twice. */
  holdersOf(address: Ip | string): readonly Endpoint[] {
    return this.#byAddress.get(address.toString());
  }

  holdersOfMac(mac: string): readonly Endpoint[] {
    return this.#byMac.get(mac);
  }

  /** Hosts that run an old agent, which publishes no applied revision; sorted. */
  oldHosts(): string[] {
    return [...this.hosts].filter((host) => !this.applied.has(host)).sort();
  }

  /** Hosts of ours that have not applied the revision yet, sorted. */
  hostsBehind(revision: number): string[] {
    return [...this.hosts].filter((host) => (this.applied.get(host) ?? Infinity) < revision).sort();
  }

  get empty(): boolean {
    return this.endpoints.size + this.hosts.size + this.applied.size === 0;
  }
}

class Holders {
  readonly #of = new Map<string, Endpoint[]>();

  get(value: string): readonly Endpoint[] {
    return this.#of.get(value) ?? [];
  }

  add(value: string | undefined, endpoint: Endpoint): void {
    if (value === undefined) return;
    this.#of.set(value, [...this.get(value), endpoint].sort(older));
  }

  remove(value: string | undefined, endpoint: Endpoint): void {
    if (value === undefined) return;
    const left = this.get(value).filter(({ id }) => id !== endpoint.id);
    if (left.length) this.#of.set(value, left);
    else this.#of.delete(value);
  }
}

/** The order in which endpoints were made, the same on every host. */
export function older(a: Endpoint, b: Endpoint): number {
  return a.created - b.created || (a.id < b.id ? -1 : 1);
}
