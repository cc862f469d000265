/** When a process publishes its time next. Without a clock of its own: times are given, in ms since any moment. */

/** How often the time is published, in ms: while all clocks agree, and while one differs or was not compared yet. */
const QUIET = 60_000, EVERY = 5_000;
/** As often as that where not more than so many others have to hear it. */
const MANY = 20;
/** What has just come up is told after so many ms at the latest. */
const SOON = 200;

export class Rhythm {
  #due = Infinity;
  #published = -Infinity;

  /** @param random From 0 to 1: processes that were told of something at the same moment do not all write then. */
  constructor(private readonly random: () => number = Math.random) {}

  /** When the time is to be published; Infinity: nothing is planned. */
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
   * Another process's time came late, or its clock is behind, which only it can find out: it hears this one's time. Late
   * times call for no more than what is written while clocks differ.
   */
  answer(now: number): void {
    this.#within(Math.max(now, this.#published + EVERY), SOON);
  }

  /** By the next time that is due anyway. Returns how far apart they are at most, in ms. */
  next(now: number, agree: boolean, others: number): number {
    const many = EVERY * Math.max(1, others / MANY), period = agree ? Math.max(QUIET, many) : many;
    this.#within(now, period);
    return period;
  }

  #within(from: number, ms: number): void {
    this.#due = Math.min(this.#due, from + ms * (0.5 + this.random() / 2));
  }
}
