/** Collects the guards and operations of one etcd transaction; a later operation on a key replaces the earlier one. */
import { type Guard, MAX_PLAN_OPS, type Plan, type PrefixGuard, type StoreOp } from "../store/types.ts";

/** The agent adds one guard to each plan: its claim on its host's name. */
const CLAIM = 1;

/** A plan under construction. */
export class PlanBuilder {
  readonly #guards = new Map<string, Guard>();
  readonly #prefixGuards = new Map<string, PrefixGuard>();
  readonly #ops = new Map<string, StoreOp>();

  guard(...guards: readonly Guard[]): this {
    for (const guard of guards) this.#guards.set(guard.key, guard);
    return this;
  }

  /** Refused if anything under the prefix was written after that revision; 0: if there is anything at all. */
  unchanged(prefix: string, unchangedSince: number): this {
    this.#prefixGuards.set(prefix, { prefix, unchangedSince });
    return this;
  }

  /** Refused if anything is under the prefix. */
  nothingUnder(prefix: string): this {
    return this.unchanged(prefix, 0);
  }

  put(key: string, value: string): this {
    this.#ops.set(key, { put: key, value });
    return this;
  }

  remove(key: string): this {
    this.#ops.set(key, { remove: key });
    return this;
  }

  /** How many more guards and operations fit. */
  get room(): number {
    return MAX_PLAN_OPS - CLAIM - Math.max(this.#ops.size, this.#guards.size + this.#prefixGuards.size);
  }

  plan(): Plan {
    return {
      guards: [...this.#guards.values()],
      prefixGuards: [...this.#prefixGuards.values()],
      ops: [...this.#ops.values()],
    };
  }
}
