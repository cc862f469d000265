import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import { pack } from "../store/plan_builder.ts";
import { forAll } from "../../tests/lab/property.ts";
import { applySpec } from "./apply.ts";
import { changeMemberIds } from "./change_mac.ts";
import { heldIn } from "./held.ts";
import { addressFor, placeClient, planLease, planLeaseEnd, planRelease } from "./leases.ts";
import { addMembers, deleteMembers, updateMembers } from "./members.ts";
import { addNetwork, deleteNetwork, findNetwork, replaceNetwork } from "./networks.ts";
import { deleteDeclined } from "./quarantine.ts";
import { Draft } from "./steps.ts";
import { planDeletedNetwork, planSweep } from "./sweep.ts";
import { lab, macsWith, mini } from "./testing.ts";

const desk = "02:00:00:00:00:01", other = "02:00:00:00:00:02", third = "02:00:00:00:00:03";
const guest = "02:aa:00:00:00:07";
const range = (end: number) => ({ begin: "10.0.0.10", end: `10.0.0.${end}` });
const guests = macsWith("02:aa");
const HOURS = 4 * 3600;

/** A network of three addresses in which `desk` has a lease on the first, from 1000 on. */
function leased(network = { ...mini, Range4: range(12), macRange: guests }) {
  const it = lab();
  it.do((d) => applySpec(d, [network], [{ net: "mini", list: [{ mac: desk }], force: false }]));
  const lease = (mac: string, now: number, requested?: string) => {
    const place = placeClient(it.view, { mac }) ?? assert.fail(`${mac} has no place`);
    const address = requested ? Ip.parse(requested) : addressFor(it.view, place, mac);
    const planned = planLease(it.view, place, { mac, address, now });
    if (planned.kind === "commit") assert(it.store.write(planned.plan).committed);
    return planned.kind === "commit" ? planned.address.toString() : planned.kind;
  };
  assert.equal(lease(desk, 1000), "10.0.0.10");
  return {
    ...it,
    lease,
    held: () => heldIn(it.view, "mini").map(({ address, mac, until }) => [address, mac, until]),
    address: (mac: string) => it.view.member(mac, "mini")?.ip4,
    sweep(now: number) {
      for (const step of planSweep(it.view, now, 50)) assert(it.store.write(step).committed);
    },
    refused(plan: (draft: Draft) => unknown, now = 2000): string {
      const draft = new Draft(it.view, undefined, now);
      try {
        plan(draft);
      } catch (error) {
        assert(error instanceof Refusal);
        assert.equal(error.code, "exists");
        return error.message;
      }
      assert.fail("not refused");
    },
  };
}

const heldForDesk = [["10.0.0.10", desk, 1000 + HOURS]];

Deno.test("The address of a deleted member is given to no other until its lease and the grace are over", () => {
  const it = leased();
  it.do((d) => deleteMembers(d, "mini", [desk]));
  assert.deepEqual(it.held(), heldForDesk);
  it.do((d) => addMembers(d, "mini", [{ mac: other }]));
  assert.equal(it.address(other), "10.0.0.11");
  assert.equal(it.lease(guest, 2000, "10.0.0.10"), "wrong-address");
  assert.equal(it.lease(guest, 2000), "10.0.0.12");
  // A pool that has run out leaves it alone too, also where it is asked for.
  assert.throws(() => it.do((d) => addMembers(d, "mini", [{ mac: third }])), /none of the 3 addresses/);
  assert.equal(it.lease("02:aa:00:00:00:08", 2000, "10.0.0.10"), "wrong-address");
  assert.throws(() => it.do((d) => deleteDeclined(d, "mini", ["10.0.0.10"])), /not among its declined/);
  it.sweep(1000 + HOURS + 1);
  assert.deepEqual(it.held(), heldForDesk);
  it.sweep(1000 + HOURS + 2);
  assert.deepEqual(it.held(), []);
  it.do((d) => addMembers(d, "mini", [{ mac: third }]));
  assert.equal(it.address(third), "10.0.0.10");
});

Deno.test("An address that is held is refused with whose it is and until when, and given with force", () => {
  const it = leased();
  it.do((d) => addMembers(d, "mini", [{ mac: other }]));
  it.do((d) => deleteMembers(d, "mini", [desk]));
  const why = "10.0.0.10 is held for " + desk + ", whose lease runs until 1970-01-01T04:16:40.000Z; " +
    "take it all the same with: nex set member ip4 --force";
  const ip4 = "10.0.0.10";
  const all = { ...mini, Range4: range(12), macRange: guests };
  for (
    const plan of [
      (d: Draft) => addMembers(d, "mini", [{ mac: third, ip4 }]),
      (d: Draft) => addMembers(d, "mini", [{ mac: third, ip4 }], { force: true }),
      (d: Draft) => applySpec(d, [all], [{ net: "mini", list: [{ mac: third, ip4 }], force: false }]),
    ]
  ) assert.equal(it.refused(plan), `member ${third}: ip4: ${why}`);
  assert.equal(
    it.refused((d) => updateMembers(d, "mini", [{ mac: other, ip4 }])),
    `member ${other}: ip4: ${why}`,
  );
  // In its last two seconds, and with a clock that cannot be trusted, it is held all the same.
  it.refused((d) => updateMembers(d, "mini", [{ mac: other, ip4 }]), 1000 + HOURS + 1);
  it.refused((d) => updateMembers(d, "mini", [{ mac: other, ip4 }]), -Infinity);
  // Then it is free, also while no sweep has come by.
  updateMembers(new Draft(it.view, undefined, 1000 + HOURS + 2), "mini", [{ mac: other, ip4 }]);
  it.do((d) => updateMembers(d, "mini", [{ mac: other, ip4 }], { force: true }));
  assert.equal(it.address(other), ip4);
  assert.deepEqual(it.held(), []);
});

Deno.test("A member that is given another address by hand leaves the one that it has a lease on held", () => {
  for (const force of [false, true]) {
    const it = leased();
    it.do((d) => updateMembers(d, "mini", [{ mac: desk, ip4: "10.0.0.50" }], { force }));
    assert.deepEqual(it.held(), force ? [] : heldForDesk);
    // Its client is told that the address is no longer its own.
    assert.equal(it.lease(desk, 2000, "10.0.0.10"), "wrong-address");
    // Given back, the address has its lease again: a deletion holds it once more.
    it.do((d) => updateMembers(d, "mini", [{ mac: desk, ip4: "10.0.0.10" }]));
    assert.equal(it.view.member(desk)?.expires, force ? undefined : 1000 + HOURS);
    assert.deepEqual(it.held(), []);
    it.do((d) => deleteMembers(d, "mini", [desk]));
    assert.deepEqual(it.held(), force ? [] : heldForDesk);
  }
});

Deno.test("Members that are replaced with force, and addresses that one list moves on, are held too", () => {
  const it = leased();
  const next = [{ mac: desk, ip4: "10.0.0.60" }, { mac: other, ip4: "10.0.0.10" }];
  assert.match(it.refused((d) => addMembers(d, "mini", next, { force: true })), /10\.0\.0\.10 is held for/);
  assert.match(
    it.refused((d) => {
      deleteMembers(d, "mini", [desk]);
      addMembers(d, "mini", [{ mac: other, ip4: "10.0.0.10" }]);
    }),
    /is held for/,
  );
  it.do((d) => {
    deleteMembers(d, "mini", [desk]);
    addMembers(d, "mini", [{ mac: other }]);
  });
  assert.equal(it.address(other), "10.0.0.11");
  // A guest's address is held when it becomes a listed member with another one.
  assert.equal(it.lease(guest, 1500), "10.0.0.12");
  it.do((d) => addMembers(d, "mini", [{ mac: guest, ip4: "10.0.0.70" }], { force: true }));
  assert.deepEqual(it.held(), [...heldForDesk, ["10.0.0.12", guest, 1500 + HOURS]]);
});

Deno.test("Who has the lease may have the address back, by DHCP or from an operator", () => {
  const it = leased({ ...mini, Range4: range(12), macRange: { begin: desk, end: desk } });
  it.do((d) => deleteMembers(d, "mini", [desk]));
  assert.equal(it.lease(desk, 2000), "10.0.0.10");
  assert.equal(it.view.member(desk)?.dynamic, true);
  assert.deepEqual(it.held(), []);
  it.do((d) => deleteMembers(d, "mini", [desk]));
  it.do((d) => addMembers(d, "mini", [{ mac: other }, { mac: desk, name: "desk" }]));
  assert.equal(it.address(desk), "10.0.0.10");
  assert.equal(it.view.member(desk)?.expires, 2000 + HOURS, "its lease runs on");
  // With another machine's MAC the address goes with the member, as ever.
  it.do((d) => changeMemberIds(d, "mini", [{ old: desk, new: third }]));
  assert.equal(it.address(third), "10.0.0.10");
  assert.deepEqual(it.held(), []);
});

Deno.test("A request that waited for etcd does not shorten the lease that its client has been given meanwhile and that is held", () => {
  const it = leased({ ...mini, Range4: range(12), macRange: { begin: desk, end: desk } });
  // Another replica renewed the lease after the request was sent; then the member was deleted.
  it.lease(desk, 1005);
  it.do((d) => deleteMembers(d, "mini", [desk]));
  const place = placeClient(it.view, { mac: desk }) ?? assert.fail();
  const late = { mac: desk, address: Ip.parse("10.0.0.10"), now: 1000, trustedNow: 1000 };
  const planned = planLease(it.view, place, late);
  assert(planned.kind === "commit" && it.store.write(planned.plan).committed);
  assert.equal(planned.expires, 1005 + HOURS);
  assert.equal(it.view.member(desk)?.expires, 1005 + HOURS);
  assert.deepEqual(it.held(), []);
});

Deno.test("delete member with force frees the address at once, and what is held for the MAC already", () => {
  const it = leased();
  it.do((d) => updateMembers(d, "mini", [{ mac: desk, ip4: "10.0.0.50" }]));
  it.do((d) => deleteMembers(d, "mini", [desk], { force: true }));
  assert.deepEqual(it.held(), []);
  const again = leased();
  again.do((d) => deleteMembers(d, "mini", [desk]));
  again.do((d) => deleteMembers(d, "mini", [desk], { force: true }));
  assert.deepEqual(again.held(), []);
  assert.throws(
    () => again.do((d) => deleteMembers(d, "mini", [desk], { force: true })),
    /has no member 02:00:00:00:00:01/,
  );
});

Deno.test("A lease that is over, or was given back, holds nothing", () => {
  const it = leased();
  const draft = new Draft(it.view, undefined, 1000 + HOURS + 2);
  deleteMembers(draft, "mini", [desk]);
  assert.ok(!draft.steps.some(({ ops }) => ops.some((op) => "put" in op)));
  const grace = new Draft(it.view, undefined, 1000 + HOURS + 1);
  deleteMembers(grace, "mini", [desk]);
  assert.ok(grace.withheld.has("10.0.0.10"));
  const step = planLeaseEnd(it.view, it.view.member(desk) ?? assert.fail(), 2000);
  assert(step && it.store.write(step).committed);
  it.do((d) => deleteMembers(d, "mini", [desk]));
  assert.deepEqual(it.held(), []);
});

Deno.test("A release frees what is held for its client, and for no other", () => {
  const it = leased();
  it.do((d) => deleteMembers(d, "mini", [desk]));
  const network = it.view.network("mini") ?? assert.fail();
  assert.equal(planRelease(it.view, network, other, "10.0.0.10"), undefined);
  assert.equal(planRelease(it.view, { ...network, name: "maxi" }, desk, "10.0.0.10"), undefined);
  const step = planRelease(it.view, network, desk, "10.0.0.10");
  assert(step && it.store.write(step).committed);
  assert.deepEqual(it.held(), []);
});

Deno.test("A range that changes keeps what is held from others, and a network takes it along when it is deleted", () => {
  const it = leased();
  it.do((d) => deleteMembers(d, "mini", [desk]));
  const without = { ...mini, Range4: { begin: "10.0.0.11", end: "10.0.0.12" }, macRange: guests };
  it.do((d) => replaceNetwork(d, findNetwork(d, "mini"), without));
  it.do((d) => replaceNetwork(d, findNetwork(d, "mini"), { ...without, Range4: range(12) }));
  it.do((d) => addMembers(d, "mini", [{ mac: other }, { mac: third }]));
  assert.deepEqual([it.address(other), it.address(third)], ["10.0.0.11", "10.0.0.12"]);
  assert.deepEqual(it.held(), heldForDesk);
  it.do((d) => deleteNetwork(d, "mini"));
  for (let steps; (steps = planDeletedNetwork(it.view, "mini", 9)).length && it.view.deleted.size;) {
    for (const step of steps) assert(it.store.write(step).committed);
  }
  assert.deepEqual([...it.view.withheld.keys()], []);
});

Deno.test("One of a MAC's memberships that ends leaves the others as they are", () => {
  const it = leased();
  it.do((d) =>
    addNetwork(d, { name: "maxi", subnet4: "10.1.0.0/24", Range4: { begin: "10.1.0.10", end: "10.1.0.20" } })
  );
  it.do((d) => addMembers(d, "maxi", [{ mac: desk }]));
  it.do((d) => deleteMembers(d, "mini", [desk]));
  assert.deepEqual(it.held(), heldForDesk);
  assert.equal(it.view.member(desk, "maxi")?.ip4, "10.1.0.10");
  // What is held for it in one network is not its own in another.
  assert.match(it.refused((d) => addMembers(d, "mini", [{ mac: other, ip4: "10.0.0.10" }])), /is held for/);
  it.do((d) => deleteMembers(d, "mini", [desk], { force: true }));
  assert.deepEqual(it.held(), []);
});

Deno.test("A plan that was made before an address was leased and held does not give it to another", () => {
  const it = lab();
  it.do((d) => addNetwork(d, { ...mini, macRange: guests }));
  const place = placeClient(it.view, { mac: guest }) ?? assert.fail();
  const address = Ip.parse("10.0.0.10");
  // Of a replica that has not heard of anything since: the address was free, and its claim is as absent again.
  const late = planLease(it.view, place, { mac: guest, address, now: 1000 });
  it.do((d) => addMembers(d, "mini", [{ mac: desk }]));
  const own = placeClient(it.view, { mac: desk }) ?? assert.fail();
  const lease = planLease(it.view, own, { mac: desk, address, now: 1000 });
  assert(late.kind === "commit" && lease.kind === "commit" && it.store.write(lease.plan).committed);
  it.do((d) => deleteMembers(d, "mini", [desk]));
  assert.equal(it.store.write(late.plan).committed, false);
});

Deno.test("No address that a client still has a lease on is given to another, in any order of changes, interruptions and repetitions", () => {
  forAll({ runs: 40, choices: 1500, seed: 1 }, (pick) => {
    const it = leased({ ...mini, Range4: range(17), macRange: guests });
    const macs = [desk, other, third, guest, "02:aa:00:00:00:08", "02:aa:00:00:00:09"];
    /** What each client was told: how long it may use which address. */
    const told = new Map<string, { address: string; until: number }>([
      [desk, { address: "10.0.0.10", until: 1000 + HOURS }],
    ]);
    let now = 1000;
    // A view of the past, from which late plans are made.
    const asPlanned: (() => boolean)[] = [];
    for (let steps = pick(200); steps > 0; steps--) {
      now += pick(1500);
      const mac = macs[pick(macs.length)] ?? desk, ip4 = `10.0.0.${10 + pick(10)}`;
      const commit = (plan: (draft: Draft) => unknown) => {
        const draft = new Draft(it.view, undefined, now);
        try {
          plan(draft);
        } catch (error) {
          if (error instanceof Refusal) return;
          throw error;
        }
        // Cut short after some of its transactions, as by a crash.
        for (const one of pack(draft.steps, 12)) if (!it.store.write(one).committed || pick(5) === 0) return;
      };
      switch (pick(8)) {
        case 0:
          commit((d) => deleteMembers(d, "mini", [mac]));
          break;
        case 1:
          commit((d) => updateMembers(d, "mini", [{ mac, ip4 }]));
          break;
        case 2:
          commit((d) =>
            addMembers(d, "mini", [{ mac, ...pick(2) ? { ip4 } : {} }], { force: pick(2) === 0 })
          );
          break;
        case 3: {
          const [a = desk, b = other] = [mac, macs[pick(macs.length)]];
          commit((d) =>
            addMembers(d, "mini", [{ mac: a, ip4 }, ...a === b ? [] : [{ mac: b }]], { force: true })
          );
          break;
        }
        case 4: {
          for (const late of asPlanned.splice(0)) late();
          for (const step of planSweep(it.view, now, 50)) it.store.write(step);
          break;
        }
        default: {
          const place = placeClient(it.view, { mac });
          if (!place) break;
          const had = told.get(mac);
          const address = pick(2) && had ? Ip.parse(had.address) : addressFor(it.view, place, mac);
          const planned = planLease(it.view, place, { mac, address, now });
          if (planned.kind !== "commit") break;
          const at = now;
          const write = () => {
            if (!it.store.write(planned.plan).committed) return false;
            const text = planned.address.toString();
            for (const [who, lease] of told) {
              assert.ok(
                who === mac || lease.address !== text || lease.until <= at,
                `${text} was given to ${mac} at ${at}, and is ${who}'s until ${lease.until}`,
              );
            }
            told.set(mac, { address: text, until: planned.expires });
            return true;
          };
          if (pick(4)) write();
          else asPlanned.push(write);
        }
      }
      for (const [whose, { address, until }] of told) {
        const holder = it.view.memberAt(address);
        if (!holder || holder.mac === whose || until <= now) continue;
        assert.fail(
          `${holder.mac} has ${address} at ${now}, which is ${whose}'s until ${until}`,
        );
      }
    }
  });
});

Deno.test("An address whose record cannot be read is given to no client and no member, and keeps no other from them", () => {
  const it = lab({
    "/net/mini": { ...mini, Range4: range(13), macRange: guests },
    "/strand/nex/withheld/10.0.0.10": "garbage",
    "/strand/nex/withheld/10.0.0.12": "garbage",
  });
  const place = placeClient(it.view, { mac: guest }) ?? assert.fail();
  const planned = planLease(it.view, place, {
    mac: guest,
    address: addressFor(it.view, place, guest, Ip.parse("10.0.0.12")),
    now: 1000,
  });
  assert.ok(planned.kind === "commit" && it.store.write(planned.plan).committed);
  assert.equal(planned.address.toString(), "10.0.0.11");
  it.do((d) => addMembers(d, "mini", [{ mac: desk }]));
  assert.equal(it.view.member(desk, "mini")?.ip4, "10.0.0.13");
});
