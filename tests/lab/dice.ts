/** Random numbers that are the same again for the same seed (mulberry32). */
export class Dice {
  constructor(private state: number) {}

  /** From 0 to below 1. */
  throw(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `low` to below `high`. */
  between(low: number, high: number): number {
    return low + Math.floor(this.throw() * (high - low));
  }

  /** One of them; undefined when there is none. */
  pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.throw() * items.length)];
  }

  /** One of them, of which there is at least one. Throws RangeError. */
  one<T>(items: readonly T[]): T {
    const item = this.pick(items);
    if (item === undefined) throw new RangeError("nothing to pick from");
    return item;
  }
}

/** Random whole numbers from 0 to below `n`, the same for the same seed. */
export function randomFrom(seed: number): (n: number) => number {
  const dice = new Dice(seed);
  return (n) => dice.between(0, n);
}
