/**
 * Compares what a mirror shows with what etcd holds. Refusals rest on that: etcd's watch may be late, and may skip events,
 * without a sign of either.
 */
import { unobserved } from "../common/async.ts";
import type { FollowedPart } from "./followed_parts.ts";
import type { RangeResponse } from "./messages.ts";

/** An event of the watch as the mirror took it. The versions are mod revisions of the key, 0 where it is absent. */
interface Taken {
  readonly key: string;
  readonly before: number;
  readonly after: number;
  readonly revision: number;
}

/**
 * A comparison with etcd's answer to {@link EtcdConnection.written}, as of the revision of that answer. The mirror may be
 * behind: then the comparison goes on with the events that it takes. It may be ahead too: then later events are not looked at.
 */
export class Comparison {
  /** The parts that the mirror followed when the comparison began. */
  readonly parts: readonly FollowedPart[];
  /** How many callers wait for it. */
  waiting = 0;
  readonly #sides: Map<FollowedPart, PartComparison>;
  readonly #over = unobserved<boolean>();

  /** @param version The newest mod revision that the mirror has seen of a key; 0: absent. */
  constructor(parts: readonly FollowedPart[], version: (key: string) => number) {
    this.parts = parts;
    this.#sides = new Map(parts.map((part) => [part, new PartComparison(part.size, version)]));
  }

  /**
   * Resolves with true when the mirror has shown all that etcd held, and with false when that was not found out: everything
   * was listed again or is in doubt, or nothing waits for it any more.
   */
  get isEqual(): Promise<boolean> {
    return this.#over.promise;
  }

  /** Takes etcd's answer, which has one range for each of {@link parts}. */
  answered(revision: number, ranges: readonly RangeResponse[]): void {
    for (const [i, part] of this.parts.entries()) {
      const range = ranges[i];
      if (range) this.#sides.get(part)?.answered(revision, range);
    }
  }

  take(part: FollowedPart, event: Taken): void {
    this.#sides.get(part)?.take(event);
  }

  /** Leaves out a part that the mirror no longer follows. */
  drop(part: FollowedPart): void {
    this.#sides.delete(part);
  }

  /** Looks whether all is equal now. Returns true when the comparison is over. */
  check(): boolean {
    for (const [part, side] of this.#sides) {
      if (side.isEqual) part.equal = Math.max(part.equal, side.revision);
      // Another comparison may have found the part equal at a later revision.
      if (part.equal >= side.revision) this.#sides.delete(part);
    }
    if (this.#sides.size) return false;
    this.#over.resolve(true);
    return true;
  }

  end(): void {
    this.#over.resolve(false);
  }

  fail(reason: unknown): void {
    this.#over.reject(reason);
  }
}

/** The comparison of one part. */
class PartComparison {
  /** The revision of etcd's answer; Infinity before that. */
  revision = Infinity;
  /** The events that were taken before etcd's answer. */
  #early: Taken[] = [];
  /** How many keys etcd has. */
  #count = 0;
  /** The keys that etcd has and the mirror did not show at that revision, with their mod revisions. */
  readonly #missing = new Map<string, number>();

  /** @param size How many keys the mirror shows. */
  constructor(private size: number, private readonly version: (key: string) => number) {}

  /**
   * The mirror showed all of etcd's keys that were written since the part was equal, and as many keys as there are: it showed no
   * other ones.
   */
  get isEqual(): boolean {
    return this.#missing.size === 0 && this.size === this.#count && this.revision < Infinity;
  }

  answered(revision: number, { count, kvs }: RangeResponse): void {
    const early = this.#early;
    this.revision = revision;
    this.#count = count;
    this.#early = [];
    /** The versions that the mirror showed of keys which it shows in a later version now. */
    const then = new Map<string, number>();
    for (const event of early) {
      if (event.revision > revision && !then.has(event.key)) then.set(event.key, event.before);
      this.take(event);
    }
    for (const { key, modRevision } of kvs) {
      if ((then.get(key) ?? this.version(key)) !== modRevision) this.#missing.set(key, modRevision);
    }
  }

  take(event: Taken): void {
    const { key, before, after, revision } = event;
    if (this.revision === Infinity) this.#early.push(event);
    else if (revision <= this.revision) {
      this.size += Number(after > 0) - Number(before > 0);
      if (this.#missing.get(key) === after) this.#missing.delete(key);
    }
  }
}

/** The comparisons that are not over. */
export class Comparisons {
  readonly #pending = new Set<Comparison>();

  constructor(private readonly version: (key: string) => number) {}

  /** True while there is one, which has to be told of events. */
  get some(): boolean {
    return this.#pending.size > 0;
  }

  begin(parts: readonly FollowedPart[]): Comparison {
    const comparison = new Comparison(parts, this.version);
    this.#pending.add(comparison);
    return comparison;
  }

  take(part: FollowedPart, event: Taken): void {
    for (const comparison of this.#pending) comparison.take(part, event);
  }

  drop(part: FollowedPart): void {
    for (const comparison of this.#pending) comparison.drop(part);
  }

  /** Ends those that find all equal; called after each change of the mirror. */
  check(): void {
    for (const comparison of this.#pending) if (comparison.check()) this.#pending.delete(comparison);
  }

  /** Ends all others that nothing waits for: what waited gave up while etcd was asked. */
  endUnused(but: Comparison): void {
    for (const other of this.#pending) if (other !== but && other.waiting === 0) this.end(other);
  }

  /** Ends one that nothing waits for any more. */
  end(comparison: Comparison): void {
    this.#pending.delete(comparison);
    comparison.end();
  }

  /** Ends all of them: everything was listed again, or is in doubt. */
  endAll(): void {
    for (const comparison of this.#pending) this.end(comparison);
  }

  fail(reason: unknown): void {
    for (const comparison of this.#pending) comparison.fail(reason);
  }
}
