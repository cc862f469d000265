import assert from "node:assert/strict";
import { type MemberAnswer, statusRows } from "./etcd_status.ts";

const endpoints = ["http://10.0.0.1:2379", "http://10.0.0.2:2379", "http://10.0.0.3:2379"] as const;

function well(endpoint: string, memberId: bigint): MemberAnswer {
  return { endpoint, answers: true, version: "3.5.0", memberId, revision: 7, dbSize: 1, alarms: [] };
}

/** Three members, of which some are as given. */
function cluster(...changes: readonly (Partial<MemberAnswer> | undefined)[]): MemberAnswer[] {
  return endpoints.map((endpoint, i) => ({ ...well(endpoint, BigInt(i + 1)), ...changes[i] }));
}

function problems(members: readonly MemberAnswer[]) {
  return statusRows(members).map(({ ready, reachable, problems }) => [ready, reachable, problems.length]);
}

Deno.test("statusRows() finds nothing wrong with members that are well", () => {
  assert.deepEqual(problems(cluster()), [[true, true, 0], [true, true, 0], [true, true, 0]]);
  assert.equal(statusRows(cluster())[2]?.revision, 7);
});

Deno.test("statusRows() warns once of each version below 3.5, for which nothing is wrong", () => {
  const of = (version: string) => ({ version });
  const mixed = statusRows(cluster(of("3.4.23"), of("3.4.23"), of("3.10.1")));
  assert.deepEqual(mixed.map(({ ready, problems }) => [ready, problems]), [[true, []], [true, []], [
    true,
    [],
  ]]);
  assert.deepEqual(mixed.map(({ warnings }) => warnings), [
    ["etcd 3.4.23 is no longer supported by its maintainers: run 3.5, as docs/INSTALL.md says"],
    undefined,
    undefined,
  ]);
  for (const version of ["3.5.0", "3.6.0-rc.1", "4.0.0", "unknown", ""]) {
    assert.equal(statusRows(cluster(of(version)))[0]?.warnings, undefined, version);
  }
  assert.equal(statusRows(cluster(of("2.3.8")))[0]?.warnings?.length, 1);
});

Deno.test("statusRows() distinguishes a member that is cut off from the others from a cluster without a majority", () => {
  const cut = { problem: "no leader" };
  const one = cluster(undefined, undefined, cut);
  assert.deepEqual(problems(one), [[true, true, 0], [true, true, 0], [false, true, 1]]);
  assert.deepEqual(statusRows(one)[2]?.problems, [{
    what: "etcd member http://10.0.0.3:2379 sees no leader; 2 of 3 members do",
    fix: "check its network to the others",
  }]);
  const away = { answers: false, problem: "connect ECONNREFUSED 10.0.0.1:2379" };
  const all = cluster(away, away, cut);
  const [first, second, third] = statusRows(all);
  assert.match(third?.problems[0]?.what ?? "", /no leader: fewer than half/);
  assert.match(third?.problems[0]?.fix ?? "", /10\.0\.0\.1:2379, http:\/\/10\.0\.0\.2:2379/);
  assert.match(first?.problems[0]?.fix ?? "", /^start it/);
  assert.equal(second?.problems.length, 1);
  assert.deepEqual(problems(cluster(cut, cut, cut)).map(([, , count]) => count), [1, 0, 0], "told once");
});

Deno.test("statusRows() says to check the network where packets are lost, and to start only what is not running", () => {
  const dark = { answers: false, problem: "no connection to 10.0.0.2:2379 within 2 s" };
  const [, second] = statusRows(cluster(undefined, dark));
  assert.match(
    second?.problems[0]?.what ?? "",
    /^etcd member http:\/\/10\.0\.0\.2:2379 does not answer: no conn/,
  );
  assert.match(second?.problems[0]?.fix ?? "", /^check the network/);
  const stuck = { refusal: "no answer in time" };
  assert.match(
    statusRows(cluster(stuck))[0]?.problems[0]?.fix ?? "",
    /network to the other members, and its disk/,
  );
});

Deno.test("statusRows() shows an alarm once for the cluster, with the member that raised it", () => {
  const alarms = [{ alarm: "NOSPACE", memberId: 2n }];
  const rows = statusRows(cluster({ alarms }, { alarms }, { alarms }));
  assert.deepEqual(rows.map(({ ready }) => ready), [false, false, false]);
  const told = rows.flatMap(({ problems }) => problems);
  assert.equal(told.length, 1);
  assert.equal(told[0]?.what, "etcd has raised the alarm NOSPACE at http://10.0.0.2:2379");
  assert.match(told[0]?.fix ?? "", /etcdctl --endpoints=http:\/\/10\.0\.0\.1:2379,.* alarm disarm/);
  const refusal = { refusal: "user name is empty" };
  const refused = statusRows(cluster(refusal, refusal, refusal)).flatMap(({ problems }) => problems);
  assert.deepEqual(refused.map(({ what }) => what), ["etcd lets no key be read: user name is empty"]);
});
