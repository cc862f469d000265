import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import type { NetworkRecord } from "../store/sand_records.ts";
import { BitSet } from "./bit_set.ts";
import { Claims, freshBits, rangeOf } from "./claims.ts";
import { endpointRecord, lab, network } from "./testing.ts";
import { PlanBuilder } from "../store/plan_builder.ts";
import { forAll } from "../../tests/lab/property.ts";

/** Milliseconds since the epoch. */
const AT = 1_790_000_000_000;

function planned(claims: Claims) {
  const builder = new PlanBuilder();
  claims.writeTo(builder);
  return builder.plan();
}

function bitsOf(it: ReturnType<typeof lab>, id = network.id): number[] {
  return [...BitSet.decode(it.json(it.keys.allocation(id)).bit_set).ones()];
}

const ranged = (ip_range: string, gateway: string): NetworkRecord => ({ ...network, ip_range, gateway });

Deno.test("Claims gives the lowest addresses of a fresh network, never the network's own, many in one transaction", () => {
  const it = lab();
  const claims = new Claims(it.view, network, AT);
  assert.deepEqual([1, 2, 3].map(() => claims.takeNext().toString()), ["10.0.0.2", "10.0.0.3", "10.0.0.4"]);
  const plan = planned(claims);
  assert.deepEqual(
    plan.guards,
    [it.keys.allocation(network.id), it.keys.cursor(network.id)].map((key) => ({
      key,
      modRevision: 0,
    })),
  );
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
  const [a, b] = [new Claims(it.view, network, AT), new Claims(it.view, network, AT)];
  a.takeNext(), b.takeNext();
  assert.ok(it.commit(planned(a)));
  assert.ok(!it.commit(planned(b)));
  const lock = `/etcd-lock/ipalloc-lock/${network.id}/694d7a3c`;
  it.put({ [lock]: "" });
  const c = new Claims(it.view, network, AT);
  assert.equal(c.takeNext().toString(), "10.0.0.3");
  assert.ok(!it.commit(planned(c)));
  it.put({ [lock]: undefined });
  assert.ok(it.commit(planned(c)));
});

Deno.test("Claims takes a given address only if an endpoint can have it and none does", () => {
  const it = lab();
  it.putEndpoint(endpointRecord("E", { target_veth_ip: "10.0.0.9/24" }));
  const claims = new Claims(it.view, network, AT);
  const take = (text: string, claimed = false) => claims.take(Ip.parse(text), { claimed });
  assert.equal(take("10.0.0.7").toString(), "10.0.0.7");
  for (
    const [address, code, message] of [
      ["10.0.0.7", "exists", /10\.0\.0\.7 of network blue belongs to another allocation/],
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
  const later = new Claims(it.view, network, AT);
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
    const claims = new Claims(it.view, net, AT);
    assert.deepEqual(wanted.map(() => claims.takeNext().toString()), wanted);
    assert.throws(() => claims.takeNext(), {
      code: "exhausted",
      message: `network blue: none of the ${wanted.length} addresses of ${net.ip_range} is left`,
    });
    claims.release(Ip.parse(wanted[0]));
    assert.equal(claims.takeNext().toString(), wanted[0]);
  }
});

/** Several hosts that take and give back addresses of one network, each step by a host of its own. */
function hosts(net = network) {
  const it = lab();
  let now = AT;
  const step = <T>(act: (claims: Claims) => T): T => {
    const claims = new Claims(it.view, net, now), result = act(claims);
    assert.ok(it.commit(planned(claims)));
    return result;
  };
  return {
    ...it,
    step,
    take: () => step((claims) => Number(claims.takeNext().toString().split(".")[3])),
    claim: (last: number) => step((claims) => claims.take(Ip.parse(`10.0.0.${last}`))),
    release: (...lasts: number[]) =>
      step((claims) => lasts.forEach((last) => claims.release(Ip.parse(`10.0.0.${last}`)))),
    pass: (seconds: number) => void (now += seconds * 1000),
  };
}

const small = ranged("10.0.0.0/29", "10.0.0.1/29");

Deno.test("an address that is given back is not the next one's: the search goes on behind the last, on every host", () => {
  const it = hosts();
  assert.deepEqual([it.take(), it.take(), it.take()], [2, 3, 4]);
  it.release(2, 3, 4);
  it.pass(3600);
  assert.deepEqual([it.take(), it.take()], [5, 6]);
  // One that is asked for is given at once, and the others go on as before.
  it.release(5);
  it.claim(5);
  it.claim(200);
  assert.equal(it.take(), 7);
  assert.deepEqual(it.json(it.keys.cursor(network.id)), { next: "10.0.0.8", released: [] });
});

Deno.test("behind the last address of a range the search begins at the first, past what is taken", () => {
  const it = hosts(small);
  assert.deepEqual([1, 2, 3, 4].map(() => it.take()), [2, 3, 4, 5]);
  it.release(2, 4);
  it.pass(60);
  assert.deepEqual([it.take(), it.take(), it.take()], [6, 2, 4]);
  assert.throws(() => it.take(), {
    code: "exhausted",
    message: /none of the 5 addresses of 10\.0\.0\.0\/29 is left/,
  });
});

Deno.test("what was given back less than a minute ago goes last, the oldest first, and a full pool gives it all the same", () => {
  const it = hosts(small);
  assert.deepEqual([1, 2, 3, 4].map(() => it.take()), [2, 3, 4, 5]);
  it.release(4);
  it.pass(10);
  it.release(2);
  it.pass(10);
  it.release(3);
  assert.deepEqual(it.json(it.keys.cursor(network.id)), {
    next: "10.0.0.6",
    released: [[AT / 1000, 4], [AT / 1000 + 10, 2], [AT / 1000 + 20, 3]],
  });
  assert.deepEqual([it.take(), it.take(), it.take(), it.take()], [6, 4, 2, 3]);
  it.release(2, 3);
  it.pass(59);
  it.release(5);
  it.pass(1);
  // 2 and 3 have rested for a minute by now, 5 has not.
  assert.deepEqual([it.take(), it.take(), it.take()], [2, 3, 5]);
});

Deno.test("an address that was taken for a request which is refused is the next one's at once, as if it had never been", () => {
  const it = hosts(small);
  const taken = it.step((claims) => {
    claims.undoAllocation(claims.takeNext());
    return claims.takeNext().toString();
  });
  assert.equal(taken, "10.0.0.2");
  assert.deepEqual([it.take(), it.take(), it.take(), it.take()], [3, 4, 5, 6]);
  it.release(3, 4);
  it.step((claims) => claims.undoAllocation(claims.takeNext()));
  const [[, ...places]] = it.json(it.keys.cursor(network.id)).released;
  assert.deepEqual(places.sort(), [3, 4]);
});

Deno.test("old agents, which know no cursor, and a cursor that any process may have written change nothing of what is free", () => {
  const it = hosts();
  assert.deepEqual([it.take(), it.take()], [2, 3]);
  // A Go agent takes the lowest that is free, and drops what it does not know.
  const bits = freshBits(network);
  for (const last of [2, 3, 4, 5]) bits.add(last);
  const key = it.keys.allocation(network.id);
  it.put({ [key]: { ...it.json(key), bit_set: bits.encode() } });
  assert.equal(it.take(), 6);
  for (
    const value of [
      { next: "192.0.2.1", released: [[1e300, 9], ["x", 5], [AT / 1000, 9]] },
      { next: "10.0.0.9", released: [[], [AT / 1000, -1, 0.5, 1e300, 7]] },
      { next: 7, released: "all" },
      { next: "10.0.0.255" },
      [],
      null,
      "?",
    ]
  ) {
    it.put({ [it.keys.cursor(network.id)]: value });
    const before = bitsOf(it);
    const taken = it.take();
    assert.ok(taken > 1 && taken < 255 && !before.includes(taken), `${JSON.stringify(value)}: ${taken}`);
  }
  it.store.write({ guards: [], ops: [{ put: it.keys.cursor(network.id), value: "<html>" }] });
  assert.ok(it.take() > 1);
});

Deno.test("so many addresses as are given back in a minute, the record of them is bounded", () => {
  const it = hosts(ranged("10.0.0.0/18", "10.0.0.1/18"));
  const given = it.step((claims) => Array.from({ length: 6000 }, () => claims.takeNext()));
  it.step((claims) => given.forEach((address) => claims.release(address)));
  const { released } = it.json(it.keys.cursor(network.id));
  assert.deepEqual(released, [[AT / 1000, ...given.slice(-256).map(({ u32 }) => u32 & 0x3fff)]]);
});

Deno.test("Claims passes over an endpoint's address whose bit an old agent has set elsewhere", () => {
  const it = lab();
  const net = ranged("10.0.0.0/20", "10.0.0.1/20");
  it.putEndpoint(endpointRecord("E", { target_veth_ip: "10.0.0.2/20" }));
  assert.equal(new Claims(it.view, net, AT).takeNext().toString(), "10.0.0.3");
});

Deno.test("Claims never gives back the gateway's address or one that another endpoint has too", () => {
  const it = lab();
  const claims = new Claims(it.view, network, AT);
  claims.takeNext();
  it.commit(planned(claims));
  for (const id of ["E", "F"]) it.putEndpoint(endpointRecord(id, { target_veth_ip: "10.0.0.2/24" }));
  const after = new Claims(it.view, network, AT);
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
  const claims = new Claims(it.view, network, AT);
  assert.equal(claims.takeNext().toString(), "10.0.0.2");
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
    assert.throws(() => new Claims(it.view, network, AT), { code: "forbidden", message });
  }
});

Deno.test("claims and releases in any order: an address is never given twice, and soon again only where none is left", () => {
  forAll({ runs: 30, choices: 2000, seed: 3 }, (random) => {
    const it = lab(), net = ranged(`10.0.0.0/${24 + random(4)}`, "10.0.0.1/24"), given = new Set<string>();
    const rested = new Map<string, number>();
    let now = AT;
    for (let n = random(80); n > 0; n--) {
      now += random(20_000);
      const writers = [new Claims(it.view, net, now), new Claims(it.view, net, now)];
      // What both have read: a release of what came later would be none.
      const size = Number(rangeOf(net).size) - 3, known = [...given];
      for (const claims of writers) {
        const taken: string[] = [], released: string[] = [];
        for (let k = random(5); k > 0; k--) {
          const old = known[random(Math.max(1, known.length))];
          if (random(2) === 0 && old && !released.includes(old)) {
            claims.release(Ip.parse(old));
            released.push(old);
          } else {
            try {
              taken.push(claims.takeNext().toString());
            } catch (error) {
              assert.match(String(error), /is left/);
            }
          }
        }
        if (!it.commit(planned(claims))) continue;
        for (const address of released) given.delete(address), rested.set(address, now);
        for (const address of taken) {
          assert.ok(!given.has(address), address);
          const resting = [...rested].filter(([a, at]) =>
            Math.floor(now / 1000) - Math.floor(at / 1000) < 60 && !given.has(a)
          );
          // One that was given back in this very step may be taken in it too.
          const soon = resting.some(([a]) => a === address) && !released.includes(address);
          if (soon) assert.ok(given.size + resting.length >= size - released.length, `${address} of ${size}`);
          given.add(address);
          rested.delete(address);
        }
      }
    }
    const bits = new Set(bitsOf(it));
    for (const address of given) assert.ok(bits.has(Ip.parse(address).u32 & 255));
  });
});

Deno.test("a range that is too narrow for an endpoint is called so, and not one whose addresses are taken", () => {
  for (
    const [ip_range, gateway, message] of [
      [
        "10.0.0.0/32",
        "10.0.0.0/32",
        /^network blue: its range 10\.0\.0\.0\/32 has no address for an endpoint/,
      ],
      ["10.0.0.0/31", "10.0.0.1/31", /its range 10\.0\.0\.0\/31 has no address/],
      ["10.0.0.0/31", "192.0.2.1/31", /its range 10\.0\.0\.0\/31 has no address/],
    ] as const
  ) {
    const it = lab(), narrow = { ...network, ip_range, gateway };
    it.put({ [it.keys.network(network.id)]: narrow });
    assert.throws(() => new Claims(it.view, narrow, 0).takeNext(), { code: "exhausted", message });
  }
  const it = lab(), small = { ...network, ip_range: "10.0.0.0/30", gateway: "10.0.0.1/30" };
  it.put({ [it.keys.network(network.id)]: small });
  const claims = new Claims(it.view, small, 0);
  assert.equal(`${claims.takeNext()}`, "10.0.0.2");
  assert.throws(() => claims.takeNext(), {
    message: "network blue: none of the 1 addresses of 10.0.0.0/30 is left",
  });
});
