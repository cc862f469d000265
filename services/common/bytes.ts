/** Byte arrays: numbers in network byte order, of which bytes beyond the end are read as 0, and several arrays in one. */

export function read16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

/** Reads 4 bytes as a number of 32 bits. */
export function read32(bytes: Uint8Array, at: number): number {
  return (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)) >>> 0;
}

/** Writes a number as 2 bytes. */
export function write16(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 8;
  out[at + 1] = value;
}

/** Writes a number as 4 bytes. */
export function write32(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 24;
  out[at + 1] = value >>> 16;
  out[at + 2] = value >>> 8;
  out[at + 3] = value;
}

/** A 32-bit value as four bytes. */
export function bytesOf32(value: number): Uint8Array {
  return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value);
}

/** All parts in one array, each at the beginning of `sizeOf(its length)` bytes, of which those after the part are 0. */
export function concat(
  parts: readonly Uint8Array[],
  sizeOf: (length: number) => number = (length) => length,
): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + sizeOf(length), 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += sizeOf(part.length);
  }
  return all;
}
