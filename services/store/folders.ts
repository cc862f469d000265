/**
 * The entries of a mirror in less memory than a Map by whole keys: folders, which many keys have in common up to their last slash,
 * are there once, and so are names that are in many folders, as those of hosts are.
 */
import { Shared } from "../common/shared.ts";
import type { Entries, Entry } from "./types.ts";

/** An entry whose key is put together when it is asked for. */
class Filed<T> implements Entry<T> {
  constructor(
    readonly folder: string,
    readonly name: string,
    readonly record: T,
    readonly createRevision: number,
    readonly modRevision: number,
  ) {}

  get key(): string {
    return this.folder + this.name;
  }
}

/** Used as a Map by the whole keys. */
export class Folders<T> implements Entries<T> {
  readonly #folders = new Map<string, Map<string, Entry<T>>>();
  readonly #texts = new Shared<string>();

  /** @param isCommon True where others in other folders may have the name of this one. */
  constructor(private readonly isCommon: (record: T) => boolean) {}

  keep({ key, record, createRevision, modRevision }: Entry<T>): Entry<T> {
    const [folder, name] = parts(key), once = (text: string) => this.#texts.get(text, () => copied(text));
    const own = this.isCommon(record) ? once(name) : copied(name);
    return new Filed(once(folder), own, record, createRevision, modRevision);
  }

  get(key: string): Entry<T> | undefined {
    const [folder, name] = parts(key);
    return this.#folders.get(folder)?.get(name);
  }

  has(key: string): boolean {
    return this.get(key) !== undefined;
  }

  put(entry: Entry<T>): Entry<T> | undefined {
    const [folder, name] = entry instanceof Filed ? [entry.folder, entry.name] : parts(entry.key);
    let its = this.#folders.get(folder);
    if (!its) this.#folders.set(folder, its = new Map());
    const before = its.get(name);
    its.set(name, entry);
    return before;
  }

  delete(key: string): boolean {
    const [folder, name] = parts(key), its = this.#folders.get(folder), isGone = its?.delete(name) === true;
    if (its?.size === 0) this.#folders.delete(folder);
    return isGone;
  }

  get size(): number {
    return this.#folders.values().reduce((sum, its) => sum + its.size, 0);
  }

  *keys(): IterableIterator<string> {
    for (const [folder, its] of this.#folders) for (const name of its.keys()) yield folder + name;
  }

  *values(): IterableIterator<Entry<T>> {
    for (const its of this.#folders.values()) yield* its.values();
  }
}

function parts(key: string): [folder: string, name: string] {
  const end = key.lastIndexOf("/") + 1;
  return [key.slice(0, end), key.slice(end)];
}

let last = "";

/** The text in memory of its own: V8 has a part of a string as a reference to all of it. What is asked for again at once is one. */
export function copied(text: string): string {
  if (text !== last) last = text.split("").join("");
  return last;
}
