import type { Offered } from "../nex/leases.ts";

/** How long an offered address is kept for the client that it was offered to, in seconds. */
const HELD_SECONDS = 30;
/** So many offers are remembered at most. */
const MOST = 32_768;
/** So many offered addresses are passed over in one search; then an address may be offered twice. */
const MOST_PASSED = 256;

/**
 * Addresses offered a moment ago, in this process only: two clients that ask at the same time are offered different
 * ones. It steers offers; which client gets the address is decided by the store when they request it.
 */
export class Offers {
  /** Oldest first. */
  readonly #byMac = new Map<string, { address: number; until: number }>();
  readonly #byAddress = new Map<number, string>();
  /** By network: behind the address that a search found last. Those before it were offered a moment ago. */
  readonly #next = new Map<string, number>();
  #asking = "";
  #network = "";
  #searched = false;
  #passed = 0;

  /** What is offered to others than the client last named; one object, for use at once. */
  readonly #besides: Offered = {
    has: (address) => {
      const mac = this.#byAddress.get(address);
      return mac !== undefined && mac !== this.#asking && ++this.#passed <= MOST_PASSED;
    },
    begin: () => {
      this.#searched = true;
      return this.#next.get(this.#network) ?? 0;
    },
  };

  get size(): number {
    return this.#byMac.size;
  }

  /** What not to offer to `mac` at `now` (seconds); holds until the next call. */
  besides(mac: string, network: string, now: number): Offered {
    for (const [other, { until }] of this.#byMac) {
      if (until > now && this.#byMac.size <= MOST) break;
      this.drop(other);
    }
    // With no offer left, the search is for the lowest address again.
    if (this.#byMac.size === 0) this.#next.clear();
    this.#asking = mac;
    this.#network = network;
    this.#searched = false;
    this.#passed = 0;
    return this.#besides;
  }

  /** Keeps an address for the client that {@link besides} was asked for. */
  hold(mac: string, address: number, now: number): void {
    this.drop(mac);
    const other = this.#byAddress.get(address);
    if (other !== undefined) this.#byMac.delete(other);
    this.#byMac.set(mac, { address, until: now + HELD_SECONDS });
    this.#byAddress.set(address, mac);
    if (this.#searched) this.#next.set(this.#network, address + 1);
  }

  /** The address that is kept for a client. */
  heldBy(mac: string): number | undefined {
    return this.#byMac.get(mac)?.address;
  }

  /** The client took it, or another server's. */
  drop(mac: string): void {
    const held = this.#byMac.get(mac);
    if (!held) return;
    this.#byMac.delete(mac);
    this.#byAddress.delete(held.address);
  }
}
