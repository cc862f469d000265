/** How long an offered address is kept for the client that it was offered to, in seconds. */
const HELD_SECONDS = 30;
/** So many offers are remembered at most: each is one more address that a search may have to pass over. */
const MOST = 2048;

/**
 * Addresses offered a moment ago, in this process only: two clients that ask at the same time are offered different
 * ones. It steers offers; which client gets the address is decided by the store when they request it.
 */
export class Offers {
  /** Oldest first. */
  readonly #byMac = new Map<string, { address: number; until: number }>();
  readonly #byAddress = new Map<number, string>();
  #asking = "";

  /** True for an address that is kept for another client than the one last named to {@link busyFor}. */
  readonly #busy = (address: number): boolean => {
    const mac = this.#byAddress.get(address);
    return mac !== undefined && mac !== this.#asking;
  };

  get size(): number {
    return this.#byMac.size;
  }

  /** What not to offer to `mac` at `now` (seconds); holds until the next call. */
  busyFor(mac: string, now: number): (address: number) => boolean {
    for (const [other, { until }] of this.#byMac) {
      if (until > now && this.#byMac.size <= MOST) break;
      this.drop(other);
    }
    this.#asking = mac;
    return this.#busy;
  }

  hold(mac: string, address: number, now: number): void {
    this.drop(mac);
    const other = this.#byAddress.get(address);
    if (other !== undefined) this.#byMac.delete(other);
    this.#byMac.set(mac, { address, until: now + HELD_SECONDS });
    this.#byAddress.set(address, mac);
  }

  /** The client took it, or another server's. */
  drop(mac: string): void {
    const held = this.#byMac.get(mac);
    if (!held) return;
    this.#byMac.delete(mac);
    this.#byAddress.delete(held.address);
  }
}
