import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { pack } from "../store/plan_builder.ts";
import { applySpec } from "./apply.ts";
import { changeMemberIds } from "./change_mac.ts";
import type { PlacementRequest } from "./leases.ts";
import { addMembers, deleteMembers, updateMembers } from "./members.ts";
import { addNetwork, deleteNetwork } from "./networks.ts";
import { planSweep } from "./sweep.ts";
import { planTakeover } from "./takeover.ts";
import { lab, mini } from "./testing.ts";
import { desk, guest, maxi, other, threeNetworks } from "./testing_networks.ts";

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
