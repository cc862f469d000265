/** Decides when a process publishes its time next. It has no clock of its own: times are passed in, in ms of a monotonic clock. */

/** The interval between published times, in ms: while all clocks agree, and while one differs or was not compared yet. */
const QUIET = 60_000, EVERY = 5_000;
/** The second interval holds for up to this many other processes; with more of them it is longer. */
const MANY = 20;
/** News is published within this many ms. */
const SOON = 200;

/** The times at which a process publishes its time. */
export class PublishSchedule {
  #due = Infinity;
  #published = -Infinity;

  /** @param random From 0 to 1: processes that get the same news at the same time do not all write then. */
  constructor(private readonly random: () => number = Math.random) {}

  /** When the time is published next; Infinity: it is not planned. */
  get due(): number {
    return this.#due;
  }

  /** The time is being published. */
  begin(now: number): void {
    this.#due = Infinity;
    this.#published = now;
  }

  /** Another process does not know this one's time yet, or this one's clock has changed, or one is found to differ. */
  soon(now: number): void {
    this.#within(now, SOON);
  }

  /**
   * Another process's time arrived late, or its clock is behind, which only that process can find out, from this one's time.
   * Late times cause no more writes than there are while clocks differ.
   */
  answer(now: number): void {
    this.#within(Math.max(now, this.#published + EVERY), SOON);
  }

  /** Plans the next regular time. Returns the interval, in ms. */
  next(now: number, agree: boolean, others: number): number {
    const many = EVERY * Math.max(1, others / MANY), period = agree ? Math.max(QUIET, many) : many;
    this.#within(now, period);
    return period;
  }

  #within(from: number, ms: number): void {
    this.#due = Math.min(this.#due, from + ms * (0.5 + this.random() / 2));
  }
}
