/**
 * Protocol buffers' wire format (https://protobuf.dev/programming-guides/encoding), as much of it as etcd's
 * messages need. Numbers are whole and not negative, and exact up to 2^53; ids of 64 bits are bigints.
 */

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Builds one message. Nested ones lie between {@link Writer.begin} and {@link Writer.end}. */
export class Writer {
  #bytes = new Uint8Array(1024);
  #length = 0;

  /** How many bytes have been written. */
  get length(): number {
    return this.#length;
  }

  number(field: number, value: number): void {
    this.#varint(field * 8);
    this.#varint(value);
  }

  /** A 64-bit id: it may not fit a number. */
  id(field: number, value: bigint): void {
    this.#varint(field * 8);
    this.#room(10);
    let rest = BigInt.asUintN(64, value);
    for (; rest > 127n; rest >>= 7n) this.#bytes[this.#length++] = Number(rest & 127n) | 128;
    this.#bytes[this.#length++] = Number(rest);
  }

  flag(field: number): void {
    this.number(field, 1);
  }

  bytes(field: number, value: Uint8Array): void {
    this.#varint(field * 8 + 2);
    this.#varint(value.length);
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  text(field: number, value: string): void {
    const mark = this.begin(field);
    this.#room(value.length * 3);
    const start = this.#length;
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 127) {
        this.#length = start + encoder.encodeInto(value, this.#bytes.subarray(start)).written;
        break;
      }
      this.#bytes[this.#length++] = code;
    }
    this.end(mark);
  }

  /** Opens a nested message; the mark goes to {@link Writer.end}. */
  begin(field: number): number {
    this.#varint(field * 8 + 2);
    this.#room(1);
    return ++this.#length;
  }

  end(mark: number): void {
    const size = this.#length - mark;
    let extra = 0;
    for (let rest = size; rest > 127; rest = Math.floor(rest / 128)) extra++;
    if (extra) {
      this.#room(extra);
      this.#bytes.copyWithin(mark + extra, mark, this.#length);
    }
    this.#length = mark - 1;
    this.#varint(size);
    this.#length += size;
  }

  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #varint(value: number): void {
    this.#room(8);
    for (; value > 127; value = Math.floor(value / 128)) this.#bytes[this.#length++] = (value % 128) | 128;
    this.#bytes[this.#length++] = value;
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/**
 * Reads one message, field by field:
 * `for (let field; (field = reader.next());)` and then the method of the field's kind, or {@link Reader.skip}.
 * Throws RangeError for bytes that end early or make no sense.
 */
export class Reader {
  #at = 0;
  #end: number;
  #wireType = 0;

  constructor(readonly source: Uint8Array) {
    this.#end = source.length;
  }

  /** The next field's number; 0 at the end of the message. */
  next(): number {
    if (this.#at >= this.#end) return 0;
    const tag = this.number();
    this.#wireType = tag & 7;
    return tag >>> 3;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; this.#at < this.#end; scale *= 128) {
      const byte = this.source[this.#at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    throw new RangeError("a number ends early");
  }

  /** A 64-bit id: it may not fit a number. */
  id(): bigint {
    let value = 0n;
    for (let shift = 0n; this.#at < this.#end; shift += 7n) {
      const byte = this.source[this.#at++] ?? 0;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw new RangeError("an id ends early");
  }

  flag(): boolean {
    return this.number() !== 0;
  }

  /** A view into the message, not a copy. */
  bytes(): Uint8Array {
    const length = this.number();
    const from = this.#at;
    this.#advance(length);
    return this.source.subarray(from, this.#at);
  }

  text(): string {
    const bytes = this.bytes();
    if (bytes.length > 64) return decoder.decode(bytes);
    for (const byte of bytes) if (byte > 127) return decoder.decode(bytes);
    // Keys are short and nearly always ASCII, where this takes a third of the decoder's time.
    return Reflect.apply(String.fromCharCode, undefined, bytes);
  }

  /** Steps into a nested message; what it returns goes to {@link Reader.leave} once `next()` gave 0. */
  enter(): number {
    const length = this.number();
    const outer = this.#end;
    if (this.#at + length > outer) throw new RangeError("a message ends early");
    this.#end = this.#at + length;
    return outer;
  }

  leave(outer: number): void {
    this.#at = this.#end;
    this.#end = outer;
  }

  skip(): void {
    if (this.#wireType === 0) this.number();
    else if (this.#wireType === 1) this.#advance(8);
    else if (this.#wireType === 2) this.#advance(this.number());
    else if (this.#wireType === 5) this.#advance(4);
    else throw new RangeError(`wire type ${this.#wireType} is not known`);
  }

  #advance(length: number): void {
    if (this.#at + length > this.#end) throw new RangeError("a field ends early");
    this.#at += length;
  }
}
