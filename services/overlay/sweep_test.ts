import assert from "node:assert/strict";
import { BitSet } from "./bit_set.ts";
import { GRACE_MS, planSweep } from "./sweep.ts";
import { endpointRecord, lab, network } from "./testing.ts";

const wide = { ...network, ip_range: "10.0.0.0/20", gateway: "10.0.0.1/20" };

function setUp(bits: readonly number[]) {
  const it = lab(), set = BitSet.empty(4096);
  for (const bit of bits) set.add(bit);
  it.put({
    [it.keys.network(wide.id)]: wide,
    [it.keys.allocation(wide.id)]: {
      id: wide.id,
      address_range: wide.ip_range,
      address_count: 4096,
      bit_set: set.encode(),
    },
  });
  const stored = () => [...BitSet.decode(it.json(it.keys.allocation(wide.id)).bit_set).ones()];
  return { ...it, stored };
}

Deno.test("planSweep() makes the claims those of endpoints and gateway, once the time of grace is over", () => {
  // 300 is where 10.0.1.44 belongs; an old agent set 1 + 44 = 45 for it, and never gave 7 back.
  const it = setUp([0, 1, 2, 7, 45, 4095]);
  it.putEndpoint(endpointRecord("E", { target_veth_ip: "10.0.0.2/20" }));
  it.putEndpoint(endpointRecord("F", { target_veth_ip: "10.0.1.44/20" }));
  const first = planSweep(it.view, wide, new Map(), 1000);
  assert.deepEqual([first.claimed, first.freed, [...first.suspects.keys()]], [1, 0, [7, 45]]);
  assert.ok(it.commit(first.plan));
  assert.deepEqual(it.stored(), [0, 1, 2, 7, 45, 300, 4095]);
  const early = planSweep(it.view, wide, first.suspects, 999 + GRACE_MS);
  assert.equal(early.plan, undefined);
  const due = planSweep(it.view, wide, early.suspects, 1000 + GRACE_MS);
  assert.deepEqual([due.claimed, due.freed, due.suspects.size], [0, 2, 0]);
  assert.ok(it.commit(due.plan));
  assert.deepEqual(it.stored(), [0, 1, 2, 300, 4095]);
  assert.equal(planSweep(it.view, wide, due.suspects, 2000 + GRACE_MS).plan, undefined);
});

Deno.test("planSweep() forgets a suspect that got its endpoint or was given back", () => {
  const it = setUp([0, 1, 7, 4095]);
  const first = planSweep(it.view, wide, new Map(), 0);
  it.putEndpoint(endpointRecord("E", { target_veth_ip: "10.0.0.7/20" }));
  const later = planSweep(it.view, wide, first.suspects, GRACE_MS * 2);
  assert.deepEqual([later.plan, later.suspects.size], [undefined, 0]);
});

Deno.test("planSweep() loses to an endpoint written meanwhile and to an old agent's lock", () => {
  const it = setUp([0, 1, 7, 4095]);
  const sweep = () => planSweep(it.view, wide, new Map([[7, 0]]), GRACE_MS).plan;
  const before = sweep();
  it.putEndpoint(endpointRecord("E", { target_veth_ip: "10.0.0.9/20" }));
  assert.ok(!it.commit(before));
  it.put({ [`${it.keys.allocationLocks(wide.id)}1`]: "" });
  assert.ok(!it.commit(sweep()));
});

Deno.test("planSweep() leaves everything while an endpoint cannot be read", () => {
  const it = setUp([0, 1, 7, 4095]);
  it.put({ [it.keys.networkEndpoint(wide.id, "E")]: "garbage" });
  assert.throws(() => planSweep(it.view, wide, new Map([[7, 0]]), GRACE_MS), { code: "forbidden" });
});
