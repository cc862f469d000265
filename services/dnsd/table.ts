/**
 * Names and their records in one flat block of shared memory: one isolate writes, any number read, no locks.
 *
 * A name's record is never changed once it can be seen: a change writes a new one and swaps it in with one
 * atomic store. The old one's memory is used again once every reader has been seen outside of a lookup since
 * (epochs, as in RCU). When memory or slots run out, everything moves to a new block, which the readers are
 * handed; the old one stays as it is for those who still read it.
 *
 * Block, in 32-bit words: header · hash slots (0 free, 1 deleted, else where a record begins) · zones (where the
 * apex's record begins, by zone number) · records. Record: hash · zone · name's length, number of RRsets << 8 ·
 * name (wire format, lower case) · RRsets, each: type << 16 | count · octets · the RRs as they go on the wire
 * behind their owner's name.
 */
import { LOWER } from "./wire.ts";

/** Records of one type: `records` are RDATA on the wire, names in it uncompressed. TTL in seconds. */
export interface Rrset {
  readonly type: number;
  readonly ttl: number;
  readonly records: readonly Uint8Array[];
}

const FREE = 0, DELETED = 1;
const MASK = 0, ZONES = 1, ZONE_CAPACITY = 2, SEED = 3, SLOTS = 8;
const RECORD_HEADER = 3;
const MAX_READERS = 16;
const READER = 1;

/** What readers and the writer share beside the block, for its whole life: word 0 the epoch, then one per reader. */
export type Epochs = Int32Array<SharedArrayBuffer>;

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

/** Goes on with a name's hash by one label's octets, from the root's side: a name's hash holds its parents' too. */
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

  /** Where a record's RRset of `type` begins (-1: its first one, whatever it is); 0 when it has none. */
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

  /** Where the RRs begin, in octets: each is type, class, TTL, RDLENGTH, RDATA. */
  rrsetBytes(rrset: number): number {
    return (rrset + 2) << 2;
  }
}

function spread(hash: number): number {
  return hash ^ (hash >>> 15);
}

interface Retired {
  record: number;
  size: number;
  epoch: number;
}

/** The writing side. One isolate only. */
export class TableWriter {
  readonly epochs: Epochs = newEpochs();
  readonly #seed = crypto.getRandomValues(new Int32Array(1))[0] ?? 0;
  readonly #onBlock: (block: SharedArrayBuffer) => void;
  #reader: TableReader;
  #slots = 0;
  #zoneCapacity = 0;
  /** Slots that are not free: living and deleted ones. */
  #used = 0;
  #living = 0;
  /** Words that living records take. */
  #livingWords = 0;
  #next = 0;
  #free = new Map<number, number[]>();
  #retired: Retired[] = [];

  /** @param onBlock called with every new block but the first: readers must be handed it */
  constructor(onBlock: (block: SharedArrayBuffer) => void = () => {}) {
    this.#onBlock = onBlock;
    this.#reader = this.#newBlock(1 << 10, 64, 1 << 14);
  }

  /** A reader of the present block for the writer's own isolate: needs no epoch, but must be asked for anew each time. */
  get reader(): TableReader {
    return this.#reader;
  }

  /** How many names there are, empty non-terminals included. */
  get size(): number {
    return this.#living;
  }

  /** Octets of the block. */
  get byteLength(): number {
    return this.#reader.block.byteLength;
  }

  /** Sets all records of a name. `apex`: the zone is its own. Zones are numbered from 0 by the caller. */
  set(name: Uint8Array, zone: number, rrsets: readonly Rrset[], apex = false): void {
    const octets = encode(rrsets);
    const size = RECORD_HEADER + ((name.length + 3) >> 2) + (octets.length >> 2);
    this.#makeRoom(size, zone);
    const hash = hashName(this.#seed, name);
    const { words, bytes } = this.#reader;
    const record = this.#allocate(size);
    words[record] = hash;
    words[record + 1] = zone;
    words[record + 2] = name.length | (rrsets.length << 8);
    bytes.fill(0, (record + RECORD_HEADER) << 2, (record + size) << 2);
    bytes.set(name, (record + RECORD_HEADER) << 2);
    bytes.set(octets, ((record + size) << 2) - octets.length);
    // The zone first: a name that can be seen always finds its zone's apex.
    if (apex) Atomics.store(words, (words[ZONES] ?? 0) + zone, record);
    const slot = this.#slotOf(hash, name);
    const old = words[slot] ?? FREE;
    Atomics.store(words, slot, record);
    this.#livingWords += size;
    if (old === FREE) this.#used++;
    if (old === FREE || old === DELETED) this.#living++;
    else this.#retire(old);
  }

  /** Forgets a name; nothing happens when it is unknown. */
  delete(name: Uint8Array): void {
    const { words } = this.#reader;
    const slot = this.#slotOf(hashName(this.#seed, name), name);
    const old = words[slot] ?? FREE;
    if (old === FREE || old === DELETED) return;
    Atomics.store(words, slot, DELETED);
    this.#living--;
    this.#retire(old);
  }

  /** Forgets a zone; names still in it are answered as if it were not ours. */
  deleteZone(zone: number): void {
    const { words } = this.#reader;
    if (zone < this.#zoneCapacity) Atomics.store(words, (words[ZONES] ?? 0) + zone, 0);
  }

  /** The slot that holds the name, or the one to put it in. */
  #slotOf(hash: number, name: Uint8Array): number {
    const { words } = this.#reader;
    const found = this.#reader.find(hash, name, 0, name.length);
    let deleted = -1;
    for (let i = spread(hash) & (this.#slots - 1);; i = (i + 1) & (this.#slots - 1)) {
      const record = words[SLOTS + i] ?? FREE;
      if (found ? record === found : record === FREE) {
        return SLOTS + (found || deleted < 0 ? i : deleted);
      }
      if (record === DELETED && deleted < 0) deleted = i;
    }
  }

  #allocate(size: number): number {
    const record = this.#free.get(size)?.pop();
    if (record !== undefined) return record;
    this.#next += size;
    return this.#next - size;
  }

  #retire(record: number): void {
    const size = this.#sizeOf(record);
    this.#livingWords -= size;
    // Whoever announces a later epoch than this began after the record was out of sight. Epochs are odd, so
    // that 0 stays "asleep" when they wrap round.
    const epoch = Atomics.add(this.epochs, 0, 2);
    this.#retired.push({ record, size, epoch });
  }

  #reclaim(): void {
    if (this.#retired.length === 0) return;
    const now = Atomics.load(this.epochs, 0);
    let oldest = -1;
    for (let i = 0; i < MAX_READERS; i++) {
      const announced = Atomics.load(this.epochs, READER + i);
      if (announced !== 0) oldest = Math.max(oldest, (now - announced) | 0);
    }
    let done = 0;
    for (const { record, size, epoch } of this.#retired) {
      if (((now - epoch) | 0) <= oldest) break;
      const list = this.#free.get(size);
      if (list) list.push(record);
      else this.#free.set(size, [record]);
      done++;
    }
    this.#retired.splice(0, done);
  }

  #sizeOf(record: number): number {
    const { words } = this.#reader;
    const head = words[record + 2] ?? 0;
    let at = record + RECORD_HEADER + (((head & 255) + 3) >> 2);
    for (let left = head >> 8; left > 0; left--) at += 2 + (((words[at + 1] ?? 0) + 3) >> 2);
    return at - record;
  }

  #makeRoom(size: number, zone: number): void {
    this.#reclaim();
    const fits = this.#next + size <= this.#reader.words.length || (this.#free.get(size)?.length ?? 0) > 0;
    if (fits && this.#used * 2 < this.#slots && zone < this.#zoneCapacity) return;
    const old = this.#reader;
    const zones = Math.max(this.#zoneCapacity, 1 << Math.ceil(Math.log2((zone + 1) * 2)));
    const slots = 1 << Math.ceil(Math.log2((this.#living + 1) * 4));
    const oldSlots = this.#slots, oldZones = old.words[ZONES] ?? 0, oldZoneCapacity = this.#zoneCapacity;
    const reader = this.#newBlock(slots, zones, (this.#livingWords + size) * 2);
    const moved = new Map<number, number>();
    for (let i = 0; i < oldSlots; i++) {
      const record = old.words[SLOTS + i] ?? FREE;
      if (record === FREE || record === DELETED) continue;
      const length = this.#sizeOf(record);
      reader.words.set(old.words.subarray(record, record + length), this.#next);
      moved.set(record, this.#next);
      let slot = spread(old.words[record] ?? 0) & (slots - 1);
      while (reader.words[SLOTS + slot] !== FREE) slot = (slot + 1) & (slots - 1);
      reader.words[SLOTS + slot] = this.#next;
      this.#next += length;
    }
    for (let i = 0; i < oldZoneCapacity; i++) {
      reader.words[(reader.words[ZONES] ?? 0) + i] = moved.get(old.words[oldZones + i] ?? 0) ?? 0;
    }
    this.#used = moved.size;
    this.#reader = reader;
    this.#onBlock(reader.block);
  }

  #newBlock(slots: number, zones: number, recordWords: number): TableReader {
    const records = SLOTS + slots + zones;
    const block = new SharedArrayBuffer(4 * (records + recordWords));
    const words = new Int32Array(block);
    words[MASK] = slots - 1;
    words[ZONES] = SLOTS + slots;
    words[ZONE_CAPACITY] = zones;
    words[SEED] = this.#seed;
    this.#slots = slots;
    this.#zoneCapacity = zones;
    this.#next = records;
    this.#free = new Map();
    this.#retired = [];
    return new TableReader(block);
  }
}

/** The hash of a whole name on the wire. */
export function hashName(seed: number, name: Uint8Array): number {
  const starts: number[] = [];
  for (let at = 0; (name[at] ?? 0) !== 0; at += (name[at] ?? 0) + 1) starts.push(at);
  let hash = seed;
  for (const at of starts.reverse()) hash = hashLabel(hash, name, at, at + (name[at] ?? 0) + 1);
  return hash;
}

function encode(rrsets: readonly Rrset[]): Uint8Array {
  const lengths = rrsets.map((set) => set.records.reduce((sum, rdata) => sum + 10 + rdata.length, 0));
  const octets = new Uint8Array(lengths.reduce((sum, length) => sum + 8 + ((length + 3) & ~3), 0));
  const words = new Int32Array(octets.buffer);
  const view = new DataView(octets.buffer);
  let at = 0;
  rrsets.forEach(({ type, ttl, records }, i) => {
    words[at >> 2] = (type << 16) | records.length;
    words[(at >> 2) + 1] = lengths[i] ?? 0;
    at += 8;
    for (const rdata of records) {
      view.setUint16(at, type);
      view.setUint16(at + 2, 1);
      view.setUint32(at + 4, ttl);
      view.setUint16(at + 8, rdata.length);
      octets.set(rdata, at + 10);
      at += 10 + rdata.length;
    }
    at = (at + 3) & ~3;
  });
  return octets;
}
