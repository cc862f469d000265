/** An etcd that takes seconds for what it writes to disk, yet answers: its writes are waited for. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Server, ServerCredentials } from "@grpc/grpc-js";
import { LeaseGrantResponse } from "../../proto/gen/etcd.ts";
import { EtcdConnection } from "../../services/store/connection.ts";
import { UnknownOutcome } from "../../services/store/errors.ts";

/** Longer than a write may take at first. */
const SLOW_MS = 2_500;

/** Answers every request with these bytes. */
async function slowEtcd(answer: Uint8Array) {
  const server = new Server();
  const same = (bytes: Uint8Array) => Buffer.from(bytes) as never;
  for (const [service, name] of [["KV", "Txn"], ["Lease", "LeaseGrant"]]) {
    const path = `/etcdserverpb.${service}/${name}`;
    server.register(
      path,
      (_: unknown, reply: (error: null, answer: Uint8Array) => void) => {
        setTimeout(() => reply(null, answer), SLOW_MS);
      },
      same,
      same,
      "unary",
    );
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
      if (error) reject(error);
      else resolve(port);
    });
  });
  return { endpoint: `http://127.0.0.1:${port}`, [Symbol.dispose]: () => server.forceShutdown() };
}

Deno.test("an etcd that takes 2.5 s for every write is written to: no more than the first is given up, and a lease is granted", async () => {
  // The bytes of a lease's grant, read as a transaction's answer, say that it succeeded.
  using etcd = await slowEtcd(LeaseGrantResponse.encode({ header: null, ID: 1n, TTL: 60n }).finish());
  const open = () => new EtcdConnection({ endpoints: [etcd.endpoint] });
  const grants = open(), writes = open();
  try {
    const write = () =>
      writes.txn(new Uint8Array()).then(() => "written", (error) => {
        assert(error instanceof UnknownOutcome, `${error}`);
        return "late";
      });
    const [granted, written] = await Promise.all([
      grants.grantLease(60),
      (async () => [await write(), await write(), await write(), await write()])(),
    ]);
    assert.equal(granted.ttlSeconds, 60);
    // A timer that a busy machine runs late gives the first more time, which may be enough.
    assert.deepEqual(written.slice(1), ["written", "written", "written"]);
  } finally {
    grants.close();
    writes.close();
  }
});
