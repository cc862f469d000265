const MOST = 4_096;

/** The last removals that a mirror has seen: whether a key that is absent has been there in between. */
export class Removals {
  readonly #last = new Map<string, number>();
  /** Removals up to this revision may have been forgotten. */
  #from = 0;

  note(key: string, revision: number): void {
    this.#last.delete(key);
    this.#last.set(key, revision);
    if (this.#last.size <= MOST) return;
    for (const [oldest, at] of this.#last) {
      this.#last.delete(oldest);
      this.#from = Math.max(this.#from, at);
      return;
    }
  }

  /** False when the key was certainly not removed after that revision. */
  since(key: string, revision: number): boolean {
    return revision < this.#from || (this.#last.get(key) ?? 0) > revision;
  }
}
