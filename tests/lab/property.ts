/**
 * Properties of random choices. fast-check makes the choices, and looks for the fewest and smallest ones with which a property
 * still fails; what they mean is up to the test, whose mutators and models take them one by one.
 */
import fc from "fast-check";

/** The next choice: a whole number from 0 to below `n`; 0, which is the simplest, when there are no more. */
export type Random = (n: number) => number;

export interface PropertyOptions {
  /** How often it is tried. */
  readonly runs: number;
  /** The most choices of one run. Runs have any number of them up to this. */
  readonly choices: number;
  /** Makes the same choices again. */
  readonly seed: number;
}

/**
 * Tries a property.
 *
 * @param holds `isOver` tells that the choices are used up: a series of steps may end there
 * @throws Error with fast-check's seed and the shortest choices, if `holds` throws with any
 */
export function forAll(
  { runs, choices, seed }: PropertyOptions,
  holds: (random: Random, isOver: () => boolean) => void,
): void {
  // Without fast-check's preference for the smallest and largest numbers, which make up most kinds of choices unevenly.
  const numbers = fc.noBias(fc.uint32Array({ maxLength: choices, size: "max" }));
  const property = fc.property(numbers, (numbers) => {
    let at = 0;
    // A smaller number is never a larger choice.
    const random = (n: number) => Math.floor((numbers[at++] ?? 0) / 2 ** 32 * n);
    holds(random, () => at >= numbers.length);
  });
  fc.assert(property, { numRuns: runs, seed });
}

/** The seed for a test: FUZZ_SEED, or else another one each time. */
export function anySeed(): number {
  return Number(Deno.env.get("FUZZ_SEED") ?? Math.floor(Math.random() * 2 ** 31));
}
