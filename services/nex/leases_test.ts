import assert from "node:assert/strict";
import { forAll } from "../../tests/lab/property.ts";
import { Ip } from "../common/ip.ts";
import { pack } from "../store/plan_builder.ts";
import { applySpec } from "./apply.ts";
import { addMembers } from "./members.ts";
import { addNetwork, findNetwork, replaceNetwork } from "./networks.ts";
import { nameClient } from "./client_name.ts";
import { addressFor, placeClient, planLease, planLeaseEnd } from "./leases.ts";
import { planDecline } from "./quarantine.ts";
import { Draft } from "./steps.ts";
import { planSweep } from "./sweep.ts";
import { lab, miniMembers, openMini } from "./testing.ts";

const [whiskey] = ["00:00:11:11:00:01"];
const stranger = "02:aa:00:00:00:07";
const open = openMini();

function openLab() {
  const it = lab();
  it.do((d) => applySpec(d, [open], [{ net: "mini", list: miniMembers, force: false }]));
  const lease = (mac: string, now: number, options: { address?: string; hostname?: string } = {}) => {
    const place = placeClient(it.view, { mac });
    assert.ok(place);
    const address = options.address ? Ip.parse(options.address) : addressFor(it.view, place, mac);
    const plan = planLease(it.view, place, { mac, address, now, hostname: options.hostname });
    if (plan.kind === "commit") assert.ok(it.store.write(plan.plan).committed);
    return plan;
  };
  const end = (mac: string, now: number) => {
    const member = it.view.member(mac);
    const step = member && planLeaseEnd(it.view, member, now);
    if (step) assert.ok(it.store.write(step).committed);
  };
  return { ...it, lease, end };
}

Deno.test("planLease() gives a member its own address and writes its expiry", () => {
  const it = openLab();
  const plan = it.lease(whiskey, 1000);
  assert.equal(plan.kind, "commit");
  assert.equal(it.view.member(whiskey)?.ip4, "10.0.0.10");
  assert.equal(it.view.member(whiskey)?.expires, 1000 + 4 * 3600);
  assert.equal(it.view.member(whiskey)?.dynamic, false);
  assert.equal(it.lease(whiskey, 1000).kind, "commit", "the same lease is written again");
});

Deno.test("planLease() does not move the end of a lease back that its client may have been told of", () => {
  const it = openLab();
  for (const mac of [whiskey, stranger]) {
    it.lease(mac, 1012);
    const place = placeClient(it.view, { mac });
    assert.ok(place);
    const plan = planLease(it.view, place, { mac, address: undefined, now: 1000, trustedNow: 1000 });
    assert.ok(plan.kind === "commit" && it.store.write(plan.plan).committed);
    assert.equal(plan.expires, 1012 + 4 * 3600);
    assert.equal(it.view.member(mac)?.expires, 1012 + 4 * 3600);
  }
});

Deno.test("planLease() makes a stored end earlier only by a clock that is known to be right", () => {
  const it = openLab();
  const end = (now: number, trustedNow?: number) => {
    const place = placeClient(it.view, { mac: whiskey }) ?? assert.fail();
    const plan = planLease(it.view, place, { mac: whiskey, address: undefined, now, trustedNow });
    assert.ok(plan.kind === "commit" && it.store.write(plan.plan).committed);
    assert.equal(it.view.member(whiskey)?.expires, plan.expires);
    return plan.expires - 4 * 3600;
  };
  assert.equal(end(20_000), 20_000);
  assert.equal(end(1000), 20_000);
  assert.equal(end(1000, 1000), 1000);
});

Deno.test("planLease() refuses an address of another member, or one that no member may have", () => {
  const it = openLab();
  assert.equal(it.lease(whiskey, 1000, { address: "10.0.0.11" }).kind, "wrong-address");
  for (const address of ["10.0.0.11", "10.0.0.1", "10.0.0.9", "10.0.0.255", "10.9.0.1"]) {
    assert.equal(it.lease(stranger, 1000, { address }).kind, "wrong-address", address);
  }
});

Deno.test("a reservation inside the range is leased to its member alone", () => {
  const it = openLab();
  it.do((d) => addMembers(d, "mini", [{ mac: "06:00:00:00:00:01", ip4: "10.0.0.13" }]));
  assert.equal(it.lease(stranger, 1000, { address: "10.0.0.13" }).kind, "wrong-address");
  it.lease(stranger, 1000);
  it.lease("06:00:00:00:00:01", 1000);
  assert.deepEqual([it.view.member(stranger)?.ip4, it.view.member("06:00:00:00:00:01")?.ip4], [
    "10.0.0.14",
    "10.0.0.13",
  ]);
  for (const step of planSweep(it.view, 1_000_000, 10)) assert.ok(it.store.write(step).committed);
  it.lease(stranger, 1_000_000);
  assert.equal(it.view.member(stranger)?.ip4, "10.0.0.14", "also when its lease has ended");
});

Deno.test("placeClient() knows members, clients in the macRange, and no others", () => {
  const it = openLab();
  it.do((d) =>
    addNetwork(d, {
      name: "far",
      subnet4: "10.5.0.0/24",
      macRange: { begin: "02:bb:00:00:00:00", end: "02:bb:00:00:00:ff" },
    })
  );
  assert.equal(placeClient(it.view, { mac: whiskey })?.member?.name, "whiskey.mini.net");
  assert.equal(placeClient(it.view, { mac: stranger })?.network.name, "mini");
  assert.equal(placeClient(it.view, { mac: "04:00:00:00:00:01" }), undefined);
  assert.equal(placeClient(it.view, { mac: whiskey, link: Ip.parse("10.5.0.1") }), undefined);
  assert.equal(placeClient(it.view, { mac: whiskey, link: Ip.parse("10.0.0.1") })?.network.name, "mini");
  assert.equal(placeClient(it.view, { mac: stranger, link: Ip.parse("10.5.0.1") }), undefined);
});

Deno.test("A dynamic client goes with its lease and gets its old address again while it is free", () => {
  const it = openLab();
  it.lease(stranger, 1000, { hostname: "laptop" });
  assert.equal(it.view.member(stranger)?.ip4, "10.0.0.13");
  assert.equal(it.view.membersNamed("laptop.mini.net")[0]?.mac, stranger);
  it.lease("02:aa:00:00:00:08", 1000);
  const end = 1000 + 4 * 3600;
  // What the client was told may end up to a second after the stored time.
  assert.deepEqual(planSweep(it.view, end + 1, 10), []);
  for (const step of planSweep(it.view, end + 2, 10)) assert.ok(it.store.write(step).committed);
  assert.equal(it.view.member(stranger), undefined);
  assert.ok(!it.keys().some((k) => k.includes("laptop") || k === "/member/ip4/10.0.0.13"));
  it.lease("02:aa:00:00:00:08", 20000);
  assert.equal(it.view.member("02:aa:00:00:00:08")?.ip4, "10.0.0.14");
  it.lease(stranger, 20000);
  assert.equal(it.view.member(stranger)?.ip4, "10.0.0.13");
  assert.ok(!it.keys().some((k) => k.startsWith("/strand/nex/former/")));
});

Deno.test("planLeaseEnd() keeps a member and its address; only the lease and the client's own name end", () => {
  const it = openLab();
  it.do((d) => addMembers(d, "mini", [{ mac: "06:00:00:00:00:01" }]));
  it.lease("06:00:00:00:00:01", 1000, { hostname: "printer" });
  assert.equal(it.view.membersNamed("printer.mini.net")[0]?.mac, "06:00:00:00:00:01");
  it.end("06:00:00:00:00:01", 1500);
  assert.equal(it.view.member("06:00:00:00:00:01")?.ip4, "10.0.0.13");
  assert.equal(it.view.member("06:00:00:00:00:01")?.expires, undefined);
  assert.equal(it.view.membersNamed("printer.mini.net")[0]?.mac, undefined);
});

Deno.test("A member's name is not given to a client that asks for it, and takes it from one that had it", () => {
  const it = openLab();
  it.lease(stranger, 1000, { hostname: "whiskey" });
  assert.equal(it.view.member(stranger)?.name, undefined);
  it.lease("02:aa:00:00:00:08", 1000, { hostname: "gin" });
  it.do((d) => addMembers(d, "mini", [{ mac: "06:00:00:00:00:01", name: "gin" }]));
  assert.equal(it.view.membersNamed("gin.mini.net")[0]?.mac, "06:00:00:00:00:01");
  assert.equal(it.view.member("02:aa:00:00:00:08")?.ip4, "10.0.0.14");
});

Deno.test("A client does not get a name by which others find services, nor keeps one that it got before", () => {
  const it = openLab();
  for (
    const hostname of ["ns", "NS", "wpad", "isatap", "localhost", "localhost.mini.net", "_acme-challenge"]
  ) {
    it.lease(stranger, 1000, { hostname });
    assert.equal(it.view.member(stranger)?.name, undefined, hostname);
  }
  it.lease(stranger, 9000, { hostname: "nsx" });
  it.lease(stranger, 18000, { hostname: "ns" });
  assert.equal(it.view.member(stranger)?.name, "nsx.mini.net");
  const { record } = it.view.member(stranger) ?? assert.fail();
  const bad = { ...record, hostname: "wpad.mini.net" };
  assert.ok(
    it.store.write({ guards: [], ops: [{ put: `/member/${stranger}`, value: JSON.stringify(bad) }] })
      .committed,
  );
  it.lease(stranger, 27000);
  assert.equal(it.view.member(stranger)?.name, undefined);
  it.do((d) => addMembers(d, "mini", [{ mac: "06:00:00:00:00:01", name: "ns" }]));
  assert.equal(it.view.membersNamed("ns.mini.net")[0]?.mac, "06:00:00:00:00:01", "an operator may");
});

Deno.test("nameClient() gives the name that the lease will have", () => {
  const it = openLab();
  const name = (mac: string, requested?: string) => {
    const place = placeClient(it.view, { mac });
    return place && nameClient(it.view, place, mac, requested).name;
  };
  assert.equal(name(whiskey, "other"), "whiskey.mini.net");
  assert.equal(name(stranger, "Laptop"), "laptop.mini.net");
  assert.equal(name(stranger, "whiskey"), undefined);
  assert.equal(name(stranger, "wpad"), undefined);
  it.lease(stranger, 1000, { hostname: "laptop" });
  assert.equal(name(stranger, "desktop"), "desktop.mini.net");
  assert.equal(name(stranger), "laptop.mini.net");
});

Deno.test("planDecline() quarantines the address and the client gets another", () => {
  const it = openLab();
  it.lease(stranger, 1000);
  const place = placeClient(it.view, { mac: stranger });
  assert.ok(place?.member);
  const step = planDecline(it.view, place.network, place.member, 2000);
  assert.ok(step && it.store.write(step).committed);
  it.lease(stranger, 2001);
  assert.equal(it.view.member(stranger)?.ip4, "10.0.0.14");
  for (const s of planSweep(it.view, 2000 + 24 * 3600, 10)) it.store.write(s);
  assert.equal(it.view.taken(Ip.parse("10.0.0.13").u32), false);
});

Deno.test("Two replicas that saw the same request: the second one's commit conflicts, and its next plan agrees", () => {
  const it = openLab();
  const place = placeClient(it.view, { mac: stranger });
  assert.ok(place);
  const request = { mac: stranger, address: Ip.parse("10.0.0.13"), now: 1000 };
  const [a, b] = [planLease(it.view, place, request), planLease(it.view, place, request)];
  assert.ok(a.kind === "commit" && b.kind === "commit");
  assert.ok(it.store.write(a.plan).committed);
  assert.ok(!it.store.write(b.plan).committed);
  const again = placeClient(it.view, { mac: stranger });
  assert.ok(again);
  const next = planLease(it.view, again, request);
  assert.ok(next.kind === "commit" && it.store.write(next.plan).committed);
  assert.deepEqual([next.address, next.expires], [a.address, a.expires]);
});

Deno.test("No address is ever given twice, in any order of leases, ends and declines", () => {
  forAll({ runs: 30, choices: 2000, seed: 7 }, (random) => {
    const it = openLab();
    for (let steps = random(400), now = 1000; steps > 0; steps--, now += random(3000)) {
      const mac = `02:aa:00:00:00:${random(24).toString(16).padStart(2, "0")}`;
      const place = placeClient(it.view, { mac });
      assert.ok(place);
      switch (random(4)) {
        case 0:
          it.end(mac, now);
          break;
        case 1: {
          const step = place.member && planDecline(it.view, place.network, place.member, now);
          if (step) it.store.write(step);
          break;
        }
        default:
          it.lease(mac, now, random(2) ? { hostname: `h${random(10)}` } : {});
      }
      for (const step of planSweep(it.view, now, 50)) it.store.write(step);
      const held = [...it.view.members()].flatMap((m) => m.ip4 ?? []);
      assert.equal(new Set(held).size, held.length);
      for (const member of it.view.members()) {
        assert.equal(it.store.values.get(`/member/ip4/${member.ip4}`)?.value, member.ip4 && member.mac);
      }
      const claims = it.keys().filter((k) => k.startsWith("/member/ip4/"));
      assert.equal(claims.length, held.length);
    }
  });
});

Deno.test("A range is not taken from under a lease that is committed meanwhile", () => {
  const it = openLab();
  const draft = new Draft(it.view);
  replaceNetwork(draft, findNetwork(draft, "mini"), {
    ...open,
    Range4: { begin: "10.0.0.10", end: "10.0.0.20" },
  });
  assert.equal(it.lease(stranger, 1000, { address: "10.0.0.150" }).kind, "commit");
  const [plan] = pack(draft.steps);
  assert.ok(plan && !it.store.write(plan).committed);
});
