/** A hash of texts that spreads them evenly, where nothing depends on its being hard to invert. */

/** 32-bit FNV-1a (RFC 9923) over the text's UTF-16 code units, which are its octets where it is ASCII; 0 to 2^32 - 1. */
export function fnv1a(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  return value >>> 0;
}
