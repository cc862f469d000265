/** Reads DHCP messages (RFC 2131 §2) in place, without copying what is not asked for. */
import { concat, read16, read32 } from "../common/bytes.ts";
import { MAGIC_COOKIE, Opt, OPTIONS_AT } from "./numbers.ts";

const FILE_AT = 108;
const SNAME_AT = 44;

const nothing = new Uint8Array(0);

/**
 * A DHCP message in a buffer: `read` only notes where each option is, and fields are decoded when asked for. One object is
 * reused for packet after packet; addresses are 32-bit values.
 */
export class Message {
  /** The buffer that the message lies in, at `at`, `length` bytes. */
  bytes: Uint8Array = nothing;
  at = 0;
  length = 0;
  /** By option number, the offset of the length byte of its first piece, from `at`; 0: absent. */
  readonly #where = new Uint16Array(256);
  /** Further pieces (RFC 3396), in order: number, place, number, place… */
  #pieces: number[] = [];

  /** False when it is no DHCP message: too short, another cookie, or an option that runs past its field. */
  read(bytes: Uint8Array, at: number, length: number): boolean {
    this.bytes = bytes;
    this.at = at;
    this.length = length;
    this.#where.fill(0);
    if (this.#pieces.length) this.#pieces = [];
    if (length < OPTIONS_AT || length > 0xffff || at + length > bytes.length) return false;
    if (this.#u32At(OPTIONS_AT - 4) !== MAGIC_COOKIE) return false;
    if (!this.#scan(OPTIONS_AT, length)) return false;
    const overload = this.u8(Opt.overload) ?? 0;
    return (!(overload & 1) || this.#scan(FILE_AT, OPTIONS_AT - 4)) &&
      (!(overload & 2) || this.#scan(SNAME_AT, FILE_AT));
  }

  /** A copy that stays valid when the buffer is used for the next packet. */
  copy(): Message {
    const copy = new Message();
    copy.read(this.bytes.slice(this.at, this.at + this.length), 0, this.length);
    return copy;
  }

  get op(): number {
    return this.#u8At(0);
  }
  get htype(): number {
    return this.#u8At(1);
  }
  get hlen(): number {
    return this.#u8At(2);
  }
  get xid(): number {
    return this.#u32At(4);
  }
  get secs(): number {
    return read16(this.bytes, this.at + 8);
  }
  get flags(): number {
    return read16(this.bytes, this.at + 10);
  }
  get ciaddr(): number {
    return this.#u32At(12);
  }
  get yiaddr(): number {
    return this.#u32At(16);
  }
  get siaddr(): number {
    return this.#u32At(20);
  }
  get giaddr(): number {
    return this.#u32At(24);
  }
  /** All 16 bytes of chaddr. */
  get chaddr(): Uint8Array {
    return this.bytes.subarray(this.at + 28, this.at + SNAME_AT);
  }
  /** Option 53, or 0. */
  get type(): number {
    return this.u8(Opt.type) ?? 0;
  }

  has(number: number): boolean {
    return this.#where[number] !== 0;
  }

  /** An option of one byte; undefined when absent or of another length. */
  u8(number: number): number | undefined {
    const place = this.#placeOf(number, 1);
    return place && this.#u8At(place);
  }

  /** An option of two bytes; undefined when absent or of another length. */
  u16(number: number): number | undefined {
    const place = this.#placeOf(number, 2);
    return place && read16(this.bytes, this.at + place);
  }

  /** An option of four bytes; undefined when absent or of another length. */
  u32(number: number): number | undefined {
    const place = this.#placeOf(number, 4);
    return place && this.#u32At(place);
  }

  /** An option's payload, its pieces joined (RFC 3396); valid as long as the buffer is. */
  payload(number: number): Uint8Array | undefined {
    const place = this.#where[number] ?? 0;
    if (place === 0) return undefined;
    const first = this.#piece(place);
    if (!this.#pieces.length) return first;
    const parts = [first];
    for (let i = 0; i < this.#pieces.length; i += 2) {
      if (this.#pieces[i] === number) parts.push(this.#piece(this.#pieces[i + 1] ?? 0));
    }
    return parts.length === 1 ? first : concat(parts);
  }

  /** Notes the options in one field; false when one of them runs past it. */
  #scan(from: number, to: number): boolean {
    const { bytes, at } = this;
    let i = from;
    while (i < to) {
      const number = bytes[at + i] ?? 0;
      if (number === Opt.end) return true;
      if (number === Opt.pad) {
        i++;
        continue;
      }
      const next = i + 2 + (bytes[at + i + 1] ?? 0);
      if (i + 1 >= to || next > to) return false;
      if (this.#where[number]) this.#pieces.push(number, i + 1);
      else this.#where[number] = i + 1;
      i = next;
    }
    // Some clients omit END.
    return true;
  }

  /** The offset at which the payload of an option of just this length begins, from `at`. */
  #placeOf(number: number, length: number): number | undefined {
    const place = this.#where[number] ?? 0;
    return place && this.#u8At(place) === length ? place + 1 : undefined;
  }

  #piece(place: number): Uint8Array {
    const from = this.at + place + 1;
    return this.bytes.subarray(from, from + this.#u8At(place));
  }

  #u8At(offset: number): number {
    return this.bytes[this.at + offset] ?? 0;
  }

  #u32At(offset: number): number {
    return read32(this.bytes, this.at + offset);
  }
}

/** The payload of a sub-option (RFC 3046 §2.0); undefined when absent or truncated. */
export function subOption(payload: Uint8Array, number: number): Uint8Array | undefined {
  for (let i = 0; i + 1 < payload.length;) {
    const end = i + 2 + (payload[i + 1] ?? 0);
    if (payload[i] === number) return end <= payload.length ? payload.subarray(i + 2, end) : undefined;
    i = end;
  }
  return undefined;
}

/** Four bytes as a 32-bit value; undefined when there are more or fewer. */
export function u32Of(bytes: Uint8Array | undefined): number | undefined {
  return bytes?.length === 4 ? read32(bytes, 0) : undefined;
}
