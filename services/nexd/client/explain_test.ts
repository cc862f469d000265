import assert from "node:assert/strict";
import { Refusal } from "../../common/refusal.ts";
import { explain, hasStatus, mayBeCarriedOut, refusalOf, UNIMPLEMENTED } from "./explain.ts";

const failed = (code: number, details: string) =>
  Object.assign(new Error(`${code} ${details}`), { code, details });
const lost = (error: string) =>
  failed(14, `No connection established. Last error: ${error}. Resolution note: `);
const sentences: [Error, string][] = [
  [new Refusal("invalid", "f.yml: bad"), "f.yml: bad"],
  [failed(5, "network mini: there is none"), "network mini: there is none"],
  [failed(3, "two\nlines"), "two lines"],
  [failed(14, "etcd at db:2379 cannot be reached"), "etcd at db:2379 cannot be reached"],
  [failed(14, "Name resolution failed for target dns:db:1"), "db:1 cannot be reached: there is no such host"],
  [lost("Error: connect ECONNREFUSED 127.0.0.1:1"), "db:1 cannot be reached: nothing listens there"],
  [lost("Error: certificate has expired"), "db:1 cannot be reached: its certificate has expired"],
  [
    lost("Error: self-signed certificate in certificate chain"),
    "db:1 cannot be reached: its certificate is not signed by an authority in --ca-file",
  ],
  [
    lost("received fatal alert: CertificateRequired (2026-11-20T19:16:56.658Z)"),
    "db:1 cannot be reached: it wants a client certificate; name one with --cert-file and --key-file",
  ],
  [lost("Error: something new"), "db:1 cannot be reached: something new"],
  [failed(14, "No connection established"), "db:1 cannot be reached: no connection could be made"],
  [
    failed(14, "read ECONNRESET"),
    "db:1: the connection was lost before the answer came; a change may or may not have been made",
  ],
  [
    failed(8, "Received message larger than max (6291456 vs 4194304)"),
    "the request is of 6.0 MiB, and the server takes 4.0 MiB: apply it in parts",
  ],
  [failed(8, "network mini: nothing is left"), "network mini: nothing is left"],
  [failed(4, "Deadline exceeded after 15.001s,Waiting for LB pick"), "db:1: no answer in time"],
];

for (const [error, sentence] of sentences) {
  Deno.test(`explain() says: ${sentence}`, () => assert.equal(explain(error, "db:1"), sentence));
}

Deno.test("hasStatus() tells gRPC failures from others", () => {
  assert.ok(hasStatus(failed(12, ""), UNIMPLEMENTED));
  assert.ok(!hasStatus(failed(5, ""), UNIMPLEMENTED));
  assert.ok(!hasStatus(new Error("12"), UNIMPLEMENTED));
});

Deno.test("refusalOf() gives the code back that nexd has sent as a status, and leaves other errors as they are", () => {
  const codes = [[3, "invalid"], [5, "not-found"], [6, "exists"], [9, "forbidden"], [10, "conflict"], [
    14,
    "unavailable",
  ]] as const;
  for (const [status, code] of codes) {
    const { code: is, message } = refusalOf(failed(status, "etcd at db:1 is away"), "db:1");
    assert.deepEqual([is, message], [code, "etcd at db:1 is away"]);
  }
  const { code, message } = refusalOf(failed(13, ""), "db:1");
  assert.deepEqual([code, message], ["unavailable", "db:1: the request failed with gRPC status 13"]);
  const other = new TypeError("a defect");
  assert.throws(() => refusalOf(other, "db:1"), (error) => error === other);
});

Deno.test("mayBeCarriedOut() holds for a call whose answer is missing or is no refusal", () => {
  for (
    const [code, details] of [[4, ""], [14, "read ECONNRESET"], [14, "etcd at db:1 is away"], [13, ""], [
      2,
      "",
    ]] as const
  ) {
    assert.ok(mayBeCarriedOut(failed(code, details)), `${code} ${details}`);
  }
  const unsent = [lost("connect ECONNREFUSED"), failed(14, "Name resolution failed for target dns:db:1")];
  const refused = [3, 5, 6, 8, 9, 10, 12].map((code) => failed(code, "no"));
  for (const error of [...unsent, ...refused, new TypeError("a defect")]) {
    assert.ok(!mayBeCarriedOut(error), error.message);
  }
});
