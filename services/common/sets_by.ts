/** A map from keys to sets of values, which has no entry for an empty set. */

/** Sets by a key: an index of which things have something in common. A key without any has no set. */
export class SetsBy<K, V> {
  readonly #sets = new Map<K, Set<V>>();

  /** Undefined: there are none. */
  get(key: K): ReadonlySet<V> | undefined {
    return this.#sets.get(key);
  }

  add(key: K, value: V): void {
    const values = this.#sets.get(key);
    if (values) values.add(value);
    else this.#sets.set(key, new Set([value]));
  }

  delete(key: K, value: V): void {
    const values = this.#sets.get(key);
    if (values?.delete(value) && values.size === 0) this.#sets.delete(key);
  }

  /** Each key with its set, never an empty one. */
  all(): ReadonlyMap<K, ReadonlySet<V>> {
    return this.#sets;
  }
}
