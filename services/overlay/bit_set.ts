/**
 * The bit set in which SAND's agents keep the addresses of a network that are taken: bit i is the i-th address of
 * the range. Stored as base64url (with padding) of the length in bits, 8 bytes big-endian, and then the words, 8 bytes
 * big-endian each: bit i is in word i/64 at position i%64.
 */

const HEAD = 8;

/** A set of bits in its stored form: 4 million bits (a /10) take half a megabyte. */
export class BitSet {
  private constructor(readonly length: number, readonly bytes: Uint8Array<ArrayBuffer>) {}

  /** `length` bits, none of them set. */
  static empty(length: number): BitSet {
    return new BitSet(length, new Uint8Array(Math.ceil(length / 64) * 8));
  }

  /** Reads the stored text. Throws Error when it is none. */
  static decode(text: string): BitSet {
    let stored: Uint8Array<ArrayBuffer>;
    try {
      stored = Uint8Array.fromBase64(text, { alphabet: "base64url", lastChunkHandling: "strict" });
    } catch (error) {
      throw new Error("bit_set: not base64url with padding", { cause: error });
    }
    const length = stored.length < HEAD ? -1n : new DataView(stored.buffer).getBigUint64(0);
    if (BigInt(stored.length - HEAD) !== (length + 63n) / 64n * 8n) {
      throw new Error(`bit_set: ${stored.length} bytes are not those of ${length} bits`);
    }
    return new BitSet(Number(length), stored.slice(HEAD));
  }

  /** The text to store. */
  encode(): string {
    const stored = new Uint8Array(HEAD + this.bytes.length);
    new DataView(stored.buffer).setBigUint64(0, BigInt(this.length));
    stored.set(this.bytes, HEAD);
    return stored.toBase64({ alphabet: "base64url" });
  }

  copy(): BitSet {
    return new BitSet(this.length, this.bytes.slice());
  }

  has(i: number): boolean {
    return i < this.length && ((this.bytes[byteOf(i)] ?? 0) & (1 << (i & 7))) !== 0;
  }

  add(i: number): void {
    if (i < this.length) this.bytes[byteOf(i)] = (this.bytes[byteOf(i)] ?? 0) | (1 << (i & 7));
  }

  delete(i: number): void {
    if (i < this.length) this.bytes[byteOf(i)] = (this.bytes[byteOf(i)] ?? 0) & ~(1 << (i & 7));
  }

  /** The lowest bit from `from` on that is not set; undefined when all are. */
  firstClear(from = 0): number | undefined {
    for (let i = from; i < this.length; i++) {
      // A byte of ones can be skipped in any bit order.
      while ((i & 7) === 0 && i < this.length && this.bytes[byteOf(i)] === 255) i += 8;
      if (i < this.length && !this.has(i)) return i;
    }
    return undefined;
  }

  /** Every bit that is set, in order. */
  *ones(): Generator<number> {
    for (let i = 0; i < this.length; i++) {
      while ((i & 7) === 0 && i < this.length && this.bytes[byteOf(i)] === 0) i += 8;
      if (this.has(i)) yield i;
    }
  }

  equals(other: BitSet): boolean {
    return this.length === other.length && this.bytes.every((byte, i) => byte === other.bytes[i]);
  }
}

/** Within its word, bit i is in the byte i/8 from the end. */
function byteOf(i: number): number {
  return (i >> 3) ^ 7;
}
