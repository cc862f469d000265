/** Remembers the keys that etcd has deleted lately, with the revision of each deletion. */

/** The latest removals that a mirror has seen. They show whether a key that is absent now existed at a revision. */
const MOST = 4_096;

interface Removal {
  readonly key: string;
  readonly revision: number;
}

/** A list of the latest removals, limited to the newest ones. */
export class Removals {
  readonly #last = new Map<string, number>();
  /** A ring: looking for the first entry of a Map whose first entries are deleted costs more with each of those. */
  readonly #ring: Removal[] = [];
  #oldest = 0;
  /** Removals up to this revision may have been forgotten. */
  #from = 0;

  note(key: string, revision: number): void {
    const oldest = this.#ring[this.#oldest];
    this.#ring[this.#oldest] = { key, revision };
    this.#oldest = (this.#oldest + 1) % MOST;
    this.#last.set(key, revision);
    // A key that has been removed again since has a later entry.
    if (!oldest || this.#last.get(oldest.key) !== oldest.revision) return;
    this.#last.delete(oldest.key);
    this.#from = Math.max(this.#from, oldest.revision);
  }

  /** False when the key was certainly not removed after that revision. */
  since(key: string, revision: number): boolean {
    return revision < this.#from || (this.#last.get(key) ?? 0) > revision;
  }
}
