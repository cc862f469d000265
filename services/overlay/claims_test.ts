import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import type { NetworkRecord } from "../store/sand_records.ts";
import { BitSet } from "./bit_set.ts";
import { Claims } from "./claims.ts";
import { Step } from "./step.ts";
import { endpointRecord, lab, network, randomFrom } from "./testing.ts";

function planned(claims: Claims) {
  const step = new Step();
  claims.writeTo(step);
  return step.plan();
}

function bitsOf(it: ReturnType<typeof lab>, id = network.id): number[] {
  return [...BitSet.decode(it.json(it.keys.allocation(id)).bit_set).ones()];
}

const ranged = (ip_range: string, gateway: string): NetworkRecord => ({ ...network, ip_range, gateway });

Deno.test("Claims gives the lowest addresses, never the network's own, many in one transaction", () => {
  const it = lab();
  const claims = new Claims(it.view, network);
  assert.deepEqual([1, 2, 3].map(() => claims.takeLowest().toString()), ["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
  const plan = planned(claims);
  assert.deepEqual(plan.guards, [{ key: it.keys.allocation(network.id), modRevision: 0 }]);
  assert.deepEqual(plan.prefixGuards, [{
    prefix: `/etcd-lock/ipalloc-lock/${network.id}/`,
    unchangedSince: 0,
  }]);
  assert.ok(it.commit(plan));
  const { bit_set: _, ...record } = it.json(it.keys.allocation(network.id));
  assert.deepEqual(record, { id: network.id, address_range: "10.0.0.0/24", address_count: 256 });
  assert.deepEqual(bitsOf(it), [0, 1, 2, 3, 4, 255]);
});

Deno.test("Claims loses to another claim and to an old agent's lock, and wins once that is gone", () => {
  const it = lab();
  const [a, b] = [new Claims(it.view, network), new Claims(it.view, network)];
  a.takeLowest(), b.takeLowest();
  assert.ok(it.commit(planned(a)));
  assert.ok(!it.commit(planned(b)));
  const lock = `/etcd-lock/ipalloc-lock/${network.id}/694d7a3c`;
  it.put({ [lock]: "" });
  const c = new Claims(it.view, network);
  assert.equal(c.takeLowest().toString(), "10.0.0.3");
  assert.ok(!it.commit(planned(c)));
  it.put({ [lock]: undefined });
  assert.ok(it.commit(planned(c)));
});

Deno.test("Claims takes a given address only if an endpoint can have it and nobody does", () => {
  const it = lab();
  it.putEndpoint(endpointRecord("E", { target_veth_ip: "10.0.0.9/24" }));
  const claims = new Claims(it.view, network);
  const take = (text: string, claimed = false) => claims.take(Ip.parse(text), { claimed });
  assert.equal(take("10.0.0.7").toString(), "10.0.0.7");
  for (
    const [address, code, message] of [
      ["10.0.0.7", "exists", /10\.0\.0\.7 of network blue belongs to somebody else/],
      ["10.0.0.9", "exists", /belongs to endpoint E on h1/],
      ["10.0.0.1", "exists", /belongs to the gateway/],
      ["10.0.0.0", "invalid", /is the network address of 10\.0\.0\.0\/24/],
      ["10.0.0.255", "invalid", /is the broadcast address/],
      ["10.0.1.2", "invalid", /outside the range 10\.0\.0\.0\/24/],
      ["2001:db8::1", "invalid", /outside the range/],
    ] as const
  ) {
    assert.throws(() => take(address), { code, message });
  }
  assert.ok(it.commit(planned(claims)));
  const later = new Claims(it.view, network);
  assert.equal(later.take(Ip.parse("10.0.0.7"), { claimed: true }).toString(), "10.0.0.7");
  assert.throws(() => later.take(Ip.parse("10.0.0.7"), { claimed: true }), { code: "exists" });
});

Deno.test("a /29 gives five addresses and refuses the sixth, a /30 one", () => {
  const it = lab();
  for (
    const [net, wanted] of [
      [ranged("10.1.0.0/29", "10.1.0.1/29"), ["10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6"]],
      [ranged("10.1.0.0/30", "10.1.0.2/30"), ["10.1.0.1"]],
    ] as const
  ) {
    const claims = new Claims(it.view, net);
    assert.deepEqual(wanted.map(() => claims.takeLowest().toString()), wanted);
    assert.throws(() => claims.takeLowest(), {
      code: "exhausted",
      message: `network blue: none of the ${wanted.length} addresses of ${net.ip_range} is left`,
    });
    claims.release(Ip.parse(wanted[0]));
    assert.equal(claims.takeLowest().toString(), wanted[0]);
  }
});

Deno.test("Claims passes over an endpoint's address whose bit an old agent has set elsewhere", () => {
  const it = lab();
  const net = ranged("10.0.0.0/20", "10.0.0.1/20");
  it.putEndpoint(endpointRecord("E", { target_veth_ip: "10.0.0.2/20" }));
  assert.equal(new Claims(it.view, net).takeLowest().toString(), "10.0.0.3");
});

Deno.test("Claims never gives back the gateway's address or one that another endpoint has too", () => {
  const it = lab();
  const claims = new Claims(it.view, network);
  claims.takeLowest();
  it.commit(planned(claims));
  for (const id of ["E", "F"]) it.putEndpoint(endpointRecord(id, { target_veth_ip: "10.0.0.2/24" }));
  const after = new Claims(it.view, network);
  for (const text of ["10.0.0.1", "10.0.0.0", "10.0.0.255", "192.0.2.1"]) after.release(Ip.parse(text));
  after.release(Ip.parse("10.0.0.2"), new Set(["E"]));
  assert.deepEqual(planned(after).ops, []);
  after.release(Ip.parse("10.0.0.2"), new Set(["E", "F"]));
  it.commit(planned(after));
  assert.deepEqual(bitsOf(it), [0, 1, 255]);
});

Deno.test("Claims keeps unknown fields, and refuses a record of another range", () => {
  const it = lab(), key = it.keys.allocation(network.id);
  const record = {
    id: network.id,
    address_range: "10.0.0.0/24",
    address_count: 256,
    bit_set: BitSet.empty(256).encode(),
    later: 1,
  };
  it.put({ [key]: record });
  const claims = new Claims(it.view, network);
  assert.equal(claims.takeLowest().toString(), "10.0.0.2");
  it.commit(planned(claims));
  assert.equal(it.json(key).later, 1);
  for (
    const [wrong, message] of [
      [{ address_range: "10.9.0.0/24" }, /address_range: "10\.9\.0\.0\/24" is not 10\.0\.0\.0\/24/],
      [{ bit_set: BitSet.empty(128).encode() }, /128 bits are not 256/],
      [{ bit_set: "?" }, /not base64url/],
    ] as const
  ) {
    it.put({ [key]: { ...record, ...wrong } });
    assert.throws(() => new Claims(it.view, network), { code: "forbidden", message });
  }
});

Deno.test("whoever claims and releases in whatever order, an address is never given twice", () => {
  const random = randomFrom(3);
  for (let round = 0; round < 20; round++) {
    const it = lab(), net = ranged(`10.0.0.0/${24 + random(4)}`, "10.0.0.1/24"), given = new Set<string>();
    for (let n = 0; n < 60; n++) {
      const writers = [new Claims(it.view, net), new Claims(it.view, net)];
      for (const claims of writers) {
        const taken: string[] = [], released: string[] = [];
        for (let k = random(5); k > 0; k--) {
          const [old] = given;
          if (random(3) === 0 && old && !released.includes(old)) {
            claims.release(Ip.parse(old));
            released.push(old);
          } else {
            try {
              taken.push(claims.takeLowest().toString());
            } catch (error) {
              assert.match(String(error), /is left/);
            }
          }
        }
        if (!it.commit(planned(claims))) continue;
        for (const address of released) given.delete(address);
        for (const address of taken) {
          assert.ok(!given.has(address), address);
          given.add(address);
        }
      }
    }
    const bits = new Set(bitsOf(it));
    for (const address of given) assert.ok(bits.has(Ip.parse(address).u32 & 255));
  }
});
