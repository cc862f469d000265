/**
 * Names and their records in one flat block of shared memory: one isolate writes, any number read, no locks.
 *
 * A name's record is never changed once readers can find it: a change writes a new record and swaps it in with one
 * atomic store. The old record's memory is used again once every reader has been outside of a lookup since then
 * (epochs, as in RCU). When memory or slots run out, everything is copied to a new block, which the readers are
 * given; the old block stays as it is for readers that still use it.
 *
 * Block, in 32-bit words: header · hash slots (0 free, 1 deleted, else where a record begins) · zones (where the
 * apex's record begins, by zone number) · records. Record: hash · zone · name's length, number of RRsets << 8 ·
 * name (wire format, lower case) · RRsets, each: type << 16 | count · octets · the RRs as they go on the wire
 * behind their owner's name.
 */
import { LOWER } from "./wire.ts";

/** The values of slots without a record. */
export const FREE = 0, DELETED = 1;
/** Words of a block's header, and of a record's. */
export const MASK = 0, ZONES = 1, ZONE_CAPACITY = 2, SEED = 3, SLOTS = 8, RECORD_HEADER = 3;
/** Words of {@link Epochs}: 0 is the epoch, the readers' begin here. */
export const READER = 1, MAX_READERS = 16;

/** Memory that readers and the writer share for the table's whole life: word 0 is the epoch, then one word per reader. */
export type Epochs = Int32Array<SharedArrayBuffer>;

/** For a new table: the first epoch, and no reader in any. */
export function newEpochs(): Epochs {
  const epochs = new Int32Array(new SharedArrayBuffer(4 * (READER + MAX_READERS)));
  epochs[0] = 1;
  return epochs;
}

/** A reader's side: `enter` before a batch of lookups, `leave` before it sleeps. */
export class ReaderEpoch {
  readonly #epochs: Epochs;
  readonly #slot: number;

  /** @param reader 0 to 15, each used by one thread at a time */
  constructor(epochs: Epochs, reader: number) {
    if (reader < 0 || reader >= MAX_READERS) {
      throw new RangeError(`reader ${reader}: there are ${MAX_READERS}`);
    }
    this.#epochs = epochs;
    this.#slot = READER + reader;
  }

  enter(): void {
    Atomics.store(this.#epochs, this.#slot, Atomics.load(this.#epochs, 0));
  }

  leave(): void {
    Atomics.store(this.#epochs, this.#slot, 0);
  }
}

/** Adds one label's octets to a hash. Labels are added from the root on, so that a name's hash extends its parent's. */
export function hashLabel(hash: number, octets: Uint8Array, from: number, to: number): number {
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ LOWER[octets[i]!]!, 0x01000193);
  return hash;
}

/** Reads a block. Record positions that it gives hold until the reader's `leave` or next `enter`. */
export class TableReader {
  readonly words: Int32Array<SharedArrayBuffer>;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly seed: number;
  readonly #mask: number;
  readonly #zones: number;

  constructor(readonly block: SharedArrayBuffer) {
    this.words = new Int32Array(block);
    this.bytes = new Uint8Array(block);
    this.seed = this.words[SEED]!;
    this.#mask = this.words[MASK]!;
    this.#zones = this.words[ZONES]!;
  }

  /** The record of the name at `name[from]`, `length` octets in lower case; 0 when there is none. */
  find(hash: number, name: Uint8Array, from: number, length: number): number {
    const words = this.words, mask = this.#mask;
    for (let i = spread(hash) & mask;; i = (i + 1) & mask) {
      const record = Atomics.load(words, SLOTS + i);
      if (record === FREE) return 0;
      if (record !== DELETED && words[record] === hash && this.#same(record, name, from, length)) {
        return record;
      }
    }
  }

  #same(record: number, name: Uint8Array, from: number, length: number): boolean {
    if ((this.words[record + 2]! & 255) !== length) return false;
    const bytes = this.bytes, at = (record + RECORD_HEADER) << 2;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== name[from + i]) return false;
    return true;
  }

  /** The record of the apex of the zone that a record is in; 0 when the zone has just gone. */
  apexOf(record: number): number {
    return Atomics.load(this.words, this.#zones + this.words[record + 1]!);
  }

  nameLength(record: number): number {
    return this.words[record + 2]! & 255;
  }

  /** The position of a record's RRset of `type` (-1: its first one, of any type); 0 when it has none. */
  rrset(record: number, type: number): number {
    const words = this.words;
    const head = words[record + 2]!;
    let at = record + RECORD_HEADER + (((head & 255) + 3) >> 2);
    for (let left = head >> 8; left > 0; left--) {
      if (type < 0 || (words[at]! >>> 16) === type) return at;
      at += 2 + ((words[at + 1]! + 3) >> 2);
    }
    return 0;
  }

  rrsetCount(rrset: number): number {
    return this.words[rrset]! & 0xffff;
  }

  /** Octets of all RRs of an RRset, without their owner names. */
  rrsetLength(rrset: number): number {
    return this.words[rrset + 1]!;
  }

  /** The offset at which the RRs begin, in octets: each is type, class, TTL, RDLENGTH, RDATA. */
  rrsetBytes(rrset: number): number {
    return (rrset + 2) << 2;
  }
}

/** Mixes the upper bits of a hash into those that choose its slot. */
export function spread(hash: number): number {
  return hash ^ (hash >>> 15);
}

/** The hash of a whole name on the wire. */
export function hashName(seed: number, name: Uint8Array): number {
  const starts: number[] = [];
  for (let at = 0; (name[at] ?? 0) !== 0; at += (name[at] ?? 0) + 1) starts.push(at);
  let hash = seed;
  for (const at of starts.reverse()) hash = hashLabel(hash, name, at, at + (name[at] ?? 0) + 1);
  return hash;
}
