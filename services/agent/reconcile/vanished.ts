/**
 * Endpoints of one network whose namespace was not found at its path. A container that is restarted has none for a
 * moment, so an endpoint becomes inactive only after a grace time.
 */

/** How long a namespace may be missing, in ms, before its endpoint is inactive. */
export const GRACE_MS = 5_000;

/** Since when each of them has been missing. */
export class Vanished {
  readonly #since = new Map<string, number>();

  /** @param now Milliseconds of a monotonic clock. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** Records that it was not found. @returns whether the grace time is over */
  missed(endpoint: string): boolean {
    const now = this.now(), since = this.#since.get(endpoint) ?? now;
    this.#since.set(endpoint, since);
    return now - since >= GRACE_MS;
  }

  /** Forgets one that exists, or is not checked any more. */
  forget(endpoint: string): void {
    this.#since.delete(endpoint);
  }

  /** Forgets all but these. */
  keep(endpoints: ReadonlySet<string>): void {
    for (const endpoint of this.#since.keys()) if (!endpoints.has(endpoint)) this.#since.delete(endpoint);
  }

  /** The milliseconds until the next grace time ends; undefined: none is missing. */
  get dueInMs(): number | undefined {
    const now = this.now();
    const left = [...this.#since.values()].map((since) => since + GRACE_MS - now).filter((ms) => ms > 0);
    return left.length ? Math.min(...left) : undefined;
  }
}
