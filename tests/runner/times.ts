/** What the files of a run took, as it is printed at the end. */

export interface Took {
  /** What was run, as it is called in what is printed. */
  readonly what: string;
  readonly seconds: number;
  /** Of its process and of that one's children, in seconds, as it was shortly before the end. */
  readonly processor: number;
}

/** The files that took longest, a line each. */
export function longest(took: readonly Took[]): string {
  return took.toSorted((a, b) => b.seconds - a.seconds).slice(0, 10).map(line).join("\n");
}

/** Every file, a line each, those with most processor time first; and all together. */
export function processorTimes(took: readonly Took[]): string {
  const sum = (of: "seconds" | "processor") => took.reduce((sum, one) => sum + one[of], 0);
  const all = { what: "all, one after the other", seconds: sum("seconds"), processor: sum("processor") };
  return [...took.toSorted((a, b) => b.processor - a.processor), all].map(line).join("\n");
}

function line({ seconds, processor, what }: Took): string {
  const took = `${seconds.toFixed(0).padStart(5)} s, ${processor.toFixed(1).padStart(6)} s of processor time`;
  return `  ${took}  ${what}`;
}
