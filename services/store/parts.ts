/** A part of etcd that a mirror shows and follows. */
export interface Part {
  /** The followed prefix or key, see rangeUnder(). */
  readonly prefix: string;
  /** Every event up to this revision has been processed. */
  seen: number;
  /** The revision of its last listing, if there was one: earlier events of its keys are not known. */
  listed?: number;
  /** The keys of the part that the mirror has, to be removed with it; absent where the part is always followed. */
  readonly keys?: Set<string>;
}

/** The parts that a mirror follows; none lies inside another. */
export class Parts {
  readonly #byPrefix = new Map<string, Part>();

  get(prefix: string): Part | undefined {
    return this.#byPrefix.get(prefix);
  }

  /** True for this very object: a part that was unfollowed and followed again since is another one. */
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
      // The next shorter prefix ends in the slash before this one.
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
