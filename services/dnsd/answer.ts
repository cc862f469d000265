/**
 * Turns a query into its answer, in the same buffer and from the table alone: without a clock, a socket or an allocation.
 *
 * A malformed query is answered FORMERR or not at all. It never throws, and an answer is never longer than the client accepts.
 */
import { hashLabel, type TableReader } from "./table.ts";
import { CLASS_IN, HEADER, LOWER, OPT_LENGTH, RCODE, skipName, TYPE, UDP_MAX, UDP_PLAIN } from "./wire.ts";

/** Results of {@link Answerer.answer} other than a length. */
export const DROP = 0, FORWARD = -1;

const QR = 0x80, OPCODE = 0x78, AA = 0x04, TC = 0x02, RD = 0x01, RA = 0x80;

/** Answers queries from one table. One object is reused, for its scratch space and for the rotation of records. */
export class Answerer {
  table: TableReader;
  /** True when names outside our zones are to be forwarded: they give FORWARD, else REFUSED. */
  recursion: boolean;
  /** The RCODE of the last answer, EDNS's upper bits included. */
  rcode: number = RCODE.NOERROR;
  /** True when the last answer was truncated. */
  truncated = false;

  readonly #name = new Uint8Array(256);
  readonly #starts = new Uint8Array(128);
  readonly #hashes = new Int32Array(128);
  /** The rotations of A and of AAAA. A resolver asks for both in turn; with one count it would always see the same one first. */
  readonly #rotations = new Uint16Array(2);

  // The query that is being answered.
  #question = 0;
  #nameLength = 0;
  #edns = false;
  #ednsSize = 0;
  #version = 0;
  #dnssecOk = 0;

  constructor(table: TableReader, recursion: boolean) {
    this.table = table;
    this.recursion = recursion;
  }

  /**
   * Answers the query at `p[at]` in place.
   *
   * @param room the longest answer that the transport takes; `p` must have as much from `at`. Over UDP it is
   *   limited further to what the client accepts (RFC 6891 §6.2.3)
   * @param udp false for a stream
   * @returns the answer's length, or {@link DROP}, or {@link FORWARD} with the query as it was
   */
  answer(p: Uint8Array, at: number, length: number, room: number, udp: boolean): number {
    this.truncated = false;
    if (length < HEADER || (p[at + 2]! & QR) !== 0) return DROP;
    if ((p[at + 2]! & OPCODE) !== 0) return this.#bare(p, at, RCODE.NOTIMP);
    const end = this.#parse(p, at, at + length);
    if (end < 0) return this.#bare(p, at, RCODE.FORMERR);

    let limit = at + room;
    if (udp) limit = at + Math.min(room, this.#edns ? Math.max(this.#ednsSize, UDP_PLAIN) : UDP_PLAIN);
    if (this.#edns && this.#version !== 0) return this.#finish(p, at, end, RCODE.BADVERS, 0, 0, 0);
    const type = (p[end - 4]! << 8) | p[end - 3]!, klass = (p[end - 2]! << 8) | p[end - 1]!;
    if (type === TYPE.OPT) return this.#bare(p, at, RCODE.FORMERR);
    if (klass !== CLASS_IN || type === TYPE.AXFR || type === TYPE.IXFR) {
      return this.#finish(p, at, end, RCODE.REFUSED, 0, 0, 0);
    }
    return this.#lookup(p, at, end, limit, type);
  }

  /** Answers a query with an RCODE alone. @returns the answer's length, or {@link DROP} */
  fail(p: Uint8Array, at: number, length: number, rcode: number): number {
    this.truncated = false;
    if (length < HEADER || (p[at + 2]! & QR) !== 0) return DROP;
    const end = this.#parse(p, at, at + length);
    return end < 0 ? this.#bare(p, at, RCODE.FORMERR) : this.#finish(p, at, end, rcode, 0, 0, 0);
  }

  /** Reads question and EDNS. @returns where the question ends, or -1 when the message is malformed */
  #parse(p: Uint8Array, at: number, end: number): number {
    this.#edns = false;
    // One question, nothing answered yet (RFC 9619): QDCOUNT, ANCOUNT.
    if (p[at + 4] !== 0 || p[at + 5] !== 1 || (p[at + 6]! | p[at + 7]!) !== 0) return -1;

    const begin = at + HEADER, starts = this.#starts, name = this.#name;
    let labels = 0, pos = begin;
    for (;;) {
      if (pos >= end || pos - begin > 254) return -1;
      const length = p[pos]!;
      name[pos - begin] = length;
      if (length === 0) break;
      // Compression or an unknown label type: a question has neither.
      if (length > 63 || pos + length >= end || pos + length - begin > 254) return -1;
      starts[labels++] = pos - begin;
      for (const next = pos + length + 1; ++pos < next;) name[pos - begin] = LOWER[p[pos]!]!;
    }
    pos++;
    this.#nameLength = pos - begin;
    this.#question = labels;
    const questionEnd = pos + 4;
    if (questionEnd > end) return -1;

    pos = questionEnd;
    if ((p[at + 8]! | p[at + 9]!) !== 0) {
      pos = this.#authority(p, at, pos, end);
      if (pos < 0) return -1;
    }
    for (let left = (p[at + 10]! << 8) | p[at + 11]!; left > 0; left--) {
      pos = this.#additional(p, pos, end);
      if (pos < 0) return -1;
    }
    return pos === end ? questionEnd : -1;
  }

  /** Skips the SOA of IXFR, which no other query has (RFC 1995 §3). @returns where it ends, or -1 */
  #authority(p: Uint8Array, at: number, pos: number, end: number): number {
    if (((p[pos - 4]! << 8) | p[pos - 3]!) !== TYPE.IXFR || p[at + 8] !== 0 || p[at + 9] !== 1) return -1;
    const fixed = skipName(p, pos, end);
    if (fixed < 0 || fixed + 10 > end || ((p[fixed]! << 8) | p[fixed + 1]!) !== TYPE.SOA) return -1;
    const next = fixed + 10 + ((p[fixed + 8]! << 8) | p[fixed + 9]!);
    return next > end ? -1 : next;
  }

  /** Reads one record of the additional section. @returns where it ends, or -1 */
  #additional(p: Uint8Array, pos: number, end: number): number {
    const owner = pos;
    for (;;) {
      if (pos >= end) return -1;
      const length = p[pos]!;
      if (length === 0) {
        pos++;
        break;
      }
      if (length >= 0xc0) {
        pos += 2;
        break;
      }
      if (length > 63) return -1;
      pos += length + 1;
    }
    if (pos + 10 > end) return -1;
    const type = (p[pos]! << 8) | p[pos + 1]!;
    const rdata = pos + 10, rdataEnd = rdata + ((p[pos + 8]! << 8) | p[pos + 9]!);
    if (rdataEnd > end) return -1;
    if (type !== TYPE.OPT) return rdataEnd;
    // One OPT, owned by the root (RFC 6891 §6.1.1).
    if (this.#edns || pos - owner !== 1) return -1;
    this.#edns = true;
    this.#ednsSize = (p[pos + 2]! << 8) | p[pos + 3]!;
    this.#version = p[pos + 5]!;
    this.#dnssecOk = p[pos + 6]! & 0x80;
    // Options are ignored, but must be well formed.
    let option = rdata;
    while (option + 4 <= rdataEnd) option += 4 + ((p[option + 2]! << 8) | p[option + 3]!);
    return option === rdataEnd ? rdataEnd : -1;
  }

  #lookup(p: Uint8Array, at: number, end: number, limit: number, type: number): number {
    const { table } = this;
    const name = this.#name, starts = this.#starts, hashes = this.#hashes, labels = this.#question;
    let hash = table.seed;
    for (let i = labels - 1; i >= 0; i--) {
      const from = starts[i]!;
      hash = hashLabel(hash, name, from, from + name[from]! + 1);
      hashes[i] = hash;
    }
    // The name itself, or else the closest name above it that exists: it knows its zone (the root is never ours).
    let record = 0, above = 0;
    for (; above < labels; above++) {
      const from = starts[above]!;
      record = table.find(hashes[above]!, name, from, this.#nameLength - from);
      if (record !== 0) break;
    }
    const apex = record === 0 ? 0 : table.apexOf(record);
    if (apex === 0) {
      return this.recursion && (p[at + 2]! & RD) !== 0
        ? FORWARD
        : this.#finish(p, at, end, RCODE.REFUSED, 0, 0, 0);
    }
    // ANY gets one RRset: RFC 8482 §4.1.
    const rrset = above === 0 ? table.rrset(record, type === TYPE.ANY ? -1 : type) : 0;
    if (rrset !== 0) return this.#positive(p, at, end, limit, rrset);
    return this.#negative(p, at, end, limit, apex, above === 0 ? RCODE.NOERROR : RCODE.NXDOMAIN);
  }

  #positive(p: Uint8Array, at: number, end: number, limit: number, rrset: number): number {
    const { table } = this, { bytes } = table;
    const count = table.rrsetCount(rrset), length = table.rrsetLength(rrset);
    if (end + length + 2 * count > limit - (this.#edns ? OPT_LENGTH : 0)) {
      return this.#truncate(p, at, end, 0);
    }
    const first = table.rrsetBytes(rrset), last = first + length;
    let from = first;
    if (count > 1) {
      const turn = table.words[rrset]! >>> 16 === TYPE.AAAA ? 1 : 0;
      for (let skip = ++this.#rotations[turn]! % count; skip > 0; skip--) {
        from += 10 + ((bytes[from + 8]! << 8) | bytes[from + 9]!);
      }
    }
    let to = end;
    for (let left = count; left > 0; left--) {
      // The owner is the question's name.
      p[to++] = 0xc0;
      p[to++] = HEADER;
      const next = from + 10 + ((bytes[from + 8]! << 8) | bytes[from + 9]!);
      while (from < next) p[to++] = bytes[from++]!;
      if (from === last) from = first;
    }
    return this.#finish(p, at, to, RCODE.NOERROR, AA, count, 0);
  }

  /** No such name or no such type: the zone's SOA says for how long that may be kept (RFC 2308 §3). */
  #negative(p: Uint8Array, at: number, end: number, limit: number, apex: number, rcode: number): number {
    const { table } = this, { bytes } = table;
    const soa = table.rrset(apex, TYPE.SOA);
    // The writer sets an apex with its SOA; without one there is no zone.
    if (soa === 0) return this.#finish(p, at, end, RCODE.REFUSED, 0, 0, 0);
    const length = table.rrsetLength(soa);
    if (end + 2 + length > limit - (this.#edns ? OPT_LENGTH : 0)) return this.#truncate(p, at, end, rcode);
    // The zone's name is the end of the question's.
    const owner = HEADER + this.#nameLength - table.nameLength(apex);
    p[end] = 0xc0 | (owner >> 8);
    p[end + 1] = owner & 0xff;
    const from = table.rrsetBytes(soa), to = end + 2;
    for (let i = 0; i < length; i++) p[to + i] = bytes[from + i]!;
    return this.#finish(p, at, to + length, rcode, AA, 0, 1);
  }

  #truncate(p: Uint8Array, at: number, end: number, rcode: number): number {
    this.truncated = true;
    return this.#finish(p, at, end, rcode, AA | TC, 0, 0);
  }

  /** A header alone, for a query that could not be read. */
  #bare(p: Uint8Array, at: number, rcode: number): number {
    this.rcode = rcode;
    p[at + 2] = QR | (p[at + 2]! & (OPCODE | RD));
    p[at + 3] = (this.recursion ? RA : 0) | rcode;
    for (let i = 4; i < HEADER; i++) p[at + i] = 0;
    return HEADER;
  }

  /** Header, and an OPT behind what has been written so far. */
  #finish(
    p: Uint8Array,
    at: number,
    end: number,
    rcode: number,
    flags: number,
    answers: number,
    authority: number,
  ): number {
    this.rcode = rcode;
    p[at + 2] = QR | (p[at + 2]! & RD) | flags;
    p[at + 3] = (this.recursion ? RA : 0) | (rcode & 15);
    p[at + 6] = answers >> 8;
    p[at + 7] = answers & 255;
    p[at + 8] = 0;
    p[at + 9] = authority;
    p[at + 10] = 0;
    p[at + 11] = this.#edns ? 1 : 0;
    if (!this.#edns) return end - at;
    p[end] = 0;
    p[end + 1] = 0;
    p[end + 2] = TYPE.OPT;
    p[end + 3] = UDP_MAX >> 8;
    p[end + 4] = UDP_MAX & 255;
    p[end + 5] = rcode >> 4;
    p[end + 6] = 0;
    // The DO bit comes back (RFC 3225 §3), no other.
    p[end + 7] = this.#dnssecOk;
    p[end + 8] = 0;
    p[end + 9] = 0;
    p[end + 10] = 0;
    return end + OPT_LENGTH - at;
  }
}
