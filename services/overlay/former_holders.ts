/** Remembers which client had each free address of a network last, so that it gets the address again while that is free. */
import type { FormerAddressRecord } from "../store/sand_records.ts";

/** Both ways; without any, as in most networks, it takes no memory. */
export class FormerHolders {
  #byAddress: Map<string, string> | undefined;
  #byMac: Map<string, string> | undefined;

  get size(): number {
    return this.#byAddress?.size ?? 0;
  }

  /** The MAC of the client that had a free address last. */
  of(address: string): string | undefined {
    return this.#byAddress?.get(address);
  }

  /** The free address that a client had last. */
  addressOf(mac: string): string | undefined {
    return this.#byMac?.get(mac);
  }

  set(address: string, after: FormerAddressRecord | undefined): void {
    const before = this.of(address);
    if (before !== undefined && this.#byMac?.get(before) === address) this.#byMac.delete(before);
    if (after) {
      (this.#byAddress ??= new Map()).set(address, after.mac);
      (this.#byMac ??= new Map()).set(after.mac, address);
    } else this.#byAddress?.delete(address);
  }
}
