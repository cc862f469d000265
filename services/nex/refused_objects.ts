/** The refusals of a spec, object by object, so that all of them can be told at once. */
import { Refusal, type RefusalCode } from "../common/refusal.ts";
import { Refusals } from "../common/refusals.ts";

/** A part of a spec. */
export interface SpecObject {
  /** A MemberList is refused as a whole where its network is not there. */
  readonly kind: "Network" | "Member" | "MemberList";
  /** Of a member or a list: its network; of a network: itself. */
  readonly net: string;
  /** Of a member. */
  readonly mac?: string;
}

/** The refusal of an object of a spec, in the words of the refusal itself. */
export class ObjectRefused extends Refusal {
  constructor(readonly object: SpecObject, { code, message }: Refusal) {
    super(code, message);
  }
}

/** The codes of refusals that are about the spec; the others say that it could not be looked at. */
const aboutSpec: ReadonlySet<RefusalCode> = new Set([
  "invalid",
  "not-found",
  "exists",
  "forbidden",
  "exhausted",
]);

/** Runs what plans an object; undefined where that is refused and the refusal is noted. */
export type Attempt = <T>(object: SpecObject, plan: () => T) => T | undefined;

/** Refuses at the first refusal. */
export const atFirst: Attempt = (_, plan) => plan();

/** The refusals of the objects of a spec, which are planned one after the other. */
export class RefusedObjects {
  readonly #all: ObjectRefused[] = [];
  readonly #told = new Set<string>();

  /** See {@link Attempt}: what is refused is noted, and the next object can be planned. */
  readonly attempt: Attempt = (object, plan) => {
    try {
      return plan();
    } catch (error) {
      this.#note(object, error);
      return undefined;
    }
  };

  /** Does the same as `attempt` for a part that has noted refusals of its own. */
  async part<T>(plan: () => Promise<T>): Promise<T | undefined> {
    try {
      return await plan();
    } catch (error) {
      this.#note(undefined, error);
      return undefined;
    }
  }

  /** Throws what has been noted, if it is anything. */
  refuse(): void {
    if (this.#all.length) throw this.refusal();
  }

  /** Returns all that has been noted. */
  refusal(): Refusals<ObjectRefused> {
    return new Refusals(this.#all);
  }

  #note(object: SpecObject | undefined, error: unknown): void {
    for (const refusal of error instanceof Refusals ? error.all : [error]) {
      const known = refusal instanceof ObjectRefused;
      if (!known && !(object && refusal instanceof Refusal && aboutSpec.has(refusal.code))) throw error;
      const noted = known ? refusal : new ObjectRefused(object as SpecObject, refusal as Refusal);
      // A full network has no address for each of its new members, and says so once.
      if (this.#told.has(noted.message)) continue;
      this.#told.add(noted.message);
      this.#all.push(noted);
    }
  }
}
