/**
 * Counts of traffic that the agent's rules in the kernel have dropped or only counted, by reason, summed over tables that are
 * made again.
 */

export const VERDICTS = ["dropped", "counted"] as const;
export type Verdict = typeof VERDICTS[number];

/** Packets or frames by verdict and reason, like `dropped arp`. */
export type TrafficCounts<Reason extends string> = ReadonlyMap<`${Verdict} ${Reason}`, number>;

/** The gains of counters from one reading to the next; those of a table that is made again begin at 0. */
export class CounterGains<Name extends string> {
  #before: ReadonlyMap<Name, number> | undefined;

  /** True until the first reading. */
  get isFresh(): boolean {
    return this.#before === undefined;
  }

  /** Takes a reading. @returns what each counter has gained since the last one, or in all at the first; none is 0 */
  take(reading: ReadonlyMap<Name, number>): Map<Name, number> {
    const gains = new Map<Name, number>();
    for (const [name, count] of reading) {
      const before = this.#before?.get(name) ?? 0, gain = count < before ? count : count - before;
      if (gain) gains.set(name, gain);
    }
    this.#before = reading;
    return gains;
  }
}

/** Adds counts to sums. */
export function addTo<Name>(sums: Map<Name, number>, counts: ReadonlyMap<Name, number>): void {
  for (const [name, count] of counts) sums.set(name, (sums.get(name) ?? 0) + count);
}

/** The counts for `strand status`, like `3 arp dropped, 1 mac counted`. */
export function textOfCounts<Reason extends string>(counts: TrafficCounts<Reason>): string {
  return [...counts].map(([what, count]) => {
    const [verdict, reason] = what.split(" ");
    return `${count} ${reason} ${verdict}`;
  }).join(", ");
}
