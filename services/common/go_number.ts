/** Whole numbers as Go's strconv reads them with base 0, which SAND's variables and options are written in. */

const DIGITS: readonly (readonly [base: number, pattern: RegExp])[] = [
  [16, /^0x((?:_?[\da-f])+)$/i],
  [8, /^0o?((?:_?[0-7])+)$/i],
  [2, /^0b((?:_?[01])+)$/i],
  [10, /^(0|[1-9](?:_?\d)*)$/],
];

/**
 * Reads `999_999`, `0x10`, `0o17`, `017` (octal), `0b1`, `+5`, `-5`; undefined for anything else, blanks around it too.
 * Numbers above 2^53 are not exact.
 */
export function tryParseGoInteger(text: string): number | undefined {
  const [, sign = "", digits = ""] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  for (const [base, pattern] of DIGITS) {
    const found = pattern.exec(digits)?.[1];
    if (found === undefined) continue;
    const value = parseInt(found.replaceAll("_", ""), base);
    return sign === "-" && value !== 0 ? -value : value;
  }
  return undefined;
}
