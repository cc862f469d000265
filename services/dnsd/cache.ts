import { ageTtls, type Layout } from "./message.ts";

/** What a resolver answered, without its OPT. */
export interface Cached {
  readonly message: Uint8Array;
  readonly layout: Layout;
}

interface Slot extends Cached {
  readonly stored: number;
  readonly expires: number;
  readonly cost: number;
}

/** RFC 2308 §5 and RFC 8767 §4 as upper bounds, in seconds. */
const POSITIVE_MAX = 86_400, NEGATIVE_MAX = 10_800;
/** What an entry takes beside its octets, about. */
const OVERHEAD = 400;

/** Answers by question until their TTL has run out; the ones not asked for longest make room. */
export class Cache {
  readonly #slots = new Map<string, Slot>();
  readonly #max: number;
  readonly #now: () => number;
  #cost = 0;

  /**
   * @param max octets, about
   * @param now milliseconds
   */
  constructor(max: number, now: () => number) {
    this.#max = max;
    this.#now = now;
  }

  get size(): number {
    return this.#slots.size;
  }

  /** An answer whose TTLs are what is left of them. */
  get(key: string): Cached | undefined {
    const slot = this.#slots.get(key);
    if (!slot) return undefined;
    const now = this.#now();
    this.#slots.delete(key);
    if (now >= slot.expires) {
      this.#cost -= slot.cost;
      return undefined;
    }
    this.#slots.set(key, slot);
    const message = slot.message.slice();
    ageTtls(message, slot.layout.ttls, Math.floor((now - slot.stored) / 1000));
    return { message, layout: slot.layout };
  }

  /** Keeps an answer for as long as its TTL says, if at all. */
  put(key: string, { message, layout }: Cached): void {
    const answers = ((message[6] ?? 0) << 8) | (message[7] ?? 0);
    const negative = answers === 0 || ((message[3] ?? 0) & 15) !== 0;
    // No SOA, no negative caching: RFC 2308 §5.
    if (negative && !layout.soa) return;
    const ttl = Math.min(layout.ttl, negative ? NEGATIVE_MAX : POSITIVE_MAX);
    if (ttl === 0) return;
    this.#remove(key);
    const cost = message.length + 2 * key.length + 8 * layout.ttls.length + OVERHEAD;
    const stored = this.#now();
    this.#slots.set(key, { message, layout, stored, expires: stored + ttl * 1000, cost });
    this.#cost += cost;
    while (this.#cost > this.#max) {
      const [oldest] = this.#slots.keys();
      if (oldest === undefined) break;
      this.#remove(oldest);
    }
  }

  #remove(key: string): void {
    const slot = this.#slots.get(key);
    if (!slot) return;
    this.#slots.delete(key);
    this.#cost -= slot.cost;
  }
}
