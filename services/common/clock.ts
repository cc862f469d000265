/**
 * A process's clock: the system's time at the start, continued by the monotonic clock, so that setting the system's
 * clock while the process runs ends no lease.
 */

/**
 * For tests only: seconds that are added to the system's clock, as if this machine's clock were wrong. The real clock
 * cannot be changed for one process alone.
 */
const TEST_OFFSET_MS = 1000 * Number(Deno.env.get("STRAND_TEST_CLOCK_OFFSET") ?? 0);

/** Milliseconds since the epoch, as the system has them. */
function systemTime(): number {
  return Date.now() + TEST_OFFSET_MS;
}

/** A clock that follows the monotonic clock from the system's time at its start. */
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

  /** The milliseconds by which the system's clock is ahead of this one, since it was set or the machine slept. */
  get stepped(): number {
    return this.system() - this.now();
  }

  /** Adopts the system's present time. */
  adopt(): void {
    this.#anchor = this.system() - this.monotonic();
  }
}
