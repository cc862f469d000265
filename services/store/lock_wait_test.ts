import assert from "node:assert/strict";
import { waitForLocks } from "./lock_wait.ts";
import type { CommitOutcome, Guard, Plan } from "./types.ts";

const plan: Plan = { guards: [], ops: [{ put: "/a", value: "1" }] };
const isLock = (key: string) => key.startsWith("/etcd-lock/");

function store(outcome: CommitOutcome, heldFor: number) {
  let requests = 0;
  const commit = () => Promise.resolve(outcome);
  return {
    requests: () => requests,
    committer: { commit, commitGrouped: commit },
    current: ([key = ""]: readonly string[]): Promise<Guard[]> =>
      Promise.resolve([{ key, modRevision: requests++ < heldFor ? 7 : 0 }]),
  };
}

const conflict = (key: string): CommitOutcome => ({ committed: false, current: [{ key, modRevision: 7 }] });

Deno.test("waitForLocks() tells a conflict with a lock when the lock is gone", async () => {
  for (const method of ["commit", "commitGrouped"] as const) {
    const it = store(conflict("/etcd-lock/vni-idgen/1"), 3);
    const outcome = await waitForLocks(it, { isLock, everyMs: 1 })[method](plan);
    assert.deepEqual([outcome.committed, it.requests()], [false, 4]);
  }
});

Deno.test("waitForLocks() passes on at once what has nothing to do with a lock", async () => {
  for (const outcome of [conflict("/sc-net/network/N"), { committed: true, revision: 9 } as const]) {
    const it = store(outcome, Infinity);
    assert.deepEqual(await waitForLocks(it, { isLock }).commit(plan), outcome);
    assert.equal(it.requests(), 0);
  }
});

Deno.test("waitForLocks() names a lock that is held for too long", async () => {
  const it = store(conflict("/etcd-lock/ipalloc-lock/N/1"), Infinity);
  await assert.rejects(waitForLocks(it, { isLock, everyMs: 1, patienceMs: 5 }).commit(plan), {
    code: "unavailable",
    message: /^the lock \/etcd-lock\/ipalloc-lock\/N\/1 in etcd has been held/,
  });
});
