/** A part of etcd that a mirror shows and follows. */
export interface Part {
  /** What is followed, see rangeUnder(). */
  readonly prefix: string;
  /** Every event up to this revision has been taken in. */
  seen: number;
  /** The revision at which it was last listed, if it was: what became of its keys before that is not known. */
  listed?: number;
  /** The keys that the mirror holds of it, to be forgotten with it; absent where it is followed for good. */
  readonly keys?: Set<string>;
}

/** The parts that a mirror follows; none lies inside another. */
export class Parts {
  readonly #byPrefix = new Map<string, Part>();

  get(prefix: string): Part | undefined {
    return this.#byPrefix.get(prefix);
  }

  /** True for this very part: one that was left and taken up again since is another. */
  has(part: Part): boolean {
    return this.#byPrefix.get(part.prefix) === part;
  }

  all(): Part[] {
    return [...this.#byPrefix.values()];
  }

  /** The part that a key belongs to; its cost does not depend on how many there are. */
  of(key: string): Part | undefined {
    let found = this.#byPrefix.get(key);
    for (let end = key.length; !found && end > 0;) {
      // Up to the slash before this one.
      end = end > 1 ? key.lastIndexOf("/", end - 2) + 1 : 0;
      if (end > 0) found = this.#byPrefix.get(key.slice(0, end));
    }
    return found;
  }

  add(part: Part): void {
    this.#byPrefix.set(part.prefix, part);
  }

  delete(part: Part): void {
    this.#byPrefix.delete(part.prefix);
  }
}
