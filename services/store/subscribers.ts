/** The listeners that a mirror calls with each batch of changes. */
import type { Change } from "./types.ts";

type Listener<T> = (changes: readonly Change<T>[]) => void;

/** A set of listeners. All get the batches in the same order, also when a listener causes further changes. */
export class Subscribers<T> {
  readonly #listeners = new Set<Listener<T>>();
  readonly #untold: (readonly Change<T>[])[] = [];
  #telling = false;

  constructor(private readonly failed: (error: unknown) => void) {}

  /** Returns the function that removes the listener. */
  add(listener: Listener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  notify(changes: readonly Change<T>[]): void {
    if (changes.length) this.#untold.push(changes);
    if (this.#telling) return;
    this.#telling = true;
    for (let next; (next = this.#untold.shift());) {
      for (const listener of this.#listeners) {
        try {
          listener(next);
        } catch (error) {
          this.failed(error);
        }
      }
    }
    this.#telling = false;
  }
}
