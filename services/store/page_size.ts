/** How many keys a listing asks etcd for at a time. */

/** The most keys in the first answers, and the most of each name where one request lists several. */
export const PAGE_SIZE = 1_000, SHARED_PAGE_SIZE = 128;
/** The most keys in one answer, and about how many bytes its keys and values have, where these are small. */
const LARGEST_PAGE = 10_000, PAGE_BYTES = 4 << 20;

/**
 * The most keys in the answer after one with so many, which took so many bytes with their values. For each answer etcd goes through
 * all keys that are left, some 3 µs for each: with a thousand in each it would need 15 s to list 100,000. At most twice as many
 * follow: larger values may follow small ones.
 */
export function sizeAfter(keys: number, bytes: number): number {
  const fitting = Math.floor(PAGE_BYTES * keys / Math.max(1, bytes));
  return Math.max(PAGE_SIZE, Math.min(LARGEST_PAGE, 2 * keys, fitting));
}
