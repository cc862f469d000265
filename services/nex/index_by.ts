/** An index from a value to the ids that have it, as the view has for members by name and by address. */

/** An index of ids by a value, such as members by their name: a value nearly always has one id. */
export class Index {
  readonly #holders = new Map<string, string[]>();

  /** In the order in which they were added. */
  get(value: string): readonly string[] {
    return this.#holders.get(value) ?? none;
  }

  add(value: string, id: string): void {
    const holders = this.#holders.get(value);
    if (holders) holders.push(id);
    else this.#holders.set(value, [id]);
  }

  remove(value: string, id: string): void {
    const left = this.#holders.get(value)?.filter((holder) => holder !== id);
    if (left?.length) this.#holders.set(value, left);
    else this.#holders.delete(value);
  }

  move(before: string | undefined, after: string | undefined, id: string): void {
    if (before === after) return;
    if (before) this.remove(before, id);
    if (after) this.add(after, id);
  }
}

const none: readonly string[] = [];
