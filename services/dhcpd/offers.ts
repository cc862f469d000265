import type { Offered } from "../nex/leases.ts";
import { Unused } from "./unused.ts";

/** How long an offered address is kept for the client that it was offered to, in seconds. */
const HELD_SECONDS = 30;
/** So many offers are remembered at most. */
const MOST = 32_768;
/** So many offered addresses are passed over in one search; then an address may be offered twice. */
const MOST_PASSED = 256;
/** Over how many addresses offers are spread after the first lost race, how much wider after each, and for how long. */
const SPREAD = 64, WIDER = 8, WIDEST = 1 << 20, SPREAD_SECONDS = 60;

/** How the searches in one network go. */
interface Search {
  /** Behind the address that was found last: those before it were offered a moment ago. */
  next: number;
  /** Searches begin, by the client, on one of so many addresses. */
  spread: number;
  spreadUntil: number;
}

/**
 * Addresses offered a moment ago, in this process only: two clients (MACs, each in one network) that ask at the same time
 * are offered different ones. It steers offers; which client gets the address is decided by the store when they request it.
 *
 * The lowest free address comes first. Of replicas that offer at the same time, all would offer that one: where this
 * process has lost such a race, it spreads its offers for a while.
 */
export class Offers {
  /** For while clocks disagree. */
  readonly unused = new Unused();
  /** Oldest first. */
  readonly #byClient = new Map<string, { address: number; until: number }>();
  readonly #byAddress = new Map<number, string>();
  readonly #searches = new Map<string, Search>();
  #asking = "";
  #search: Search = { next: 0, spread: 0, spreadUntil: 0 };
  #searched = false;
  #passed = 0;
  #now = 0;

  /** What is offered to others than the client last named; one object, for use at once. */
  readonly #excluding: Offered = {
    has: (address) => {
      const client = this.#byAddress.get(address);
      return client !== undefined && client !== this.#asking && ++this.#passed <= MOST_PASSED;
    },
    begin: (lowest, end) => {
      const { next, spread, spreadUntil } = this.#search;
      this.#searched = true;
      if (spreadUntil <= this.#now) return Math.max(lowest, next);
      return lowest + hash(this.#asking) % Math.max(1, Math.min(spread, end - lowest + 1));
    },
  };

  get size(): number {
    return this.#byClient.size;
  }

  /** What not to offer to `client` at `now` (seconds); holds until the next call. */
  excluding(client: string, network: string, now: number): Offered {
    for (const [other, { until }] of this.#byClient) {
      if (until > now && this.#byClient.size <= MOST) break;
      this.drop(other);
    }
    this.#asking = client;
    this.#now = now;
    this.#search = this.#searchIn(network);
    // With no offer left, the search is for the lowest address again.
    if (this.#byClient.size === 0) this.#search.next = 0;
    this.#searched = false;
    this.#passed = 0;
    return this.#excluding;
  }

  /** Keeps an address for the client that {@link excluding} was asked for. */
  hold(client: string, address: number, now: number): void {
    this.drop(client);
    const other = this.#byAddress.get(address);
    if (other !== undefined) this.#byClient.delete(other);
    this.#byClient.set(client, { address, until: now + HELD_SECONDS });
    this.#byAddress.set(address, client);
    if (this.#searched) this.#search.next = address + 1;
  }

  /** The address that is kept for a client. */
  heldBy(client: string): number | undefined {
    return this.#byClient.get(client)?.address;
  }

  /** Somebody else got what a client was offered here: another replica is busy in this network. */
  lost(client: string, network: string, now: number): void {
    this.drop(client);
    const search = this.#searchIn(network);
    const running = search.spreadUntil > now;
    search.spread = running ? Math.min(search.spread * WIDER, WIDEST) : SPREAD;
    search.spreadUntil = now + SPREAD_SECONDS;
  }

  /** The client took it, or another server's. */
  drop(client: string): void {
    const held = this.#byClient.get(client);
    if (!held) return;
    this.#byClient.delete(client);
    this.#byAddress.delete(held.address);
  }

  #searchIn(network: string): Search {
    let search = this.#searches.get(network);
    if (!search) this.#searches.set(network, search = { next: 0, spread: 0, spreadUntil: 0 });
    return search;
  }
}

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
