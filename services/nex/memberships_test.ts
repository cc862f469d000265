import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { Refusal } from "../common/refusal.ts";
import { applySpec } from "./apply.ts";
import { changeMemberIds } from "./change_mac.ts";
import { addressFor, placeClient, type PlacementRequest, planLease, planLeaseEnd } from "./leases.ts";
import { addMembers, deleteMembers, updateMembers } from "./members.ts";
import { addNetwork, deleteNetwork } from "./networks.ts";
import { Draft, pack } from "./steps.ts";
import { planSweep } from "./sweep.ts";
import { planTakeover } from "./takeover.ts";
import { lab, lagging, mini } from "./testing.ts";
import type { View } from "./view.ts";

const desk = "02:00:00:00:00:01", other = "02:00:00:00:00:02", guest = "02:aa:00:00:00:07";
const guests = { begin: "02:aa:00:00:00:00", end: "02:aa:ff:ff:ff:ff" };
const maxi = {
  name: "maxi",
  subnet4: "10.1.0.0/24",
  domain: "maxi.net",
  Range4: { begin: "10.1.0.10", end: "10.1.0.200" },
  macRange: guests,
};
const far = {
  name: "far",
  subnet4: "10.2.0.0/24",
  Range4: { begin: "10.2.0.10", end: "10.2.0.200" },
  macRange: { begin: "02:aa:00:00:00:00", end: "02:aa:00:00:00:ff" },
};

/** Three networks; macRanges of all of them overlap. */
function threeNetworks() {
  const it = lab();
  it.do((d) => applySpec(d, [{ ...mini, macRange: guests }, maxi, far], []));
  const place = (mac: string, request: Partial<PlacementRequest> = {}) =>
    placeClient(it.view, { mac, ...request });
  return {
    ...it,
    place,
    nets: (mac: string) => it.view.memberships(mac).map((m) => m.net).sort(),
    on: (...names: string[]): Partial<PlacementRequest> => ({ attached: ({ name }) => names.includes(name) }),
    /** A lease for a client behind the relay with this address. */
    lease(mac: string, relay: string, now = 1000, hostname?: string) {
      const at = place(mac, { link: Ip.parse(relay) }) ?? assert.fail(`${mac} has no place at ${relay}`);
      const planned = planLease(it.view, at, { mac, address: addressFor(it.view, at, mac), now, hostname });
      assert.ok(planned.kind === "commit" && it.store.write(planned.plan).committed);
      return planned.address.toString();
    },
  };
}

Deno.test("A MAC is a member of several networks: the first lies under Nex's keys, the others under ours", () => {
  const it = threeNetworks();
  it.do((d) => addMembers(d, "mini", [{ mac: desk, name: "desk" }]));
  const before = it.keys();
  it.do((d) => addMembers(d, "maxi", [{ mac: desk, name: "desk" }]));
  assert.deepEqual(it.keys().filter((key) => !before.includes(key)), [
    "/member/ip4/10.1.0.10",
    "/member/name/desk.maxi.net",
    `/strand/member/maxi/${desk}`,
  ]);
  assert.deepEqual(it.json(`/strand/member/maxi/${desk}`), {
    mac: desk,
    net: "maxi",
    name: "desk.maxi.net",
    ip4: { address: "10.1.0.10" },
  });
  assert.deepEqual([it.view.member(desk, "mini")?.ip4, it.view.member(desk, "maxi")?.ip4], [
    "10.0.0.10",
    "10.1.0.10",
  ]);
  assert.deepEqual(
    it.do((d) => addMembers(d, "maxi", [{ mac: desk, name: "desk" }]))[0]?.action,
    "unchanged",
  );
  assert.deepEqual(planTakeover(it.view, 10), []);
});

Deno.test("One membership ends, or changes, and the others stay as they are, wherever they lie", () => {
  const it = threeNetworks();
  for (const net of ["mini", "maxi", "far"]) it.do((d) => addMembers(d, net, [{ mac: desk }]));
  it.do((d) => deleteMembers(d, "mini", [desk]));
  assert.deepEqual(it.nets(desk), ["far", "maxi"]);
  assert.throws(() => it.do((d) => deleteMembers(d, "mini", [desk])), { code: "not-found" });
  it.do((d) => updateMembers(d, "maxi", [{ mac: desk, name: "desk", ip4: "10.1.0.5" }]));
  assert.deepEqual([it.view.member(desk, "maxi")?.ip4, it.view.member(desk, "far")?.ip4], [
    "10.1.0.5",
    "10.2.0.10",
  ]);
  it.do((d) => addMembers(d, "mini", [{ mac: desk }]));
  assert.deepEqual(it.nets(desk), ["far", "maxi", "mini"]);
  assert.equal(it.json(`/member/${desk}`).net, "mini");
  it.do((d) => deleteNetwork(d, "maxi"));
  for (let steps; (steps = planSweep(it.view, 0, 10)).length;) {
    for (const plan of pack(steps)) assert.ok(it.store.write(plan).committed);
  }
  assert.deepEqual(it.nets(desk), ["far", "mini"]);
  assert.deepEqual(it.keys().filter((key) => /10\.1\.0|maxi/.test(key)), []);
  assert.deepEqual(planTakeover(it.view, 10), []);
});

Deno.test("changeMemberIds() moves the membership of one network", () => {
  const it = threeNetworks();
  for (const net of ["mini", "maxi"]) it.do((d) => addMembers(d, net, [{ mac: desk, name: "desk" }]));
  it.do((d) => changeMemberIds(d, "maxi", [{ old: desk, new: other }]));
  assert.deepEqual([it.nets(desk), it.nets(other)], [["mini"], ["maxi"]]);
  assert.equal(it.view.membersNamed("desk.maxi.net")[0]?.mac, other);
  it.do((d) => changeMemberIds(d, "mini", [{ old: desk, new: other }]));
  assert.deepEqual([it.nets(desk), it.nets(other)], [[], ["maxi", "mini"]]);
  assert.deepEqual(planTakeover(it.view, 10), []);
});

Deno.test("A dynamic member of an old store, which names no network, moves without touching the new MAC's other membership", () => {
  const it = lab({
    "/net/mini": mini,
    "/net/maxi": maxi,
    [`/member/${guest}`]: { mac: guest, ip4: { address: "10.0.0.20", expires: { seconds: 5000 } } },
    "/member/ip4/10.0.0.20": guest,
  });
  it.do((d) => addMembers(d, "maxi", [{ mac: desk }]));
  it.do((d) => changeMemberIds(d, "mini", [{ old: guest, new: desk }]));
  assert.deepEqual(it.view.memberships(desk).map((m) => [m.net, m.ip4, m.dynamic]), [
    ["maxi", "10.1.0.10", false],
    ["mini", "10.0.0.20", true],
  ]);
});

Deno.test("A guest has a lease, an address and a name in each network that it comes to, and each ends by itself", () => {
  const it = threeNetworks();
  assert.equal(it.lease(guest, "10.0.0.1", 1000, "laptop"), "10.0.0.10");
  assert.equal(it.lease(guest, "10.1.0.1", 2000, "laptop"), "10.1.0.10");
  assert.deepEqual(it.view.memberships(guest).map((m) => m.name), ["laptop.mini.net", "laptop.maxi.net"]);
  for (const step of planSweep(it.view, 1000 + 4 * 3600 + 2, 10)) assert.ok(it.store.write(step).committed);
  assert.deepEqual(it.nets(guest), ["maxi"]);
  it.lease(other.replace("00", "aa"), "10.0.0.1", 20_000);
  // It is remembered by network which address it had.
  for (const step of planSweep(it.view, 40_000, 10)) assert.ok(it.store.write(step).committed);
  assert.equal(it.lease(guest, "10.0.0.1", 41_000), "10.0.0.10");
  assert.equal(it.lease(guest, "10.1.0.1", 41_000), "10.1.0.10");
});

Deno.test("placeClient() serves a MAC of several networks in the one that the link or the relay chooses", () => {
  const it = threeNetworks();
  for (const net of ["maxi", "mini"]) it.do((d) => addMembers(d, net, [{ mac: desk }]));
  const net = (request: Partial<PlacementRequest>, mac = desk) => it.place(mac, request)?.network.name;
  assert.equal(net(it.on("mini")), "mini");
  assert.equal(net(it.on("maxi")), "maxi");
  assert.equal(net(it.on("far")), undefined, "no network of its own is on the link");
  assert.equal(net({ link: Ip.parse("10.1.0.1") }), "maxi");
  assert.equal(net({ link: Ip.parse("10.2.0.1") }), undefined);
  const both = it.on("mini", "maxi");
  assert.equal(net({ ...both, named: Ip.parse("10.1.0.10").u32 }), "maxi");
  assert.equal(net({ ...both, named: Ip.parse("10.0.0.10").u32 }), "mini");
  assert.equal(net(both), net({}), "always the same one");
});

Deno.test("placeClient() lets a guest into the network on its link; of several there, that with the narrower macRange", () => {
  const it = threeNetworks();
  const net = (request: Partial<PlacementRequest>) => it.place(guest, request)?.network.name;
  assert.equal(net(it.on("mini")), "mini");
  assert.equal(net(it.on("maxi")), "maxi");
  assert.equal(net(it.on("mini", "maxi", "far")), "far");
  assert.equal(net({}), "far");
  assert.equal(net({ link: Ip.parse("10.1.0.1") }), "maxi");
  it.lease(guest, "10.1.0.1");
  assert.equal(net(it.on("mini", "maxi", "far")), "maxi", "where it has a lease it stays");
  assert.equal(net(it.on("mini")), "mini", "and has another one where it comes to");
});

Deno.test("addMembers() shares a name that another member has when it is to tell of it; all of them have it", () => {
  const it = threeNetworks();
  const told: string[] = [];
  const add = (mac: string, ip4?: string) =>
    it.do((d) => addMembers(d, "mini", [{ mac, name: "www", ip4 }], { onShared: (what) => told.push(what) }));
  add(desk);
  assert.deepEqual(told, []);
  add(other);
  assert.match(
    told.join(),
    /www\.mini\.net of member 02:00:00:00:00:02 is also that of 02:00:00:00:00:01 .*mini/,
  );
  const named = () => it.view.membersNamed("www.mini.net").map((m) => m.ip4).sort();
  assert.deepEqual(named(), ["10.0.0.10", "10.0.0.11"]);
  assert.deepEqual(it.keys().filter((key) => key.includes("/name/")), [
    "/member/name/www.mini.net",
    `/strand/name/www.mini.net/${other}`,
  ]);
  assert.equal(add(other)[0]?.action, "unchanged");
  assert.deepEqual(planTakeover(it.view, 10), []);
  it.do((d) => deleteMembers(d, "mini", [desk]));
  assert.deepEqual(named(), ["10.0.0.11"]);
  assert.deepEqual(planTakeover(it.view, 10), []);
  add(desk);
  assert.deepEqual(named(), ["10.0.0.10", "10.0.0.11"]);
  it.do((d) => deleteMembers(d, "mini", [desk, other]));
  assert.deepEqual(it.keys().filter((key) => key.includes("/name/")), []);
});

Deno.test("applySpec() lets members share a name that all of them call shared, in any order, and refuses it else", () => {
  const member = (mac: string, shared?: boolean) => ({ mac, name: "www", shared });
  const apply = (it: ReturnType<typeof threeNetworks>, ...list: ReturnType<typeof member>[]) =>
    it.do((d) => applySpec(d, [], [{ net: "mini", list, force: false }])).map(({ action }) => action);
  const it = threeNetworks();
  for (const list of [[member(desk), member(other)], [member(desk, true), member(other)]]) {
    assert.throws(() => apply(it, ...list), {
      code: "exists",
      message:
        /www\.mini\.net belongs to 02:00:00:00:00:01 .*"shared: true".* missing on .*02:00:00:00:00:02/,
    });
  }
  assert.equal(it.view.size.members, 0);
  assert.deepEqual(apply(it, member(desk)), ["created"]);
  assert.throws(() => apply(it, member(other, true)), { message: /missing on 02:00:00:00:00:01/ });
  // The new one comes before the one that has the name.
  assert.deepEqual(apply(it, member(other, true), member(desk, true)), ["created", "updated"]);
  assert.deepEqual(apply(it, member(other, true), member(desk, true)), ["unchanged", "unchanged"]);
  assert.throws(() => apply(it, member(desk, false)), { message: /missing on 02:00:00:00:00:01/ });
  assert.throws(() => it.do((d) => addMembers(d, "mini", [{ mac: guest }, { mac: guest }])), {
    message: /in the list twice/,
  });
  it.do((d) => addMembers(d, "mini", [{ mac: guest, name: "x" }]));
  assert.throws(() => it.do((d) => updateMembers(d, "mini", [{ mac: guest, name: "www" }])), {
    message: /member 02:aa:00:00:00:07: name: www\.mini\.net belongs to/,
  });
});

Deno.test("A name of one MAC in two networks of one domain is one claim, which goes with the last of them", () => {
  const it = threeNetworks();
  it.do((d) => addNetwork(d, { name: "wifi", subnet4: "10.3.0.0/24", domain: "mini.net" }));
  it.do((d) =>
    applySpec(d, [], [
      { net: "mini", list: [{ mac: desk, name: "desk" }], force: false },
      { net: "wifi", list: [{ mac: desk, name: "desk", ip4: "10.3.0.5" }], force: false },
    ])
  );
  const claims = () => it.keys().filter((key) => key.includes("/name/"));
  assert.deepEqual(claims(), ["/member/name/desk.mini.net"]);
  it.do((d) => deleteMembers(d, "mini", [desk]));
  assert.deepEqual(claims(), ["/member/name/desk.mini.net"]);
  it.do((d) => deleteMembers(d, "wifi", [desk]));
  assert.deepEqual(claims(), []);
});

Deno.test("An address and a name are not taken from a membership whose record is still to be shown", () => {
  const it = threeNetworks();
  it.do((d) => addMembers(d, "maxi", [{ mac: desk }]));
  const { view, catchUp } = lagging(it.store.mirror, "/strand/member/");
  it.do((d) => addMembers(d, "mini", [{ mac: desk, name: "desk" }]));
  const plan = (draft = new Draft(view)) => {
    addMembers(draft, "mini", [{ mac: other, name: "desk" }], { onShared: () => {} });
    return pack(draft.steps)[0] ?? assert.fail();
  };
  assert.equal(it.store.write(plan()).committed, false);
  for (const step of planTakeover(view, 10)) assert.equal(it.store.write(step).committed, false);
  catchUp();
  assert.ok(it.store.write(plan()).committed);
  assert.deepEqual([it.view.member(desk, "mini")?.ip4, it.view.member(other)?.ip4], [
    "10.0.0.10",
    "10.0.0.11",
  ]);
  assert.deepEqual(planTakeover(it.view, 10), []);
});

Deno.test("What a deleted network left is swept to its end though a member was still to be shown", () => {
  const it = threeNetworks();
  for (const net of ["maxi", "mini"]) it.do((d) => addMembers(d, net, [{ mac: desk }]));
  const { view, catchUp } = lagging(it.store.mirror, "/strand/member/");
  it.do((d) => addMembers(d, "mini", [{ mac: other }]));
  it.do((d) => addMembers(d, "maxi", [{ mac: other }]));
  it.do((d) => deleteNetwork(d, "maxi"));
  const sweep = () => planSweep(view, 0, 10).map((step) => it.store.write(step).committed);
  assert.deepEqual(sweep(), [true], "the member that is shown");
  assert.deepEqual(sweep(), [false], "the mark stays");
  catchUp();
  for (let i = 0; i < 5; i++) sweep(), catchUp();
  assert.deepEqual(it.keys().filter((key) => /maxi|10\.1\.0/.test(key)), []);
});

Deno.test("Of replicas that plan on what was, none makes a membership twice, nor a claim that no record agrees with", () => {
  let seed = 11;
  const random = (n: number) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;
  const nets = ["mini", "maxi", "wifi"], macs = [desk, other, guest];
  /** What a replica does that shows this view. */
  const planned = (view: View, now: number) => {
    const mac = macs[random(3)] ?? desk, net = nets[random(3)] ?? "mini", name = `h${random(2)}`;
    const draft = new Draft(view);
    const at = placeClient(view, { mac, link: view.network(net)?.subnet4?.first.plus(1n) });
    switch (random(7)) {
      case 0:
        deleteMembers(draft, net, [mac]);
        break;
      case 1:
        addMembers(draft, net, [{ mac, name: "" }], { force: true });
        break;
      case 2: {
        const step = at?.member && planLeaseEnd(view, at.member, now);
        if (step) draft.steps.push(step);
        break;
      }
      case 3: {
        const address = at && addressFor(view, at, mac);
        const lease = at && planLease(view, at, { mac, address, now, hostname: name });
        if (lease?.kind === "commit") draft.steps.push(lease.plan);
        break;
      }
      case 4:
        draft.steps.push(...planTakeover(view, 3));
        break;
      case 5:
        changeMemberIds(draft, net, [{ old: mac, new: macs[random(3)] ?? desk }]);
        break;
      default:
        addMembers(draft, net, [{ mac, name }], { force: true, onShared: () => {} });
    }
    return pack(draft.steps);
  };
  let conflicts = 0;
  for (let round = 0; round < 20; round++) {
    const it = threeNetworks();
    it.do((d) =>
      addNetwork(d, { ...far, name: "wifi", subnet4: "10.3.0.0/24", Range4: undefined, domain: "mini.net" })
    );
    const behind = ["/strand/member/", "/member/", "/strand/name/"].map((p) => lagging(it.store.mirror, p));
    for (let i = 0; i < 120; i++) {
      // Several plans from one state, carried out in turn: those of replicas that do not know of each other yet.
      const plans = [it.view, ...behind.map(({ view }) => view)].flatMap((view) => {
        try {
          return planned(view, 1000 + i);
        } catch (error) {
          if (error instanceof Refusal) return [];
          throw error;
        }
      });
      for (const plan of plans) if (!it.store.write(plan).committed) conflicts++;
      for (const { catchUp } of behind) if (random(2)) catchUp();
      const members = [...it.view.members()];
      const pairs = members.map((m) => `${m.net} ${m.mac}`);
      assert.equal(new Set(pairs).size, pairs.length, pairs.sort().join(", "));
      const claimed = it.keys().filter((key) => /\/(name|ip4)\//.test(key)).map((key) => {
        const [, value] = key.match(/\/(?:name|ip4)\/([^/]*)/) ?? [];
        return `${value} ${it.store.values.get(key)?.value}`;
      });
      const wanted = members.flatMap((m) => [m.name, m.ip4].flatMap((v) => v ? `${v} ${m.mac}` : []));
      assert.deepEqual(claimed.sort(), [...new Set(wanted)].sort(), `round ${round}, ${i}`);
    }
    // A name may be another MAC's since a member has moved: what is left is to mark it as shared.
    for (const plan of pack(planTakeover(it.view, 10))) it.store.write(plan);
    assert.deepEqual(planTakeover(it.view, 10), []);
  }
  assert.ok(conflicts > 100, `${conflicts} conflicts`);
});
