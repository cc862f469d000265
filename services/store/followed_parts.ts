/** The prefixes and keys of etcd that a mirror follows, each with the revisions up to which it is known. */

/** A part of etcd that a mirror shows and follows. */
export interface FollowedPart {
  /** The followed prefix or key, see rangeUnder(). */
  readonly prefix: string;
  /** Every event up to this revision has been processed. */
  seen: number;
  /** The revision of its last listing, if there was one: earlier events of its keys are not known. */
  listed?: number;
  /** The newest revision at which the mirror surely showed what etcd held; 0: that is not known of the etcd that is watched now. */
  equal: number;
  /** How many keys the mirror has of it, unreadable and foreign ones included. */
  size: number;
  /** The keys of the part that the mirror has, to be removed with it; absent where the part is always followed. */
  readonly keys?: Set<string>;
}

/** A part of which nothing is known yet. @param keys True for one that may be removed again. */
export function newPart(prefix: string, keys = false): FollowedPart {
  return { prefix, seen: 0, equal: 0, size: 0, ...keys && { keys: new Set() } };
}

/** The parts that a mirror follows; none lies inside another. */
export class FollowedParts {
  readonly #byPrefix = new Map<string, FollowedPart>();

  get(prefix: string): FollowedPart | undefined {
    return this.#byPrefix.get(prefix);
  }

  /** True for this very object: a part that was unfollowed and followed again since is another one. */
  has(part: FollowedPart): boolean {
    return this.#byPrefix.get(part.prefix) === part;
  }

  all(): FollowedPart[] {
    return [...this.#byPrefix.values()];
  }

  /** The part that a key belongs to; its cost does not depend on how many there are. */
  of(key: string): FollowedPart | undefined {
    let found = this.#byPrefix.get(key);
    for (let end = key.length; !found && end > 0;) {
      // The next shorter prefix ends in the slash before this one.
      end = end > 1 ? key.lastIndexOf("/", end - 2) + 1 : 0;
      if (end > 0) found = this.#byPrefix.get(key.slice(0, end));
    }
    return found;
  }

  add(part: FollowedPart): void {
    this.#byPrefix.set(part.prefix, part);
  }

  delete(part: FollowedPart): void {
    this.#byPrefix.delete(part.prefix);
  }
}
