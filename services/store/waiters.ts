/**
 * Keeps the callers that wait until the mirror shows a revision of some keys. A wait ends when the mirror does, or by
 * its signal.
 */

export interface Need {
  readonly key: string;
  /** The mod revision that the mirror has to show, or a later one; 0: absent, or changed since the wait began. */
  readonly revision: number;
}

export interface MirrorVersions {
  /** The newest mod revision that the mirror has seen of the key; 0: absent. */
  version(key: string): number;
  /** The revision up to which the mirror has every event of the key; Infinity for keys that it does not follow. */
  seen(key: string): number;
  /** False when the key has certainly been absent from that revision on. */
  existedSince(key: string, revision: number): boolean;
}

const MOST_REQUESTS = 16;

interface Waiter {
  left: readonly Open[];
  readonly since: number;
  readonly done: () => void;
  readonly fail: (reason: unknown) => void;
}

interface Open extends Need {
  readonly versionAtStart: number;
}

/** The set of waiting callers. A wait ends when each of its needs is met, or by its signal. */
export class Waiters {
  readonly #waiters = new Set<Waiter>();
  #first = Promise.withResolvers<void>();

  constructor(private readonly shown: MirrorVersions) {}

  get size(): number {
    return this.#waiters.size;
  }

  /** Resolves when at least one caller waits. */
  get some(): Promise<void> {
    return this.#first.promise;
  }

  async wait(needs: readonly Need[], signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    const left = needs
      .map((need) => ({ ...need, versionAtStart: this.shown.version(need.key) }))
      .filter((need) => !this.#met(need));
    if (!left.length) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter: Waiter = { left, since: Date.now(), done: resolve, fail: reject };
    const abort = () => reject(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    this.#waiters.add(waiter);
    this.#first.resolve();
    try {
      await promise;
    } finally {
      if (this.#waiters.delete(waiter) && !this.#waiters.size) this.#first = Promise.withResolvers();
      signal?.removeEventListener("abort", abort);
    }
  }

  /** Ends the waits whose needs are met; called after each change of the mirror. */
  check(): void {
    for (const waiter of this.#waiters) {
      waiter.left = waiter.left.filter((need) => !this.#met(need));
      if (!waiter.left.length) waiter.done();
    }
  }

  fail(reason: unknown): void {
    for (const waiter of this.#waiters) waiter.fail(reason);
  }

  /**
   * Asks etcd about keys that have been waited for longer than `patienceMs`: removing an absent key makes no event. Returns
   * a key for which the mirror still differs after `lostMs`, if there is one.
   */
  async compare(modRevision: (key: string) => Promise<number>, patienceMs: number, lostMs: number) {
    const now = Date.now();
    let requests = 0;
    for (const waiter of [...this.#waiters]) {
      if (now - waiter.since < patienceMs) continue;
      for (const need of waiter.left) {
        // The mirror may only be slow under load, which many requests would increase.
        if (++requests > MOST_REQUESTS) return undefined;
        const before = this.shown.version(need.key);
        const actual = await modRevision(need.key);
        if (actual === this.shown.version(need.key)) {
          waiter.left = waiter.left.filter((other) => other !== need);
        } else if (now - waiter.since > lostMs && before === this.shown.version(need.key)) return need.key;
      }
      if (!waiter.left.length) waiter.done();
    }
    return undefined;
  }

  #met(need: Open): boolean {
    const { key, revision, versionAtStart } = need;
    const version = this.shown.version(key), seen = this.shown.seen(key);
    if (seen === Infinity) return true;
    if (revision === 0) return version === 0 || version !== versionAtStart;
    if (version >= revision) return true;
    // A later event alone shows nothing: the watch may have skipped this one.
    return seen >= revision && version === 0 && this.shown.existedSince(key, revision - 1);
  }
}
