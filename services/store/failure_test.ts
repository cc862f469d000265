import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import { callReason, isLate, isOperational, notConnected, remedyFor, verdictOf } from "./failure.ts";

function failed(code: status, details: string): Error {
  return Object.assign(new Error(`${code}: ${details}`), { code, details });
}

/** What grpc-js makes of a connection whose socket is closed by the lifeline. */
const dropped =
  "Received RST_STREAM with code 2 triggered by internal client error: The operation was aborted";
const noConnection =
  "No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ";

Deno.test("verdictOf() says that nothing was written only where that is certain", () => {
  const cases: [status, string, string][] = [
    [status.UNAVAILABLE, noConnection, "not-sent"],
    [status.UNAVAILABLE, "etcdserver: no leader", "not-sent"],
    [status.UNAVAILABLE, "Channel closed before call started", "not-sent"],
    [status.INTERNAL, dropped, "unknown"],
    [status.DEADLINE_EXCEEDED, "Deadline exceeded after 5.001s,Waiting for LB pick", "not-sent"],
    [
      status.DEADLINE_EXCEEDED,
      "Deadline exceeded after 5.001s,LB pick: 0.001s,remote_addr=127.0.0.1:2379",
      "unknown",
    ],
    [status.UNAVAILABLE, "Connection dropped", "unknown"],
    [status.UNAVAILABLE, "etcdserver: request timed out", "unknown"],
    [status.UNAVAILABLE, "etcdserver: leader changed", "unknown"],
    [status.CANCELLED, "Cancelled on client", "unknown"],
    [status.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded", "refused"],
    [status.RESOURCE_EXHAUSTED, "Received message larger than max", "unknown"],
    [status.INVALID_ARGUMENT, "etcdserver: too many operations in txn request", "refused"],
  ];
  for (const [code, details, verdict] of cases) {
    assert.equal(verdictOf(failed(code, details)), verdict, details);
  }
  assert.equal(verdictOf(notConnected("no connection to 127.0.0.1:1 within 2 s")), "not-sent");
  assert.equal(verdictOf(new Error("anything")), "unknown");
});

Deno.test("callReason() is fit for a sentence", () => {
  assert.equal(callReason(failed(status.UNAVAILABLE, noConnection)), "connect ECONNREFUSED 127.0.0.1:1");
  assert.equal(
    callReason(failed(status.DEADLINE_EXCEEDED, "Deadline exceeded after 5 s")),
    "no answer in time",
  );
  assert.equal(callReason(failed(status.UNAVAILABLE, "etcdserver: no leader")), "no leader");
  assert.equal(callReason(failed(status.INTERNAL, dropped)), "no answer in time");
  assert.equal(callReason(failed(status.UNAVAILABLE, "Connection dropped")), "it closed the connection");
  assert.equal(
    callReason(notConnected("no connection to 127.0.0.1:1 within 2 s")),
    "no connection to 127.0.0.1:1 within 2 s",
  );
});

Deno.test("isLate() is about this side's clock alone", () => {
  assert.ok(isLate(failed(status.DEADLINE_EXCEEDED, "Deadline exceeded after 2.001s,LB pick: 0.001s")));
  assert.ok(!isLate(failed(status.DEADLINE_EXCEEDED, "context deadline exceeded")));
  assert.ok(!isLate(failed(status.UNAVAILABLE, "etcdserver: request timed out")));
});

Deno.test("isOperational() tells etcd's own troubles from a request that is wrong", () => {
  const cases: [status, string, boolean][] = [
    [status.RESOURCE_EXHAUSTED, "etcdserver: mvcc: database space exceeded", true],
    [status.INVALID_ARGUMENT, "etcdserver: user name is empty", true],
    [status.FAILED_PRECONDITION, "etcdserver: authentication is not enabled", true],
    [status.PERMISSION_DENIED, "etcdserver: permission denied", true],
    [status.UNAUTHENTICATED, "etcdserver: invalid auth token", true],
    [status.INVALID_ARGUMENT, "etcdserver: too many operations in txn request", false],
    [status.INVALID_ARGUMENT, "etcdserver: duplicate key given in txn request", false],
  ];
  for (const [code, details, operational] of cases) {
    assert.equal(isOperational(failed(code, details)), operational, details);
  }
});

Deno.test("remedyFor() names commands for what etcd complains of", () => {
  const advice = remedyFor("mvcc: database space exceeded", ["http://a:2379", "http://b:2379"], 77);
  assert.match(
    advice,
    /etcdctl --endpoints=http:\/\/a:2379,http:\/\/b:2379 compact 77; etcdctl .* defrag; .* alarm disarm/,
  );
  assert.match(remedyFor("etcd at x cannot be used: user name is empty", []), /auth disable/);
  assert.match(remedyFor("CORRUPT", ["http://a:2379"]), /hashkv/);
  assert.match(remedyFor("anything", ["http://a:2379"]), /log/);
});
