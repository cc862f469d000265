/** The IPv4 addresses of one space that are in use. */
import { Ip } from "../common/ip.ts";
import type { Network } from "./network.ts";

/** IPv4 addresses in use, as 32-bit values, and where in each network's range a search for a free one begins. */
export class UsedAddresses {
  /** How many records hold each. */
  readonly #counts = new Map<number, number>();
  /** By network: no address of its range below this one is free. */
  readonly #lowest = new Map<string, number>();

  constructor(private readonly network: (name: string) => Network | undefined) {}

  has(address: number): boolean {
    return this.#counts.has(address);
  }

  /** The address at which a search for the lowest free one of the network's range starts. */
  lowest(network: Network): number {
    const begin = network.range4?.begin ?? 0;
    let low = Math.max(this.#lowest.get(network.name) ?? begin, begin);
    while (network.range4 && low <= network.range4.end && this.#counts.has(low)) low++;
    this.#lowest.set(network.name, low);
    return low;
  }

  /** To be called when a network has changed. */
  forgetNetwork(name: string): void {
    this.#lowest.delete(name);
  }

  /** Counts one more record with the address; an address that is not IPv4 is ignored. */
  add(address: string): void {
    const ip = Ip.tryParse(address);
    if (ip?.family === 4) this.#counts.set(ip.u32, (this.#counts.get(ip.u32) ?? 0) + 1);
  }

  /** Counts one record less with the address. */
  remove(address: string): void {
    const ip = Ip.tryParse(address);
    if (ip?.family !== 4) return;
    const count = (this.#counts.get(ip.u32) ?? 0) - 1;
    if (count > 0) {
      this.#counts.set(ip.u32, count);
      return;
    }
    this.#counts.delete(ip.u32);
    for (const [name, low] of this.#lowest) {
      if (ip.u32 < low && ip.u32 >= (this.network(name)?.range4?.begin ?? Infinity)) {
        this.#lowest.set(name, ip.u32);
      }
    }
  }
}
