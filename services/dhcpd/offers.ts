/** Remembers the addresses that were offered a moment ago, so that no other client is offered them meanwhile. */
import { fnv1a } from "../common/hash.ts";
import type { Offered } from "../nex/leases.ts";
import { Unused } from "./unused.ts";

/** How long an offered address is reserved for its client, in seconds. */
const HELD_SECONDS = 30;
/** The most offers that are remembered. */
const MOST = 32_768;
/** The most offered addresses that one search passes over; after that an address may be offered twice. */
const MOST_PASSED = 256;
/** Over how many addresses offers are spread after the first lost race, by what factor that grows with each, and for how long. */
const SPREAD = 64, WIDER = 8, WIDEST = 1 << 20, SPREAD_SECONDS = 60;

/** The addresses at which searches for a free one begin in a network. */
interface Search {
  /** The address after the one that was found last: those before it were offered a moment ago. */
  next: number;
  /** A search begins on one of this many addresses, chosen by the client's key. */
  spread: number;
  spreadUntil: number;
}

/**
 * The addresses that this process has offered in the last seconds, so that two clients which ask at the same time are offered
 * different ones. Which client gets an address is decided by etcd when it is requested.
 *
 * The lowest free address is offered first. Replicas that offer at the same time would all offer that one: a process that has
 * lost such a race spreads its offers for a while.
 */
export class Offers {
  /** The addresses that may be given while clocks disagree. */
  readonly unused = new Unused();
  /** Oldest first. */
  readonly #byClient = new Map<string, { address: number; until: number }>();
  readonly #byAddress = new Map<number, string>();
  readonly #searches = new Map<string, Search>();
  #client = "";
  #search: Search = { next: 0, spread: 0, spreadUntil: 0 };
  #hasSearched = false;
  #passed = 0;
  #now = 0;

  /** The addresses that are offered to clients other than the one last named; the object is valid until the next call. */
  readonly #excluding: Offered = {
    has: (address) => {
      const client = this.#byAddress.get(address);
      return client !== undefined && client !== this.#client && ++this.#passed <= MOST_PASSED;
    },
    begin: (lowest, end) => {
      const { next, spread, spreadUntil } = this.#search;
      this.#hasSearched = true;
      if (spreadUntil <= this.#now) return Math.max(lowest, next);
      return lowest + fnv1a(this.#client) % Math.max(1, Math.min(spread, end - lowest + 1));
    },
  };

  get size(): number {
    return this.#byClient.size;
  }

  /** The offers to other clients than `client` at `now` (seconds); valid until the next call. */
  excluding(client: string, network: string, now: number): Offered {
    for (const [other, { until }] of this.#byClient) {
      if (until > now && this.#byClient.size <= MOST) break;
      this.drop(other);
    }
    this.#client = client;
    this.#now = now;
    this.#search = this.#searchIn(network);
    // With no offer left, the search is for the lowest address again.
    if (this.#byClient.size === 0) this.#search.next = 0;
    this.#hasSearched = false;
    this.#passed = 0;
    return this.#excluding;
  }

  /** Reserves an address for the client that {@link excluding} was called for. */
  hold(client: string, address: number, now: number): void {
    this.drop(client);
    const other = this.#byAddress.get(address);
    if (other !== undefined) this.#byClient.delete(other);
    this.#byClient.set(client, { address, until: now + HELD_SECONDS });
    this.#byAddress.set(address, client);
    if (this.#hasSearched) this.#search.next = address + 1;
  }

  /** The address that is reserved for a client. */
  heldBy(client: string): number | undefined {
    return this.#byClient.get(client)?.address;
  }

  /** Another client got the address that was offered here, so another replica gives addresses of this network too. */
  lost(client: string, network: string, now: number): void {
    this.drop(client);
    const search = this.#searchIn(network);
    const running = search.spreadUntil > now;
    search.spread = running ? Math.min(search.spread * WIDER, WIDEST) : SPREAD;
    search.spreadUntil = now + SPREAD_SECONDS;
  }

  /** Forgets a client's offer: it took the address, or another server's offer. */
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
