/**
 * Addresses that endpoints may use beside their own. Several endpoints may use one, as routers do by VRRP (RFC 9568),
 * and one of them holds it at a time. The holder is published by its host, which sees its ARP: see
 * services/agent/reconcile/held_addresses.ts.
 */
import { Ip } from "../common/ip.ts";
import type { OverlayEndpoint } from "./overlay_endpoint.ts";
import { macNumber } from "./state.ts";
import type { NetworkChange } from "./network_change.ts";

/** The data by which other hosts reach an address. */
export interface HeldAddress {
  readonly address: number;
  readonly mac: number;
  /** The endpoint that has it. */
  readonly endpoint: OverlayEndpoint;
}

/** The allowed addresses of one network. */
export class AllowedAddresses {
  /** Endpoints by the 32-bit value of an address that they may use. */
  readonly #endpoints = new Map<number, Map<string, OverlayEndpoint>>();
  /** Ids of endpoints by the 32-bit value of the address that they have now. */
  readonly #holders = new Map<number, string>();

  /** How many addresses are held. */
  get held(): number {
    return this.#holders.size;
  }

  /** Replaces what one endpoint may use. */
  set(before: OverlayEndpoint | undefined, after: OverlayEndpoint | undefined): void {
    for (const { address } of allowedOf(before)) {
      const its = this.#endpoints.get(address);
      its?.delete(before?.id ?? "");
      if (its?.size === 0) this.#endpoints.delete(address);
    }
    if (!after) return;
    for (const { address } of allowedOf(after)) {
      const its = this.#endpoints.get(address) ?? new Map();
      this.#endpoints.set(address, its.set(after.id, after));
    }
  }

  setHolder(text: string, endpoint: string | undefined): void {
    const address = Ip.tryParse(text);
    if (address?.family !== 4) return;
    if (endpoint === undefined) this.#holders.delete(address.u32);
    else this.#holders.set(address.u32, endpoint);
  }

  /** The endpoints that may use an address, by its 32-bit value. */
  at(address: number): Iterable<OverlayEndpoint> {
    return this.#endpoints.get(address)?.values() ?? [];
  }

  /** @param without Endpoints that do not count. */
  isAllowed(address: number, without: ReadonlySet<string> = new Set()): boolean {
    for (const { id } of this.at(address)) if (!without.has(id)) return true;
    return false;
  }

  /** Each address, as a 32-bit value. */
  all(): Iterable<number> {
    return this.#endpoints.keys();
  }

  /** The id of the endpoint that has an address, also of one that may no longer use it. */
  holderOf(address: number): string | undefined {
    return this.#holders.get(address);
  }

  /** The addresses that active endpoints have which may use them. */
  *reachable(): Generator<HeldAddress> {
    for (const [address, id] of this.#holders) {
      const endpoint = this.#endpoints.get(address)?.get(id);
      if (!endpoint?.active) continue;
      const mac = allowedOf(endpoint).find((its) => its.address === address)?.mac ?? endpoint.mac;
      if (mac !== undefined) yield { address, mac: macNumber(mac), endpoint };
    }
  }
}

/** True for changes that affect more than the entries of one endpoint: the network's record, and allowed or held addresses. */
export function concernsWhole({ kinds, endpoints }: Pick<NetworkChange, "kinds" | "endpoints">): boolean {
  return kinds.has("network") || kinds.has("held") ||
    endpoints.some(({ before, after }) => before?.record.strand_allowed ?? after?.record.strand_allowed);
}

/** The addresses that an endpoint may use, as 32-bit values. */
export function allowedOf(
  endpoint: OverlayEndpoint | undefined,
): readonly { readonly address: number; readonly mac?: string | undefined }[] {
  const { strand_allowed: allowed } = endpoint?.record ?? {};
  return (allowed ?? []).map(({ address, mac }) => ({ address: Ip.parse(address).u32, mac }));
}
