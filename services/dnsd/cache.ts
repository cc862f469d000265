/** The forwarder's cache: answers of resolvers by question, until their TTLs have run out. */
import { read16 } from "../common/bytes.ts";
import { ageTtls, type Layout, rcodeOf } from "./message.ts";
import { RCODE } from "./wire.ts";

/** A resolver's answer, without its OPT. */
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
/** Roughly the memory that an entry takes beside its octets. */
const OVERHEAD = 400;

/** Answers by question until their TTLs have run out; the least recently used ones make room for new ones. */
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

  /** An answer, its TTLs reduced by its age. */
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

  /** Caches an answer for its TTL, if it may be cached at all. */
  put(key: string, { message, layout }: Cached): void {
    const negative = read16(message, 6) === 0 || rcodeOf(message) !== RCODE.NOERROR;
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
