/** Adapts the time limit of writes to how long etcd has needed for the last ones. */

/** How long one write may take: longer while etcd is slow, so that what it still writes is not given up. */
export class Patience {
  #ms: number;

  /**
   * @param least How long a write may take while etcd is quick, in ms: after so long another member is tried.
   * @param most How long it may take at most, in ms.
   */
  constructor(private readonly least: number, private readonly most: number) {
    this.#ms = Math.min(least, most);
  }

  /** How long the next write may take, in ms. */
  get ms(): number {
    return this.#ms;
  }

  /** A write was not answered within its time. */
  late(): void {
    this.#ms = Math.min(this.#ms * 2, this.most);
  }

  /** A write took so long, in ms. One quick answer among slow ones takes away only a part of the time that they need. */
  took(ms: number): void {
    this.#ms = Math.min(Math.max(this.least, 2 * ms, this.#ms * 0.75), this.most);
  }
}
