/** A store in memory that behaves like etcd, for tests and dry runs. */
import { messageOf } from "../common/refusal.ts";
import { QuarantinedKeys } from "./quarantined_keys.ts";
import type {
  Change,
  CommitOutcome,
  Committer,
  Entry,
  Guard,
  Mirror,
  Plan,
  PrefixGuard,
  Schema,
} from "./types.ts";
import { MAX_PLAN_OPS } from "./types.ts";

/**
 * A store in memory that answers as etcd does: for tests of plans by the thousand, without a lab, and to see what a change of a
 * copy would come to.
 */
export class MemoryStore<T> implements Committer {
  readonly values = new Map<string, { value: string; createRevision: number; modRevision: number }>();
  revision = 1;
  /** Is called before each commit: a test uses it to write first, and so to cause a conflict. */
  beforeCommit: (() => void) | undefined;
  readonly #entries = new Map<string, Entry<T>>();
  readonly #quarantined = new QuarantinedKeys();
  readonly #listeners = new Set<(changes: readonly Change<T>[]) => void>();

  constructor(private readonly schema: Schema<T>, initial: Record<string, string> = {}) {
    const ops = Object.entries(initial).map(([put, value]) => ({ put, value }));
    if (ops.length) this.write({ guards: [], ops });
  }

  readonly mirror: Mirror<T> = {
    get: (key) => this.#entries.get(key),
    entries: () => this.#entries.values(),
    version: (key) => this.values.get(key)?.modRevision ?? 0,
    existedSince: () => true,
    state: {
      inSync: true,
      revision: 1,
      outSince: undefined,
      outReason: undefined,
      quarantined: this.#quarantined,
      missed: 0,
      relists: 1,
    },
    subscribe: (listener) => {
      this.#listeners.add(listener);
      return () => this.#listeners.delete(listener);
    },
    ready: () => Promise.resolve(),
    caughtUp: () => Promise.resolve(),
    reached: () => Promise.resolve(),
  };

  commit(plan: Plan): Promise<CommitOutcome> {
    this.beforeCommit?.();
    return Promise.resolve(this.write(plan));
  }

  commitGrouped(plan: Plan): Promise<CommitOutcome> {
    return this.commit(plan);
  }

  /** Applies a plan at once. Throws what etcd would refuse: too many operations, or one key twice. */
  write(plan: Plan): CommitOutcome {
    const keys = plan.ops.map((op) => "put" in op ? op.put : op.remove);
    if (new Set(keys).size < keys.length) throw new Error(`one key twice in ${keys.join(" ")}`);
    if (this.revision > 1 && Math.max(keys.length, plan.guards.length) > MAX_PLAN_OPS) {
      throw new Error("too many operations");
    }
    const modRevision = (key: string) => this.values.get(key)?.modRevision ?? 0;
    const offenders = (plan.prefixGuards ?? []).flatMap((guard) => this.#newestSince(guard) ?? []);
    if (offenders.length || plan.guards.some((guard) => modRevision(guard.key) !== guard.modRevision)) {
      const guarded = plan.guards.map(({ key }) => ({ key, modRevision: modRevision(key) }));
      const others = offenders.filter(({ key }) => !guarded.some((guard) => guard.key === key));
      return { committed: false, current: [...guarded, ...others] };
    }
    const revision = ++this.revision;
    const changes: Change<T>[] = [];
    for (const op of plan.ops) {
      const key = "put" in op ? op.put : op.remove;
      const before = this.#entries.get(key);
      if ("put" in op) {
        const createRevision = this.values.get(key)?.createRevision ?? revision;
        this.values.set(key, { value: op.value, createRevision, modRevision: revision });
        const record = this.#read(key, op.value);
        if (record === undefined) continue;
        const after = { key, record, createRevision, modRevision: revision };
        this.#entries.set(key, after);
        changes.push({ key, before, after, revision });
        continue;
      }
      this.#quarantined.delete(key);
      if (this.values.delete(key) && this.#entries.delete(key)) {
        changes.push({ key, before, after: undefined, revision });
      }
    }
    for (const listener of this.#listeners) listener(changes);
    return { committed: true, revision };
  }

  /** The reason for which a prefix guard fails, as etcd's committer tells it: of several keys the one written last. */
  #newestSince({ prefix, unchangedSince }: PrefixGuard): Guard | undefined {
    let newest: Guard | undefined;
    for (const [key, { modRevision }] of this.values) {
      if (!key.startsWith(prefix) || modRevision <= (newest?.modRevision ?? unchangedSince)) continue;
      newest = { key, modRevision };
    }
    return newest;
  }

  /** The last valid record stays in place of one that cannot be read, as in the mirror of etcd. */
  #read(key: string, value: string): T | undefined {
    try {
      const record = this.schema.parse(key, value);
      this.#quarantined.delete(key);
      return record;
    } catch (error) {
      this.#quarantined.set(key, messageOf(error));
      return undefined;
    }
  }
}
