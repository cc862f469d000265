import type { StoreMirror } from "./mirror.ts";

interface Held {
  readonly prefixes: readonly string[];
  readonly following: Promise<void>;
  count: number;
}

/** Follows what somebody holds: from the first who does to the last. */
export class Holds {
  readonly #held = new Map<string, Held>();

  /** @param prefixesOf What is to be followed for the thing of that id. */
  constructor(
    private readonly mirror: Pick<StoreMirror<unknown>, "follow" | "unfollow">,
    private readonly prefixesOf: (id: string) => readonly string[],
  ) {}

  /**
   * Resolves when the mirror shows all of them; those that it did not follow yet are listed together. Returns how to let
   * go of them. Throws what {@link StoreMirror.follow} does, and holds none of them then.
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
