/** Group commit against a model: random plans that share transactions. */
import assert from "node:assert/strict";
import type { EtcdConnection } from "../../services/store/connection.ts";
import type { CommitOutcome, Plan } from "../../services/store/types.ts";
import { labEtcd } from "../lab/etcd.ts";
import { type LabStore, labStore } from "../lab/store.ts";

const PLANS = 3_000, AT_ONCE = 60;
/** Some under a prefix that plans guard as a whole, some beside it; few, so that plans meet all the time. */
const KEYS = ["/a/1", "/a/2", "/a/3", "/a/4", "/a/5", "/a/net/1", "/a/net/2", "/a/net/3"];
const PREFIX = "/a/net/";

interface Tried {
  readonly plan: Plan;
  readonly outcome: CommitOutcome;
  readonly by: LabStore;
}

type State = ReadonlyMap<string, number>;

async function stateAt(connection: EtcdConnection, revision: number): Promise<State> {
  const state = new Map<string, number>();
  for await (const page of connection.list(["/a/"], { revision, keysOnly: true })) {
    for (const { key, modRevision } of page.kvs) state.set(key, modRevision);
  }
  return state;
}

/** The guards that do not hold in that state. */
function broken({ guards, prefixGuards = [] }: Plan, state: State): unknown[] {
  return [
    ...guards.filter(({ key, modRevision }) => (state.get(key) ?? 0) !== modRevision),
    ...prefixGuards.filter(({ prefix, unchangedSince }) =>
      [...state].some(([key, modRevision]) => key.startsWith(prefix) && modRevision > unchangedSince)
    ),
  ];
}

function writes(plan: Plan): string[] {
  return plan.ops.map((op) => "put" in op ? op.put : op.remove);
}

/** True if one writes what the other has read or writes: which of them came first would matter. */
function meet(one: Plan, other: Plan): boolean {
  const against = (a: Plan, b: Plan) =>
    writes(a).some((key) =>
      writes(b).includes(key) || b.guards.some((guard) => guard.key === key) ||
      b.prefixGuards?.some(({ prefix }) => key.startsWith(prefix))
    );
  return against(one, other) || against(other, one);
}

/** Plans that guard and write keys picked at random, some of them from what was true a moment ago. */
function planner(seed: number): (store: LabStore, n: number) => Plan {
  let state = seed || 1;
  const below = (count: number) => (state = (state * 48271) % 0x7fffffff) % count;
  const some = (most: number) => [
    ...new Set(Array.from({ length: below(most) + 1 }, () => KEYS[below(KEYS.length)] ?? "/a/1")),
  ];
  return (store, n) => {
    const modRevision = (key: string) => store.mirror.get(key)?.modRevision ?? 0;
    const guards = some(2).map((key) => ({ key, modRevision: below(20) ? modRevision(key) : 0 }));
    const ops = some(3).map((key) =>
      // What is removed exists, or the revision would not tell which plan it was.
      below(4) || !modRevision(key) || !guards.some((guard) => guard.key === key && guard.modRevision)
        ? { put: key, value: `{"n":${n}}` }
        : { remove: key }
    );
    if (below(3)) return { guards, ops };
    return { guards, ops, prefixGuards: [{ prefix: PREFIX, unchangedSince: store.mirror.state.revision }] };
  };
}

/** What became of plans: how many were lost, and how many each revision has. */
class Counts {
  lost = 0;
  readonly committed = new Map<number, number>();

  add(outcome: CommitOutcome): void {
    if (!outcome.committed) this.lost++;
    else this.committed.set(outcome.revision, (this.committed.get(outcome.revision) ?? 0) + 1);
  }

  get #shared(): number {
    return [...this.committed.values()].filter((plans) => plans > 1).length;
  }

  /** True once there is enough of each for the comparison to mean something. */
  get areEnough(): boolean {
    return this.lost > 100 && this.committed.size > 100 && this.#shared > 20;
  }

  toString(): string {
    return `${this.lost} lost, ${this.#shared} of ${this.committed.size} shared`;
  }
}

/** Tries plans until {@link PLANS} have been tried and there is enough of each: how many are lost depends on how far the mirrors are behind. */
async function contest(stores: readonly LabStore[], seed: number): Promise<Tried[]> {
  const plan = planner(seed), counts = new Counts();
  const tried: Tried[] = [];
  let n = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async (_, i) => {
    const by = stores[i % stores.length];
    while (by && (n < PLANS || (!counts.areEnough && n < 20 * PLANS))) {
      const next = plan(by, n++);
      const outcome = await by.committer.commitGrouped(next);
      counts.add(outcome);
      tried.push({ plan: next, outcome, by });
    }
  }));
  assert(counts.areEnough, String(counts));
  return tried;
}

for (const maxInFlight of [2, 16]) {
  const seed = Number(Deno.env.get("FUZZ_SEED") ?? Math.floor(Math.random() * 2 ** 31));
  const title =
    `of ${PLANS} plans or more that meet, grouped by two processes with ${maxInFlight} transactions under way, only those commit whose guards hold (seed ${seed})`;
  Deno.test(title, async () => {
    await using etcd = await labEtcd();
    using one = labStore([etcd.endpoint], { maxInFlight });
    using two = labStore([etcd.endpoint], { maxInFlight });
    await Promise.all([one.mirror.ready(), two.mirror.ready()]);
    const tried = await contest([one, two], seed);

    const together = new Map<number, Tried[]>();
    for (const one of tried) {
      const { plan, outcome } = one;
      if (outcome.committed) {
        together.set(outcome.revision, [...together.get(outcome.revision) ?? [], one]);
        continue;
      }
      const found = new Map(outcome.current.map(({ key, modRevision }) => [key, modRevision]));
      assert.notDeepEqual(broken(plan, found), [], "what it was told stands in the way is in the way");
    }
    for (const [revision, group] of together) {
      const before = await stateAt(one.connection, revision - 1);
      const after = await stateAt(one.connection, revision);
      for (const { plan } of group) {
        assert.deepEqual(broken(plan, before), [], `guards at ${revision - 1}`);
        for (const op of plan.ops) {
          if ("put" in op) assert.equal(after.get(op.put), revision);
          else assert.equal(after.get(op.remove), undefined);
        }
      }
      for (const [i, a] of group.entries()) {
        assert.equal(a.by, group[0]?.by, "a revision belongs to one process");
        for (const b of group.slice(i + 1)) {
          assert(!meet(a.plan, b.plan), "plans of one transaction never meet");
        }
      }
    }
  });
}
