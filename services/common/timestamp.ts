/** Formats the current time for stored records. */

/**
 * The current time in RFC 3339 with nanoseconds, as stored records have it. The digits below a millisecond are
 * random, so that records made by two hosts in the same millisecond differ.
 */
export function timestamp(): string {
  const [random = 0] = crypto.getRandomValues(new Uint32Array(1));
  return new Date().toISOString().replace("Z", `${random % 1_000_000}`.padStart(6, "0") + "Z");
}
