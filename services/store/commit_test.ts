import assert from "node:assert/strict";
import { type ResponseOp, TxnRequest, TxnResponse } from "../../proto/gen/etcd.ts";
import { StoreCommitter } from "./commit.ts";
import type { EtcdConnection } from "./connection.ts";
import { UnknownOutcome } from "./errors.ts";
import type { Plan } from "./types.ts";

const FENCE = "/strand/fence/test";

/** Applies transactions as etcd does, as far as plans use them: compares, puts, removals and nested transactions. */
class TinyEtcd {
  revision = 1;
  readonly keys = new Map<string, number>();
  /** Every write of a plan's key. */
  readonly writes: string[] = [];
  readonly fences: number[] = [];

  apply(bytes: Uint8Array): Uint8Array {
    const next = this.revision + 1;
    const answer = this.#txn(TxnRequest.decode(bytes), new Map(this.keys), next);
    if ([...this.keys.values()].includes(next)) this.revision = next;
    const header = { clusterId: 0n, memberId: 0n, revision: BigInt(this.revision) };
    return TxnResponse.encode({ ...answer, header }).finish();
  }

  #txn(request: TxnRequest, before: ReadonlyMap<string, number>, revision: number): TxnResponse {
    const version = (key: string) => before.get(key) ?? 0;
    const succeeded = request.compare.every(({ key, modRevision }) => BigInt(version(key)) === modRevision);
    const responses: ResponseOp[] = [];
    for (const op of succeeded ? request.success : request.failure) {
      const { requestTxn, requestPut, requestDeleteRange, requestRange } = op;
      if (requestTxn) responses.push({ responseTxn: this.#txn(requestTxn, before, revision) });
      if (requestPut) this.#write(requestPut.key, true, revision);
      if (requestDeleteRange) this.#write(requestDeleteRange.key, false, revision);
      if (!requestRange) continue;
      const { key } = requestRange, modRevision = version(key);
      const kvs = modRevision ? [{ key, createRevision: 0, modRevision, value: null }] : [];
      responses.push({ responseRange: { header: null, kvs, more: false, count: kvs.length } });
    }
    return { header: null, succeeded, responses };
  }

  #write(key: string, put: boolean, revision: number): void {
    if (key === FENCE) this.fences.push(revision);
    else this.writes.push(key);
    if (put) this.keys.set(key, revision);
    else this.keys.delete(key);
  }
}

/** A committer, and what it sends: each transaction waits until the test says what becomes of it. */
function setUp(maxPlans = 64) {
  const etcd = new TinyEtcd();
  const sent: { bytes: Uint8Array; answer: () => void; late: () => void; fail: (error: Error) => void }[] =
    [];
  let arrived = Promise.withResolvers<void>();
  const connection = {
    endpoints: ["http://tiny"],
    grantLease: () => Promise.resolve({ id: 7n, ttlSeconds: 60 }),
    txn(bytes: Uint8Array) {
      const copy = bytes.slice(), { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
      sent.push({
        bytes: copy,
        answer: () => resolve(etcd.apply(copy)),
        late: () => void etcd.apply(copy),
        fail: reject,
      });
      arrived.resolve();
      return promise;
    },
  };
  const committer = new StoreCommitter(connection as unknown as EtcdConnection, {
    fenceKey: () => FENCE,
    maxInFlight: 4,
    maxPlans,
  });
  /** The next transaction that is sent. */
  const next = async () => {
    while (!sent.length) {
      arrived = Promise.withResolvers();
      await arrived.promise;
    }
    return sent.shift()!;
  };
  return { etcd, committer, next };
}

const create = (key: string): Plan => ({
  guards: [{ key, modRevision: 0 }],
  ops: [{ put: key, value: "x" }],
});

Deno.test("a shared transaction that was given up writes nothing when it arrives late, and what it was for is committed once", async () => {
  const { etcd, committer, next } = setUp();
  const outcomes = Promise.allSettled(["/a", "/b"].map((key) => committer.commitGrouped(create(key))));
  (await next()).answer(); // the fence
  const lost = await next();
  lost.fail(new UnknownOutcome("no answer"));
  (await next()).answer(); // the fence moves before any caller is told
  assert.deepEqual((await outcomes).map(({ status }) => status), ["rejected", "rejected"]);
  assert.equal(etcd.fences.length, 2);

  const again = committer.commitGrouped(create("/a"));
  (await next()).answer();
  assert((await again).committed);
  etcd.keys.delete("/a"); // and deleted
  lost.late();
  assert.deepEqual(etcd.writes, ["/a"], "what came late found its fence moved");
});

Deno.test("those under way when the fence moves are committed behind it: once, as no conflict, each with its own guards", async () => {
  const { etcd, committer, next } = setUp(2);
  etcd.keys.set("/d", 1);
  const names = ["/a", "/b", "/c", "/d", "/e"];
  const outcomes = names.map((key) => committer.commitGrouped(create(key)));
  const settled = Promise.allSettled(outcomes);
  (await next()).answer();
  const [lost, early, behind] = [await next(), await next(), await next()]; // a+b, c+d, e alone
  early.answer();
  lost.fail(new UnknownOutcome("no answer"));
  (await next()).answer();
  behind.answer();
  assert.deepEqual(etcd.writes, ["/c"]);
  (await next()).answer();
  const [a, b, c, d, e] = await settled;
  assert.equal(a?.status, "rejected");
  assert.equal(b?.status, "rejected");
  assert(c?.status === "fulfilled" && c.value.committed);
  assert.deepEqual(d?.status === "fulfilled" && d.value, {
    committed: false,
    current: [{ key: "/d", modRevision: 1 }],
  });
  assert(e?.status === "fulfilled" && e.value.committed);
  lost.late();
  behind.late();
  assert.deepEqual(etcd.writes, ["/c", "/e"]);
  assert.equal(etcd.fences.length, 2, "it has moved once");
});

Deno.test("a fence whose own answer is lost is written again, and when that comes late too nothing is lost or done twice", async () => {
  const { etcd, committer, next } = setUp();
  const outcome = committer.commit(create("/a"));
  (await next()).answer();
  const lost = await next();
  lost.fail(new UnknownOutcome("no answer"));
  const lostFence = await next();
  lostFence.fail(new UnknownOutcome("no answer"));
  (await next()).answer();
  await assert.rejects(outcome, UnknownOutcome);
  const again = committer.commit(create("/a"));
  const second = await next();
  lostFence.late();
  second.answer(); // meets the fence that came late
  (await next()).answer();
  (await next()).answer();
  assert((await again).committed);
  lost.late();
  assert.deepEqual(etcd.writes, ["/a"]);
});
