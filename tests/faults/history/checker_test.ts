/** faultsOf(), the check of histories, with histories that are right and wrong. */
import assert from "node:assert/strict";
import { type ClientRequest, faultsOf, type Held, type Said } from "./checker.ts";
import type { Transaction } from "./record.ts";

const A = "/member/00:00:00:00:00:0a", B = "/member/00:00:00:00:00:0b";

function put(revision: number, key: string, value: unknown, created = true): Transaction {
  return { revision, writes: [{ key, value: JSON.stringify(value), created }] };
}

function remove(revision: number, key: string): Transaction {
  return { revision, writes: [{ key, value: undefined, created: false }] };
}

function request(
  what: ClientRequest["what"],
  key: string,
  outcome: ClientRequest["outcome"],
  from: number,
): ClientRequest {
  return { kind: "asked", what, key, outcome, from, to: from + 1 };
}

function held(address: string, mac: string, from: number, to: number): Held {
  return { kind: "held", address, mac, from, to };
}

Deno.test("faultsOf() finds nothing in a history in which everything was done once", () => {
  const history = [
    put(2, A, { ip4: { address: "10.0.0.1" } }),
    remove(3, A),
    put(4, B, { ip4: { address: "10.0.0.1" } }),
  ];
  const told = [request("add", A, "done", 1), request("delete", A, "done", 2), request("add", B, "done", 3)];
  assert.deepEqual(
    faultsOf(history, [...told, held("10.0.0.1", "a", 0, 5), held("10.0.0.1", "b", 5, 9)]),
    [],
  );
});

Deno.test("faultsOf() finds an address, a name and a VNI that belong to two", () => {
  const network = "/sc-net/network/";
  const history = [
    put(2, A, { ip4: { address: "10.0.0.1" }, name: "x.net" }),
    put(3, B, { ip4: { address: "10.0.0.1" }, name: "X.net" }),
    put(4, `${network}1`, { vxlan_vni: 7 }),
    put(5, `${network}2`, { vxlan_vni: 7 }),
  ];
  assert.deepEqual(faultsOf(history, []), [
    `revision 3: address 10.0.0.1 belongs to ${A} and ${B}`,
    `revision 3: name x.net belongs to ${A} and ${B}`,
    `revision 5: VNI 7 belongs to ${network}1 and ${network}2`,
  ]);
});

Deno.test("faultsOf() finds an address that is held for one client's lease and given to another", () => {
  const held = "/strand/nex/withheld/10.0.0.1", declined = "/strand/nex/withheld/10.0.0.2";
  const history = [
    put(2, held, { leased: true }),
    put(3, declined, {}),
    put(4, B, { ip4: { address: "10.0.0.2" } }),
    put(5, A, { ip4: { address: "10.0.0.1" } }),
  ];
  assert.deepEqual(faultsOf(history, []), [`revision 5: address 10.0.0.1 belongs to ${A} and ${held}`]);
});

Deno.test("faultsOf() lets a MAC be once in each network, and members share a name that they call shared", () => {
  const further = (net: string, mac: string) => `/strand/member/${net}/${mac}`, mac = "00:00:00:00:00:0a";
  const member = (net: string, address: string) => ({ net, ip4: { address }, name: "x.net", shared: true });
  const history = [
    put(2, A, member("a", "10.0.0.1")),
    put(3, further("b", mac), member("b", "10.1.0.1")),
    put(4, further("a", mac), member("a", "10.0.0.2")),
    put(5, B, member("b", "10.1.0.1")),
  ];
  assert.deepEqual(faultsOf(history, []), [
    `revision 4: network a's member ${mac} belongs to ${A} and ${further("a", mac)}`,
    `revision 5: address 10.1.0.1 belongs to ${B} and ${further("b", mac)}`,
  ]);
});

Deno.test("faultsOf() takes what one transaction moves from one key to another for no fault", () => {
  const record = JSON.stringify({ ip4: { address: "10.0.0.1" } });
  const move: Transaction = {
    revision: 3,
    writes: [{ key: B, value: record, created: true }, { key: A, value: undefined, created: false }],
  };
  assert.deepEqual(faultsOf([put(2, A, JSON.parse(record)), move], []), []);
});

Deno.test("faultsOf() finds an acknowledged delete that was undone", () => {
  const history = [put(2, A, {}), remove(3, A), put(4, A, {})];
  assert.deepEqual(faultsOf(history, [request("add", A, "done", 1), request("delete", A, "done", 2)]), [
    `${A}: add was asked for 1 times at most, and etcd shows 2`,
  ]);
});

Deno.test("faultsOf() finds an acknowledged add that never came, and a refusal without a reason", () => {
  const refused: ClientRequest = { ...request("delete", B, "refused", 2), said: "there is no such member" };
  assert.deepEqual(
    faultsOf([put(2, B, {})], [request("add", A, "done", 1), request("add", B, "done", 1), refused]),
    [
      `${A}: 1 add were acknowledged, and etcd shows 0`,
      `${B}: delete was refused though nothing forbids it: there is no such member`,
    ],
  );
});

Deno.test("faultsOf() finds what was said to be missing, or to be there, against what its client knows", () => {
  const said = (key: string, isThere: boolean, from: number): Said => ({
    ...{ kind: "said", key, isThere, from, to: from + 1 },
  });
  const history = [put(2, A, {}), put(3, B, {}), remove(4, A)];
  const told = [
    request("add", A, "done", 1),
    request("delete", A, "done", 5),
    request("add", B, "unknown", 1),
  ];
  const right = [said(A, true, 3), said(A, false, 7), said(B, true, 3), said(B, false, 4)];
  assert.deepEqual(faultsOf(history, [...told, ...right]), []);
  assert.deepEqual(faultsOf(history, [...told, said(A, false, 3), said(A, true, 7)]), [
    `${A}: was said not to be there, at 3 to 4, after its add was acknowledged`,
    `${A}: was said to be there, at 7 to 8, after its delete was acknowledged`,
  ]);
});

Deno.test("faultsOf() finds leases of one address that overlap, and allows for a release", () => {
  assert.deepEqual(faultsOf([], [held("10.0.0.1", "a", 0, 10), held("10.0.0.1", "b", 9, 20)]), [
    "10.0.0.1: b got it 1 ms before the lease of a ended, at 9",
  ]);
  const released = [held("10.0.0.1", "a", 0, 10), held("10.0.0.1", "a", 3, 3), held("10.0.0.1", "b", 4, 14)];
  assert.deepEqual(faultsOf([], released), []);
});
