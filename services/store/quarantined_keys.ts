/** The keys of a mirror whose newest value in etcd cannot be parsed. */

/** The keys whose newest value could not be read, with the reason for each. */
export class QuarantinedKeys extends Map<string, string> {
  #changes = 0;

  /** How often a key came, went, or got another reason: what was derived from the keys holds while this stays the same. */
  get changes(): number {
    return this.#changes;
  }

  override set(key: string, reason: string): this {
    if (this.get(key) !== reason) this.#changes++;
    return super.set(key, reason);
  }

  override delete(key: string): boolean {
    const isGone = super.delete(key);
    if (isGone) this.#changes++;
    return isGone;
  }
}
