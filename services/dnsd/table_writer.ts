/** The writing side of the table, see table.ts for what a block looks like. */
import {
  DELETED,
  type Epochs,
  FREE,
  hashName,
  MASK,
  MAX_READERS,
  newEpochs,
  READER,
  RECORD_HEADER,
  SEED,
  SLOTS,
  spread,
  TableReader,
  ZONE_CAPACITY,
  ZONES,
} from "./table.ts";

/** Records of one type: `records` are RDATA on the wire, names in it uncompressed. TTL in seconds. */
export interface Rrset {
  readonly type: number;
  readonly ttl: number;
  readonly records: readonly Uint8Array[];
}

interface RetiredBlock {
  record: number;
  size: number;
  epoch: number;
}

/** The writing side. One isolate only. */
export class TableWriter {
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
  #retired: RetiredBlock[] = [];

  /**
   * @param onBlock called with every new block but the first: readers must be handed it
   * @param epochs of several tables, whose readers enter and leave them together
   */
  constructor(
    onBlock: (block: SharedArrayBuffer) => void = () => {},
    readonly epochs: Epochs = newEpochs(),
  ) {
    this.#onBlock = onBlock;
    // It is small, since a host may have a thousand tables of some twenty names; it doubles as names come.
    this.#reader = this.#newBlock(1 << 7, 8, 1 << 10);
  }

  /** A reader of the present block for the writer's own isolate. It needs no epoch, but is to be read again for each use. */
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

  /** Removes a name, if it is there. */
  delete(name: Uint8Array): void {
    const { words } = this.#reader;
    const slot = this.#slotOf(hashName(this.#seed, name), name);
    const old = words[slot] ?? FREE;
    if (old === FREE || old === DELETED) return;
    Atomics.store(words, slot, DELETED);
    this.#living--;
    this.#retire(old);
  }

  /** Removes a zone; names that are still in it are answered like names outside our zones. */
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
    // A reader that announces a later epoch began after the record was unlinked. Epochs are odd, so that 0 still means
    // "asleep" when they wrap around.
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
