/**
 * A cache of one value that is costly to make and that many open pages ask for. The value is made again after a
 * change, but never without a pause since the last time.
 */

/** The longest that a value is kept, in ms: times pass, and not all that is shown has its change told. */
const LONGEST = 1000;
/**
 * A value that took a while to make is kept this many times as long, also when something has changed; at most so many ms: of the
 * largest stores too a change is to be seen within a second.
 */
const TIMES = 5, LONGEST_PAUSE = 350;

/** The cached value; `changed()` says that it has to be made again. */
export class CachedModel<T> {
  #made: { readonly value: T; readonly at: number; readonly took: number } | undefined;
  #isStale = true;

  readonly #clock: () => number;
  readonly #late: (ms: number) => void;

  /**
   * @param make Is given the time, in ms since the epoch.
   * @param options `clock`: the time in ms, from any beginning; `late`: is called when a value is given out that has changed,
   * with the time until it can be made again, in ms.
   */
  constructor(
    private readonly make: (now: number) => T,
    options: { readonly clock?: () => number; readonly late?: (ms: number) => void } = {},
  ) {
    const { clock = () => performance.now(), late = () => {} } = options;
    this.#clock = clock;
    this.#late = late;
  }

  /** Says that what it was made of has changed. */
  changed(): void {
    this.#isStale = true;
  }

  get value(): T {
    const begun = this.#clock(), age = this.#made ? begun - this.#made.at : Infinity;
    const pause = Math.min(TIMES * (this.#made?.took ?? 0), LONGEST_PAUSE);
    if (this.#made && (age < pause || !this.#isStale && age < LONGEST)) {
      if (this.#isStale) this.#late(pause - age);
      return this.#made.value;
    }
    this.#isStale = false;
    const value = this.make(Date.now()), at = this.#clock();
    this.#made = { value, at, took: at - begun };
    return value;
  }
}
