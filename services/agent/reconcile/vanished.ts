/** Endpoints of one network whose namespace was not found at its path: a container that is restarted has none for a moment. */

/** So long a namespace may be away, in ms, before its endpoint is inactive. */
export const GRACE_MS = 5_000;

/** Since when each has not been found. */
export class Vanished {
  readonly #since = new Map<string, number>();

  /** @param now Milliseconds on a clock that does not go back. */
  constructor(private readonly now: () => number = () => performance.now()) {}

  /** It was looked for in vain. @returns whether it has been so for long enough */
  missed(endpoint: string): boolean {
    const now = this.now(), since = this.#since.get(endpoint) ?? now;
    this.#since.set(endpoint, since);
    return now - since >= GRACE_MS;
  }

  /** It is there, or is looked for no longer. */
  forget(endpoint: string): void {
    this.#since.delete(endpoint);
  }

  /** Forgets all but these. */
  keep(endpoints: ReadonlySet<string>): void {
    for (const endpoint of this.#since.keys()) if (!endpoints.has(endpoint)) this.#since.delete(endpoint);
  }

  /** In how many ms the next of them will have been away for long enough; undefined: there is none. */
  get dueInMs(): number | undefined {
    const now = this.now();
    const left = [...this.#since.values()].map((since) => since + GRACE_MS - now).filter((ms) => ms > 0);
    return left.length ? Math.min(...left) : undefined;
  }
}
