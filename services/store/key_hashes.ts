/** A set of the keys of a listing by their hashes, which are a tenth of the keys. */

/**
 * A set of keys that can tell whether a key was added. Of each it has a hash of 64 bits, seeded at random: a key that was not added
 * counts as added once in some 10^19 / n times, where n keys are in it. The table is outside V8's heap.
 */
export class KeyHashes {
  readonly #seeds = crypto.getRandomValues(new Uint32Array(2));
  /** Pairs of 32-bit halves, open addressing with linear probing; both 0: free. At most half of them are used. */
  #table = new Uint32Array(2 * 1024);
  #size = 0;
  #high = 0;
  #low = 0;

  add(key: string): void {
    this.#hash(key);
    const at = this.#place(this.#table, this.#high, this.#low);
    if (this.#table[at] || this.#table[at + 1]) return;
    this.#table[at] = this.#high;
    this.#table[at + 1] = this.#low;
    if (4 * ++this.#size > this.#table.length) this.#grow();
  }

  has(key: string): boolean {
    this.#hash(key);
    const at = this.#place(this.#table, this.#high, this.#low);
    return this.#table[at] !== 0 || this.#table[at + 1] !== 0;
  }

  #grow(): void {
    const before = this.#table, table = new Uint32Array(2 * before.length);
    for (let i = 0; i < before.length; i += 2) {
      const high = before[i] ?? 0, low = before[i + 1] ?? 0;
      if (!high && !low) continue;
      const at = this.#place(table, high, low);
      table[at] = high;
      table[at + 1] = low;
    }
    this.#table = table;
  }

  /** The index of that hash, or of the free place where it belongs. */
  #place(table: Uint32Array, high: number, low: number): number {
    const last = table.length - 1;
    let at = 2 * low & last;
    while ((table[at] !== high || table[at + 1] !== low) && (table[at] || table[at + 1])) at = at + 2 & last;
    return at;
  }

  /** Two multiplicative hashes, each mixed with the other one at the end (fmix32 of MurmurHash3). */
  #hash(key: string): void {
    let [high = 0, low = 0] = this.#seeds;
    for (let i = 0; i < key.length; i++) {
      const code = key.charCodeAt(i);
      high = Math.imul(high ^ code, 0x9e3779b1);
      low = Math.imul(low ^ code, 0x5f356495) + high;
    }
    this.#high = mix(high ^ key.length);
    // Both 0 is what a free place has.
    this.#low = mix(low ^ this.#high) || 1;
  }
}

function mix(hash: number): number {
  hash = Math.imul(hash ^ hash >>> 16, 0x85ebca6b);
  hash = Math.imul(hash ^ hash >>> 13, 0xc2b2ae35);
  return (hash ^ hash >>> 16) >>> 0;
}
