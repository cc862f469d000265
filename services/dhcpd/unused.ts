import type { Offered } from "../nex/leases.ts";

/** So many addresses are looked at for one client; the next one's search goes on from there. */
const MOST = 1024;

/**
 * Finds addresses that no client has had, which alone are given while clocks disagree. Addresses of the past only become
 * more, so each is passed over once, not again for every client.
 */
export class Unused {
  /** By network: every free address below has been some client's. */
  readonly #from = new Map<string, number>();

  /** Clocks agree again: by the next time records of the past may have been removed. */
  forget(): void {
    this.#from.clear();
  }

  /**
   * What not to offer while clocks disagree, for one search. Where that finds nothing in time, it ends with an address that
   * has been used.
   */
  excluding(held: Offered, network: string, isUnused: (address: number) => boolean): Offered {
    let from = this.#from.get(network) ?? 0, left = MOST;
    let searching = false, contiguous = true;
    return {
      begin: (lowest) => {
        searching = true;
        return Math.max(lowest, from);
      },
      has: (address) => {
        // Before the search, an address that the client had or wishes for is looked at.
        if (!searching) return held.has(address) || !isUnused(address);
        if (address < from || left-- <= 0) return false;
        if (isUnused(address)) {
          contiguous &&= !held.has(address);
          return held.has(address);
        }
        if (contiguous) this.#from.set(network, from = address + 1);
        return true;
      },
    };
  }
}
