/** Keeps values of which many are equal once each. */

/** The most values that are kept. */
const MOST = 100_000;

/** A table of such values. */
export class Shared<T> {
  readonly #values = new Map<string, T>();

  /** The value that is known by a text. */
  get(text: string, make: () => T): T {
    const known = this.#values.get(text);
    if (known !== undefined) return known;
    // Values that come and go must not fill the memory: those that come again are then there twice.
    if (this.#values.size >= MOST) this.#values.clear();
    const value = make();
    this.#values.set(text, value);
    return value;
  }
}
