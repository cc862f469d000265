/** Checks names of network interfaces as the kernel does (dev_valid_name; IFNAMSIZ is 16 with the closing zero). */

const LONGEST = 15;

/** True for a name that an interface can have: 1 to 15 bytes, no slash, colon, white space or control character. */
export function isInterfaceName(name: string): boolean {
  // deno-lint-ignore no-control-regex
  if (name === "." || name === ".." || !/^[^\s/:\x00-\x1f\x7f]+$/.test(name)) return false;
  return new TextEncoder().encode(name).length <= LONGEST;
}
