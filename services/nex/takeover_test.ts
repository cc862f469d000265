import assert from "node:assert/strict";
import { addressFor, placeClient, planLease } from "./leases.ts";
import { pack } from "./steps.ts";
import { planTakeover } from "./takeover.ts";
import { lab, mini, miniMembers } from "./testing.ts";

/** A store as the old daemons leave it, with every oddity that they are known for. */
const old = {
  "/net/mini": {
    ...mini,
    macRange: { begin: "02:aa:00:00:00:00", end: "02:aa:00:00:00:ff" },
    colour: "blue",
  },
  "/pool/mini": { Size: 245, Values: [0, 1, 3], Net: mini },
  "/member/00:00:11:11:00:01": {
    mac: "00:00:11:11:00:01",
    name: "Whiskey.mini.net",
    ip4: { address: "10.0.0.10" },
    net: "mini",
    owner: "ops",
  },
  "/member/ip4/10.0.0.10": "00:00:11:11:00:01",
  "/member/name/Whiskey.mini.net": "00:00:11:11:00:01",
  "/member/net/mini/00:00:11:11:00:01": "00:00:11:11:00:01",
  // Its address was set twice: the first claim was left behind.
  "/member/00:00:22:22:00:01": {
    mac: "00:00:22:22:00:01",
    name: "tango.mini.net",
    ip4: { address: "10.0.0.11" },
    net: "mini",
  },
  "/member/ip4/10.0.0.11": "00:00:22:22:00:01",
  "/member/ip4/10.0.0.5": "00:00:22:22:00:01",
  "/member/name/tango.mini.net": "00:00:22:22:00:01",
  "/member/net/mini/00:00:22:22:00:01": "00:00:22:22:00:01",
  // No address yet.
  "/member/00:00:33:33:00:01": { mac: "00:00:33:33:00:01", name: "foxtrot.mini.net", net: "mini" },
  "/member/name/foxtrot.mini.net": "00:00:33:33:00:01",
  "/member/net/mini/00:00:33:33:00:01": "00:00:33:33:00:01",
  // Dynamic: no network and no key for it.
  "/member/02:aa:00:00:00:01": {
    mac: "02:aa:00:00:00:01",
    ip4: { address: "10.0.0.13", expires: { seconds: 5000 } },
  },
  "/member/ip4/10.0.0.13": "02:aa:00:00:00:01",
};

Deno.test("A store of the old daemons is served as it is", () => {
  const { view } = lab(old);
  assert.deepEqual(view.membersOf("mini").map((m) => m.mac), [
    ...miniMembers.map((m) => m.mac),
    "02:aa:00:00:00:01",
  ]);
  assert.equal(view.membersNamed("whiskey.mini.net")[0]?.mac, "00:00:11:11:00:01");
  assert.equal(placeClient(view, { mac: "02:aa:00:00:00:01" })?.network.name, "mini");
  assert.equal(view.memberAt("10.0.0.5")?.mac, undefined, "a stale claim holds nothing");
});

Deno.test("planTakeover() puts right what the old daemons left, keeps what it does not know, and then rests", () => {
  const it = lab(old);
  for (let i = 0; i < 20; i++) {
    const steps = planTakeover(it.view, 2);
    if (!steps.length) break;
    for (const plan of pack(steps)) assert.ok(it.store.write(plan).committed);
  }
  assert.deepEqual(planTakeover(it.view, 100), []);
  assert.deepEqual(it.json("/member/00:00:11:11:00:01"), {
    ...old["/member/00:00:11:11:00:01"],
    name: "whiskey.mini.net",
  });
  assert.deepEqual(it.json("/net/mini"), old["/net/mini"]);
  const keys = it.keys();
  for (const gone of ["/pool/mini", "/member/ip4/10.0.0.5", "/member/name/Whiskey.mini.net"]) {
    assert.ok(!keys.includes(gone), gone);
  }
  assert.equal(it.store.values.get("/member/name/whiskey.mini.net")?.value, "00:00:11:11:00:01");
  assert.equal(it.view.member("00:00:33:33:00:01")?.ip4, "10.0.0.12");
  assert.deepEqual(it.view.member("02:aa:00:00:00:01")?.net, "mini");
  assert.equal(it.view.member("02:aa:00:00:00:01")?.dynamic, true);
  assert.ok(!keys.includes("/member/net/mini/02:aa:00:00:00:01"));
});

Deno.test("Of two records with one address, the one with the claim has it; the other gets a new one", () => {
  const it = lab({
    "/net/mini": mini,
    "/member/00:00:11:11:00:01": { mac: "00:00:11:11:00:01", ip4: { address: "10.0.0.10" }, net: "mini" },
    "/member/00:00:22:22:00:01": { mac: "00:00:22:22:00:01", ip4: { address: "10.0.0.10" }, net: "mini" },
    "/member/ip4/10.0.0.10": "00:00:22:22:00:01",
  });
  for (let i = 0; i < 5; i++) {
    for (const plan of pack(planTakeover(it.view, 100))) assert.ok(it.store.write(plan).committed);
  }
  assert.equal(it.view.memberAt("10.0.0.10")?.mac, "00:00:22:22:00:01");
  const place = placeClient(it.view, { mac: "00:00:11:11:00:01" });
  assert.ok(place);
  const address = addressFor(it.view, place, "00:00:11:11:00:01");
  assert.equal(address?.toString(), "10.0.0.11");
  const plan = planLease(it.view, place, { mac: "00:00:11:11:00:01", address, now: 1000 });
  assert.ok(plan.kind === "commit" && it.store.write(plan.plan).committed);
  assert.equal(it.store.values.get("/member/ip4/10.0.0.10")?.value, "00:00:22:22:00:01");
});

Deno.test("Of two spellings of a MAC the lower-case one stays; one alone is respelled", () => {
  const it = lab({
    "/net/mini": mini,
    "/member/00:00:AA:11:00:01": { mac: "00:00:AA:11:00:01", ip4: { address: "10.0.0.10" }, net: "mini" },
    "/member/00:00:aa:11:00:01": { mac: "00:00:aa:11:00:01", ip4: { address: "10.0.0.11" }, net: "mini" },
    "/member/00:00:BB:22:00:01": {
      mac: "00:00:BB:22:00:01",
      name: "tango.mini.net",
      ip4: { address: "10.0.0.12" },
      net: "mini",
    },
  });
  for (let i = 0; i < 5; i++) {
    for (const plan of pack(planTakeover(it.view, 100))) assert.ok(it.store.write(plan).committed);
  }
  assert.deepEqual(it.keys().filter((k) => /member\/..:/.test(k)), [
    "/member/00:00:aa:11:00:01",
    "/member/00:00:bb:22:00:01",
  ]);
  assert.deepEqual(it.view.membersOf("mini").map((m) => [m.mac, m.ip4]), [
    ["00:00:aa:11:00:01", "10.0.0.11"],
    ["00:00:bb:22:00:01", "10.0.0.12"],
  ]);
});
