/** Searches for addresses that no client has had before, for the time while clocks disagree. */
import type { Offered } from "../nex/leases.ts";

/** The most addresses that are examined for one client; the next client's search goes on from there. */
const MOST = 1024;

/**
 * Finds addresses that no client has had before: while clocks disagree, no others are given. The addresses that have been used
 * only become more, so each is passed over once and not again for every client.
 */
export class Unused {
  /** By network: every free address below this one has been used by some client. */
  readonly #from = new Map<string, number>();

  /** To be called once clocks agree: by the next time that they do not, records of former leases may have been removed. */
  forget(): void {
    if (this.#from.size) this.#from.clear();
  }

  /**
   * The addresses not to offer while clocks disagree, for one search: those in `held`, and those that have been used. A search
   * that finds none within the bound ends with an address that has been used.
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
        // Before the search, the address that the client had or asks for is tried.
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
