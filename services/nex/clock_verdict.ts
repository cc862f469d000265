/** Decides whether a process may end leases by its clock, from how that clock differs from other processes'. */

/** Beyond the first difference, in ms, it is reported; beyond the second the process neither ends nor gives leases. */
export const TOLD_MS = 5_000, APART_MS = 30_000;

export type ClockVerdict =
  | "right"
  /**
   * Clocks differ and no majority agrees, or they could not be compared for a long time: this process ends no lease, and gives
   * only addresses that were never used.
   */
  | "apart"
  /** Most other clocks agree on another time: this process ends no lease and gives no new one. */
  | "wrong"
  /** The clock was not compared yet, in the first seconds: the same as wrong. */
  | "unknown";

export interface ClockComparison {
  readonly verdict: ClockVerdict;
  /** How far most other clocks are ahead of this one, in ms; negative: behind. */
  readonly offset: number;
}

/** @param others The other processes' clocks less this one's, in ms. */
export function compareClock(others: readonly number[]): ClockComparison {
  const ascending = (a: number, b: number) => a - b;
  const all = [0, ...others].sort(ascending);
  const low = all[(all.length - 1) >> 1] ?? 0, high = all[all.length >> 1] ?? 0;
  const offset = median(others.toSorted(ascending));
  if (high - low > APART_MS) return { verdict: "apart", offset };
  return { verdict: Math.abs((low + high) / 2) > APART_MS ? "wrong" : "right", offset };
}

/** How this process's clock differs from clocks that are `offset` ms ahead of it: "18000 s behind". */
export function differenceOf(offset: number): string {
  return `${Math.round(Math.abs(offset) / 1000)} s ${offset < 0 ? "ahead of" : "behind"}`;
}

/** The median; of two values in the middle the one nearer to 0, and 0 of an empty list. */
function median(sorted: readonly number[]): number {
  const low = sorted[(sorted.length - 1) >> 1] ?? 0, high = sorted[sorted.length >> 1] ?? 0;
  return Math.abs(low) < Math.abs(high) ? low : high;
}
