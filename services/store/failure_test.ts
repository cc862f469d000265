import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import { callReason, verdictOf } from "./failure.ts";

function failed(code: status, details: string): Error {
  return Object.assign(new Error(`${code}: ${details}`), { code, details });
}

const noConnection =
  "No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ";

Deno.test("verdictOf() says that nothing was written only where that is certain", () => {
  const cases: [status, string, string][] = [
    [status.UNAVAILABLE, noConnection, "not-sent"],
    [status.UNAVAILABLE, "etcdserver: no leader", "not-sent"],
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
  assert.equal(verdictOf(new Error("anything")), "unknown");
});

Deno.test("callReason() is fit for a sentence", () => {
  assert.equal(callReason(failed(status.UNAVAILABLE, noConnection)), "connect ECONNREFUSED 127.0.0.1:1");
  assert.equal(
    callReason(failed(status.DEADLINE_EXCEEDED, "Deadline exceeded after 5 s")),
    "no answer in time",
  );
  assert.equal(callReason(failed(status.UNAVAILABLE, "etcdserver: no leader")), "no leader");
});
