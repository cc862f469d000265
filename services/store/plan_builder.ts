/** Builds plans piece by piece, merges plans into one, and packs them into as few etcd transactions as they fit in. */
import { type Guard, keyOf, MAX_PLAN_OPS, type Plan, type PrefixGuard, type StoreOp } from "./types.ts";

/**
 * One plan under construction. Of several guards on a key or a prefix the first one counts: what is added later sees the key as an
 * earlier piece leaves it, not as the store has it. Of several operations on a key the last one counts.
 */
export class PlanBuilder {
  readonly #guards = new Map<string, Guard>();
  #prefixGuards: Map<string, PrefixGuard> | undefined;
  readonly #ops = new Map<string, StoreOp>();

  guard(...guards: readonly Guard[]): this {
    for (const guard of guards) if (!this.#guards.has(guard.key)) this.#guards.set(guard.key, guard);
    return this;
  }

  /** Adds a guard that fails if a key under the prefix was written after that revision; 0: if there is any key. */
  unchanged(prefix: string, unchangedSince: number): this {
    this.#prefixGuards ??= new Map();
    if (!this.#prefixGuards.has(prefix)) this.#prefixGuards.set(prefix, { prefix, unchangedSince });
    return this;
  }

  /** Adds a guard that fails if there is any key under the prefix. */
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

  /** Drops the operation on the key; guards on it stay. */
  leave(key: string): this {
    this.#ops.delete(key);
    return this;
  }

  add({ guards, prefixGuards = [], ops }: Plan): this {
    this.guard(...guards);
    for (const { prefix, unchangedSince } of prefixGuards) this.unchanged(prefix, unchangedSince);
    for (const op of ops) this.#ops.set(keyOf(op), op);
    return this;
  }

  /** How many more guards and operations fit. */
  get room(): number {
    return MAX_PLAN_OPS - Math.max(this.#ops.size, this.#guards.size + (this.#prefixGuards?.size ?? 0));
  }

  plan(): Plan {
    return {
      guards: [...this.#guards.values()],
      prefixGuards: [...this.#prefixGuards?.values() ?? []],
      ops: [...this.#ops.values()],
    };
  }
}

/** Merges plans, in order, into one. */
export function merge(plans: readonly Plan[]): Plan {
  const builder = new PlanBuilder();
  for (const plan of plans) builder.add(plan);
  return builder.plan();
}

/** Packs plans, in order, into as few transactions as etcd's limit allows; a plan is never split. */
export function pack(plans: readonly Plan[], limit = MAX_PLAN_OPS): Plan[] {
  const packed: Plan[] = [];
  let batch: Plan[] = [], guards = 0, ops = 0;
  for (const plan of plans) {
    const compares = plan.guards.length + (plan.prefixGuards?.length ?? 0);
    if (batch.length && (guards + compares > limit || ops + plan.ops.length > limit)) {
      packed.push(merge(batch));
      batch = [], guards = 0, ops = 0;
    }
    batch.push(plan), guards += compares, ops += plan.ops.length;
  }
  if (batch.length) packed.push(merge(batch));
  return packed;
}
