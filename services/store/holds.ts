/** Reference counting for the parts of etcd that a mirror follows. */
import type { StoreMirror } from "./mirror.ts";

interface Held {
  readonly prefixes: readonly string[];
  readonly following: Promise<void>;
  count: number;
}

/** Counts the holders of each id. Its prefixes are followed from the first hold until the last release. */
export class Holds {
  readonly #held = new Map<string, Held>();

  /** @param prefixesOf Returns the prefixes to follow for an id. */
  constructor(
    private readonly mirror: Pick<StoreMirror<unknown>, "follow" | "unfollow">,
    private readonly prefixesOf: (id: string) => readonly string[],
  ) {}

  /**
   * Resolves when the mirror shows all of the ids; those that it did not follow yet are listed together. Returns the function
   * that releases them. Throws what {@link StoreMirror.follow} throws, and then holds none of them.
   */
  async hold(ids: readonly string[]): Promise<() => void> {
    const wanted = [...new Set(ids)];
    const fresh = new Map<string, readonly string[]>();
    for (const id of wanted) if (!this.#held.has(id)) fresh.set(id, this.prefixesOf(id));
    const following = fresh.size ? this.mirror.follow([...fresh.values()].flat()) : Promise.resolve();
    for (const [id, prefixes] of fresh) this.#held.set(id, { prefixes, following, count: 0 });
    const underWay = new Set<Promise<void>>();
    for (const id of wanted) {
      const held = this.#held.get(id);
      if (!held) continue;
      held.count++;
      underWay.add(held.following);
    }
    let holding = true;
    const release = () => {
      if (holding) this.#release(wanted);
      holding = false;
    };
    try {
      await Promise.all(underWay);
    } catch (error) {
      release();
      throw error;
    }
    return release;
  }

  #release(ids: readonly string[]): void {
    const last: string[] = [];
    for (const id of ids) {
      const held = this.#held.get(id);
      if (!held || --held.count > 0) continue;
      this.#held.delete(id);
      last.push(...held.prefixes);
    }
    if (last.length) this.mirror.unfollow(last);
  }
}
