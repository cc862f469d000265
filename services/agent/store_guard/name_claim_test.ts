import assert from "node:assert/strict";
import { until } from "../../../tests/lab/until.ts";
import { Refusal } from "../../common/refusal.ts";
import { SandKeys } from "../../store/sand_keys.ts";
import type { NameClaimRecord } from "../../store/sand_records.ts";
import type { SandStore } from "../../store/sand_store.ts";
import type { Change, CommitOutcome, Plan } from "../../store/types.ts";
import type { Log } from "../../common/log.ts";
import type { StoreGuard } from "./guard.ts";
import { guardedBy, NameClaim } from "./name_claim.ts";
import { releaseHold } from "./release.ts";

const keys = new SandKeys(), KEY = keys.nameClaim("h1");

/** As much of etcd and the store as a claim needs: leases, one key, and the watch on it, which tells nothing by itself. */
class FakeStore {
  revision = 4;
  lease = 0n;
  held: { readonly modRevision: number; readonly value: string } | undefined;
  /** What the answers to puts of the claim wait for, and new leases. */
  answers = Promise.resolve();
  grants = Promise.resolve();
  #tell: (changes: readonly Change<unknown>[]) => void = () => {};

  readonly store = {
    keys,
    connection: {
      grantLease: () => this.grants.then(() => ({ id: ++this.lease, ttlSeconds: 1 })),
      // It is kept often, and yet lives on over a pause of a busy machine.
      keepLease: (id: bigint) => Promise.resolve(id === this.lease ? 60 : 0),
      revokeLease: () => Promise.resolve(),
    },
    mirror: {
      subscribe: (tell: (changes: readonly Change<unknown>[]) => void) => {
        this.#tell = tell;
        return () => {};
      },
    },
    nameClaim: () =>
      Promise.resolve({
        modRevision: this.held?.modRevision ?? 0,
        ...this.held && { record: JSON.parse(this.held.value) as NameClaimRecord },
      }),
    committer: {
      commit: async (plan: Plan): Promise<CommitOutcome> => {
        const outcome = this.apply(plan);
        if (plan.ops.some((op) => "put" in op && op.put === KEY)) await this.answers;
        return outcome;
      },
    },
  } as unknown as SandStore;

  apply({ guards, ops }: Plan): CommitOutcome {
    const now = this.held?.modRevision ?? 0;
    if (guards.some(({ key, modRevision }) => key === KEY && modRevision !== now)) {
      return { committed: false, current: [{ key: KEY, modRevision: now }] };
    }
    const modRevision = ++this.revision;
    for (const op of ops) if ("put" in op && op.put === KEY) this.held = { modRevision, value: op.value };
    return { committed: true, revision: modRevision };
  }

  /** Another lease is granted as soon as the present one is next kept, and the claim is put under it. */
  endLease(): void {
    this.lease++;
  }

  /** The watch tells that the claim of that revision was deleted. */
  tellDeleted(modRevision: number, revision: number): void {
    const before = { key: KEY, record: {}, createRevision: modRevision, modRevision };
    this.#tell([{ key: KEY, before, after: undefined, revision }]);
  }
}

async function claimed(fake: FakeStore): Promise<NameClaim> {
  const claim = new NameClaim(fake.store, {
    hostname: "h1",
    identity: { start: "this", boot: "b" },
    about: () => ({ host_ip: "192.0.2.1", machine: "m", version: "1" }),
    obtain: () => Promise.resolve({ lock: "1:2" }),
    onHold: () => {},
    onHeld: () => {},
  });
  await claim.first(AbortSignal.timeout(30_000));
  return claim;
}

const plan: Plan = { guards: [{ key: "/a", modRevision: 1 }], ops: [{ put: "/a", value: "" }] };

/** Commits a plan whose transaction reaches etcd only when the claim has been put under another lease. */
async function overtaken(fake: FakeStore, claim: NameClaim): Promise<CommitOutcome> {
  const first = fake.held?.modRevision ?? 0;
  const { committer } = fake.store, arrive = Promise.withResolvers<void>();
  const late = { ...committer, commit: (plan: Plan) => arrive.promise.then(() => committer.commit(plan)) };
  const outcome = guardedBy(claim, { ...fake.store, committer: late }).committer.commit(plan);
  fake.endLease();
  await until("the claim is put again", () => (fake.held?.modRevision ?? 0) > first, 30_000);
  arrive.resolve();
  return outcome;
}

Deno.test("a change that the agent's own claim overtook, put under another lease, is a conflict to plan again from", async () => {
  const fake = new FakeStore(), claim = await claimed(fake);
  assert.deepEqual(await overtaken(fake, claim), { committed: false, current: [] });
  assert.equal(claim.hold, undefined);
  await claim.close();
});

Deno.test("also where the answer to the claim's own put comes after the change was refused", async () => {
  const fake = new FakeStore(), claim = await claimed(fake), answer = Promise.withResolvers<void>();
  fake.answers = answer.promise;
  const outcome = overtaken(fake, claim);
  setTimeout(answer.resolve, 50);
  assert.deepEqual(await outcome, { committed: false, current: [] });
  assert.equal(claim.hold, undefined);
  await claim.close();
});

Deno.test("where etcd knows neither claim nor lease, as another one, a change and a release wait for the new claim", async () => {
  const fake = new FakeStore(), claim = await claimed(fake), grant = Promise.withResolvers<void>();
  fake.grants = grant.promise;
  fake.endLease();
  fake.held = undefined;
  await until("the lease is over", () => !claim.live, 30_000);
  const outcome = guardedBy(claim, fake.store).committer.commit(plan);
  const storeGuard = { storeHold: { reason: "another etcd cluster answers", since: 0 }, release() {} };
  const released = releaseHold({
    claim,
    storeGuard: storeGuard as unknown as StoreGuard,
    resume: () => Promise.resolve(),
    log: { warn: () => assert.equal(claim.lease, fake.lease) } as unknown as Log,
    stopping: new AbortController().signal,
  });
  setTimeout(grant.resolve, 50);
  assert.deepEqual(await outcome, { committed: false, current: [] });
  assert.match(await released, /^released/);
  assert.equal(claim.hold, undefined);
  await claim.close();
});

Deno.test("a change is refused with who has the name when another agent has taken it", async () => {
  const fake = new FakeStore(), claim = await claimed(fake);
  const guarded = guardedBy(claim, fake.store);
  const others = {
    start: "x",
    boot: "y",
    lock: "1:2",
    lease: "1",
    since: "2026-01-02",
    host_ip: "",
    machine: "",
    version: "",
  };
  fake.held = { modRevision: ++fake.revision, value: JSON.stringify(others) };
  await assert.rejects(guarded.committer.commit(plan), (error) => {
    assert.ok(error instanceof Refusal && error.code === "unavailable");
    assert.match(error.message, /the name h1 is held by another agent since 2026-01-02/);
    return true;
  });
  await claim.close();
});

Deno.test("an event that an earlier claim of the agent was deleted does not put it on hold; that the present one was does", async () => {
  const fake = new FakeStore(), claim = await claimed(fake);
  const first = fake.held?.modRevision ?? 0;
  fake.endLease();
  await until("the claim is put again", () => claim.guard.modRevision > first, 30_000);
  const { modRevision } = claim.guard;
  fake.tellDeleted(first, modRevision - 1);
  assert.doesNotMatch(claim.sentence, /was removed in etcd/);
  fake.tellDeleted(modRevision, modRevision + 1);
  assert.match(claim.sentence, /was removed in etcd/);
  await claim.close();
});

Deno.test("a name that another agent had is claimed once it is free, also where the watch does not tell so", async () => {
  const fake = new FakeStore(), claim = await claimed(fake), { held } = fake;
  const taken = { ...JSON.parse(held?.value ?? "{}"), start: "x", boot: "y" };
  fake.held = { modRevision: ++fake.revision, value: JSON.stringify(taken) };
  await assert.rejects(guardedBy(claim, fake.store).committer.commit(plan), /is held by another agent/);
  for (const _ of [1, 2]) {
    assert.ok(claim.hold);
    fake.held = undefined;
    await until("the name is this agent's", () => claim.hold === undefined, 30_000);
    fake.held = undefined;
    fake.tellDeleted(claim.guard.modRevision, claim.guard.modRevision + 1);
  }
  await claim.close();
});
