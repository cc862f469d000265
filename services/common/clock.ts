/**
 * The time of a process: the system's clock as it was at the start, carried on by the monotonic clock. A system clock that
 * is set while the process runs ends no lease.
 */

/**
 * For tests alone: so many seconds are added to the system's clock, as if this machine's clock were wrong. A whole machine
 * cannot be given another time without giving it to all others on it.
 */
const TEST_OFFSET_MS = 1000 * Number(Deno.env.get("STRAND_TEST_CLOCK_OFFSET") ?? 0);

/** Milliseconds since the epoch, as the system has them. */
function systemTime(): number {
  return Date.now() + TEST_OFFSET_MS;
}

export class SteadyClock {
  #anchor: number;

  /** @param system Milliseconds since the epoch. @param monotonic Milliseconds since any moment, never set. */
  constructor(
    private readonly system: () => number = systemTime,
    private readonly monotonic: () => number = () => performance.now(),
  ) {
    this.#anchor = system() - monotonic();
  }

  /** Milliseconds since the epoch. */
  now(): number {
    return this.#anchor + this.monotonic();
  }

  /** By how many milliseconds the system's clock is ahead of this one, since it was set or the machine slept. */
  get stepped(): number {
    return this.system() - this.now();
  }

  /** Takes the system's time over. */
  adopt(): void {
    this.#anchor = this.system() - this.monotonic();
  }
}
