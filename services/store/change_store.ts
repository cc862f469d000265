/** The interface of a store for code that changes it: a mirror to plan on, a committer, and questions to etcd itself. */
import type { Committer, Guard, Mirror } from "./types.ts";

/** The parts of a store that a change uses. */
export interface ChangeStore<T> {
  readonly mirror: Mirror<T>;
  readonly committer: Committer;
  /** The mod revisions that these keys have in etcd now. Throws Refusal "unavailable". */
  current(keys: readonly string[]): Promise<readonly Guard[]>;
  /**
   * Resolves when the mirror shows everything that had been committed when this was called, as etcd itself says, and nothing that
   * this process gave up before can be committed any more. Throws Refusal "unavailable", or the reason of `signal`.
   */
  confirmed(signal: AbortSignal): Promise<void>;
  /**
   * Resolves when nothing that this process gave up before can be committed any more, and the mirror has taken the events of
   * these keys up to then, as far as that can be known. Throws as `confirmed` does.
   */
  settled(keys: readonly string[], signal: AbortSignal): Promise<void>;
}
