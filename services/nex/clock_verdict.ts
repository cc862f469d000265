/** Whether a process may judge by its clock which leases are over, from how its clock differs from the others'. Pure. */

/** Beyond so much, in ms, a difference is told; beyond so much it keeps a process from ending and giving leases. */
export const TOLD_MS = 5_000, APART_MS = 30_000;

export type ClockVerdict =
  | "right"
  /**
   * Clocks differ, and no majority says which is right, or they could not be compared for long: this process ends no lease, and
   * gives only addresses never used.
   */
  | "apart"
  /** Most others agree that it is another time: this process ends no lease and gives no new one. */
  | "wrong"
  /** Not compared with the others for the first seconds: as wrong. */
  | "unknown";

export interface Judgement {
  readonly verdict: ClockVerdict;
  /** What most others' clocks are ahead of this one, in ms; negative: behind. */
  readonly offset: number;
}

/** @param others The other processes' clocks less this one's, in ms. */
export function judgeClock(others: readonly number[]): Judgement {
  const ascending = (a: number, b: number) => a - b;
  const all = [0, ...others].sort(ascending);
  const low = all[(all.length - 1) >> 1] ?? 0, high = all[all.length >> 1] ?? 0;
  const offset = median(others.toSorted(ascending));
  if (high - low > APART_MS) return { verdict: "apart", offset };
  return { verdict: Math.abs((low + high) / 2) > APART_MS ? "wrong" : "right", offset };
}

/** How this process's clock differs from others' that are so many ms ahead of it: "18000 s behind". */
export function differenceOf(offset: number): string {
  return `${Math.round(Math.abs(offset) / 1000)} s ${offset < 0 ? "ahead of" : "behind"}`;
}

/** Of two in the middle, the one that is nearer to this process's clock; 0 of none. */
function median(sorted: readonly number[]): number {
  const low = sorted[(sorted.length - 1) >> 1] ?? 0, high = sorted[sorted.length >> 1] ?? 0;
  return Math.abs(low) < Math.abs(high) ? low : high;
}
