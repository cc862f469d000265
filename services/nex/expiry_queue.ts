/** A priority queue of expiry times, from which the sweep takes the leases that are over. */

/**
 * Ids in the order of the time at which they are due: a binary heap, so that the sweep touches only what is due. When an id's time
 * becomes later (a renewal), its place in the heap is corrected once that place is due.
 */
export class ExpiryQueue {
  readonly #heap: { at: number; id: string }[] = [];
  readonly #queued = new Map<string, number>();

  /** @param timeOf When an id is due now, in seconds since the epoch; undefined: never. */
  constructor(private readonly timeOf: (id: string) => number | undefined) {}

  /** Notes that the time of `id` may have changed. */
  changed(id: string): void {
    const at = this.timeOf(id);
    if (at === undefined) return;
    const queued = this.#queued.get(id);
    // A later time than its place in the heap: the place is corrected once it is due.
    if (queued === undefined || at < queued) this.#push(id, at);
  }

  /** Up to `limit` ids whose time is `now` or earlier. They stay queued until their time changes. */
  due(now: number, limit: number): string[] {
    const found: string[] = [];
    while (found.length < limit) {
      const top = this.#heap[0];
      if (!top || top.at > now) break;
      this.#pop();
      if (this.#queued.get(top.id) !== top.at) continue; // an earlier place of the same id was handled
      this.#queued.delete(top.id);
      const at = this.timeOf(top.id);
      if (at === undefined) continue;
      if (at > now) this.#push(top.id, at);
      else found.push(top.id);
    }
    // Queued again for the case that the caller cannot handle them now.
    for (const id of found) this.changed(id);
    return found;
  }

  /** When the next id may be due, in seconds since the epoch. */
  get next(): number | undefined {
    return this.#heap[0]?.at;
  }

  #push(id: string, at: number): void {
    this.#queued.set(id, at);
    const heap = this.#heap;
    let i = heap.push({ at, id }) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (this.#at(parent) <= this.#at(i)) break;
      this.#swap(i, parent);
      i = parent;
    }
  }

  #pop(): void {
    const heap = this.#heap;
    this.#swap(0, heap.length - 1);
    heap.pop();
    for (let i = 0;;) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2]) {
        if (child < heap.length && this.#at(child) < this.#at(least)) least = child;
      }
      if (least === i) return;
      this.#swap(i, least);
      i = least;
    }
  }

  #at(i: number): number {
    return this.#heap[i]?.at ?? Infinity;
  }

  #swap(i: number, j: number): void {
    const a = this.#heap[i], b = this.#heap[j];
    if (a && b) this.#heap[i] = b, this.#heap[j] = a;
  }
}
