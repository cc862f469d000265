import assert from "node:assert/strict";
import { forAll } from "../../tests/lab/property.ts";
import { applySpec } from "./apply.ts";
import { nameClient } from "./client_name.ts";
import { addressFor, placeClient, planLease, planLeaseEnd } from "./leases.ts";
import { addMembers, updateMembers } from "./members.ts";
import { findNetwork, replaceNetwork } from "./networks.ts";
import { planSweep } from "./sweep.ts";
import { lab, openMini } from "./testing.ts";

const first = "02:aa:00:00:00:01", second = "02:aa:00:00:00:02", third = "02:aa:00:00:00:03";
const HOUR = 3600, FULL = 4 * HOUR;
const open = openMini();

function openLab() {
  const it = lab();
  it.do((d) =>
    applySpec(d, [open], [{
      net: "mini",
      list: [{ mac: "00:00:11:11:00:01", name: "whiskey" }],
      force: false,
    }])
  );
  const plan = (mac: string, now: number, hostname?: string, trustedNow: number | undefined = now) => {
    const place = placeClient(it.view, { mac }) ?? assert.fail();
    const address = addressFor(it.view, place, mac);
    return planLease(it.view, place, { mac, address, now, hostname, trustedNow });
  };
  const name = (mac: string) => it.view.member(mac)?.name;
  return {
    ...it,
    plan,
    name,
    /** A lease; the client's name after it. */
    lease(mac: string, now: number, hostname?: string, trustedNow?: number) {
      const planned = plan(mac, now, hostname, trustedNow);
      assert(planned.kind === "commit" && it.store.write(planned.plan).committed);
      assert.equal(planned.name, name(mac));
      return planned.name;
    },
    named: (full: string) => it.view.membersNamed(full).map(({ mac }) => mac),
    sweep(now: number) {
      for (const step of planSweep(it.view, now, 50)) assert(it.store.write(step).committed);
    },
  };
}

Deno.test("A name that is no label is made one: lower-case, a hyphen for each run of anything else", () => {
  const it = openLab();
  const cases: [requested: string, label: string | undefined][] = [
    ["ppj's iPad", "ppj-s-ipad"],
    ["Jim's  (2nd) Phone!", "jim-s-2nd-phone"],
    ["-Living_Room TV-", "living-room-tv"],
    ["Jürgens MacBook", "j-rgens-macbook"],
    ["büro", "b-ro"],
    ["日本語", undefined],
    ["...", undefined],
    [" ", undefined],
    ["a\u0000b\n", "a-b"],
    ["x".repeat(80), "x".repeat(63)],
    ["x".repeat(62) + "'s phone", "x".repeat(62)],
    // What is a label stays as it was.
    ["My-Laptop", "my-laptop"],
    ["build_01", "build_01"],
  ];
  let now = 1000;
  for (const [requested, label] of cases) {
    assert.equal(
      it.lease(first, now += FULL, requested),
      label && `${label}.mini.net`,
      JSON.stringify(requested),
    );
    const step = planLeaseEnd(it.view, it.view.member(first) ?? assert.fail(), now);
    assert(step && it.store.write(step).committed);
    assert.deepEqual(it.keys().filter((key) => key.startsWith("/member/name/")), [
      "/member/name/whiskey.mini.net",
    ]);
  }
});

Deno.test("A name by which others find services is refused after cleaning too", () => {
  const it = openLab();
  for (const requested of ["wpad!", "'ns'", " localhost ", "WPAD ", "isatap\u0000", "_acme-challenge"]) {
    assert.equal(it.lease(first, 1000, requested), undefined, requested);
  }
});

Deno.test("What a client asked for stays visible where it got another name or none, and no longer", () => {
  const it = openLab();
  const told = (mac: string) => it.view.member(mac)?.record.client_name;
  it.lease(first, 1000, "ppj's iPad");
  assert.equal(told(first), "ppj's iPad");
  it.lease(first, 2000);
  assert.equal(told(first), "ppj's iPad", "it said nothing else since");
  it.lease(second, 2000, "Whiskey");
  assert.equal(told(second), "Whiskey");
  it.lease(third, 2000, "日本語");
  assert.equal(told(third), "日本語");
  it.lease(first, 3000, "Tablet");
  assert.deepEqual([it.name(first), told(first)], ["tablet.mini.net", undefined]);
  // An operator gives a member the name that a client had asked for.
  it.do((d) => addMembers(d, "mini", [{ mac: "06:00:00:00:00:01", name: "tablet" }]));
  assert.deepEqual([it.name(first), told(first)], [undefined, "tablet"]);
});

Deno.test("nameClient() says what came of a name", () => {
  const it = openLab();
  const what = (requested: string | undefined, now?: number) => {
    const { name, what } = nameClient(
      it.view,
      placeClient(it.view, { mac: second }) ?? assert.fail(),
      second,
      requested,
      now,
    );
    return [name, what];
  };
  assert.deepEqual(what(undefined), [undefined, undefined]);
  assert.deepEqual(what("laptop"), ["laptop.mini.net", undefined]);
  assert.deepEqual(what("a laptop"), ["a-laptop.mini.net", "cleaned"]);
  assert.deepEqual(what("?!"), [undefined, "unusable"]);
  assert.deepEqual(what("wpad"), [undefined, "unusable"]);
  assert.deepEqual(what("whiskey"), [undefined, "taken"]);
  it.lease(first, 1000, "laptop");
  assert.deepEqual(what("laptop", 2000), [undefined, "taken"]);
  assert.deepEqual(what("laptop", 1000 + FULL - 60), ["laptop.mini.net", "taken-over"]);
});

Deno.test("A name goes to the machine that replaces one whose lease has run past 7/8 without renewal", () => {
  const it = openLab();
  it.lease(first, 1000, "laptop");
  const last = 1000 + FULL / 8 * 7;
  assert.equal(it.lease(second, last, "laptop"), undefined);
  assert.equal(it.lease(second, last + 1, "laptop"), "laptop.mini.net");
  assert.deepEqual(it.named("laptop.mini.net"), [second]);
  assert.equal(it.store.values.get("/member/name/laptop.mini.net")?.value, second);
  // The former holder loses the name only.
  const former = it.view.member(first);
  assert.deepEqual([former?.ip4, former?.expires, former?.name], ["10.0.0.11", 1000 + FULL, undefined]);
  // It comes back: the name is another's now, who renews.
  assert.equal(it.lease(first, last + 100, "laptop"), undefined);
  assert.equal(it.lease(second, last + FULL / 2, "laptop"), "laptop.mini.net");
  it.sweep(last + 100 + FULL + 2);
  assert.equal(it.view.member(first), undefined);
  assert.deepEqual(it.named("laptop.mini.net"), [second]);
});

Deno.test("A name is taken over from no member that is listed, and by no clock that is not trusted", () => {
  const it = openLab();
  const listed = "06:00:00:00:00:02", late = 1000 + FULL - 5;
  it.do((d) => addMembers(d, "mini", [{ mac: listed }]));
  it.lease(listed, 1000, "printer");
  assert.equal(it.lease(second, late, "printer"), undefined);
  assert.equal(it.lease(second, late, "whiskey"), undefined);
  it.lease(first, 1000, "laptop");
  const { name } = nameClient(
    it.view,
    placeClient(it.view, { mac: third }) ?? assert.fail(),
    third,
    "laptop",
    undefined,
  );
  assert.equal(name, undefined);
  // A guest that became a member keeps its name too.
  it.do((d) => updateMembers(d, "mini", [{ mac: first, ip4: "10.0.0.50" }]));
  assert.equal(it.lease(third, late, "laptop"), undefined);
});

Deno.test("A lease of which it is not known how long it was keeps its name", () => {
  const it = openLab();
  it.lease(first, 1000, "laptop");
  // What is left of it is less than an eighth of what leases last from now on, and it may be renewed all the same.
  it.do((d) => replaceNetwork(d, findNetwork(d, "mini"), { ...open, leaseDuration: 7 * 24 * HOUR }));
  assert.equal(it.lease(second, 2000, "laptop"), undefined);
});

Deno.test("A renewal that comes first keeps the name: the other's transaction conflicts", () => {
  const it = openLab();
  it.lease(first, 1000, "laptop");
  const late = 1000 + FULL - 60;
  const taking = it.plan(second, late, "laptop");
  assert(taking.kind === "commit" && taking.what === "taken-over");
  it.lease(first, late, "laptop");
  assert.equal(it.store.write(taking.plan).committed, false);
  assert.equal(it.lease(second, late, "laptop"), undefined);
  // And the other way round: who has lost the name renews without it.
  const again = late + FULL - 60, renewal = it.plan(first, again, "laptop");
  assert.equal(it.lease(second, again, "laptop"), "laptop.mini.net");
  assert(renewal.kind === "commit" && !it.store.write(renewal.plan).committed);
  assert.equal(it.lease(first, again, "laptop"), undefined);
});

Deno.test("Of machines with one name that all renew, the name stays with one; each name has one claim, its holder's", () => {
  forAll({ runs: 20, choices: 150, seed: 1 }, (random) => {
    const it = openLab(), macs = [first, second, third];
    // Each renews at half of its lease, or somewhat later; one of them stops for good.
    const due = new Map(macs.map((mac) => [mac, 1000 + random(1000)]));
    const dead = macs[random(3)], dies = 1000 + (2 + random(3)) * FULL;
    const holders: string[] = [];
    for (let now = 1000; now < 1000 + 8 * FULL; now += 60) {
      for (const [mac, at] of due) {
        if (at > now || (mac === dead && now > dies)) continue;
        it.lease(mac, now, "same name");
        due.set(mac, now + FULL / 2 + random(FULL / 4));
      }
      it.sweep(now);
      const named = it.named("same-name.mini.net"), [holder] = named;
      assert.ok(named.length <= 1, `${named}`);
      assert.equal(it.store.values.get("/member/name/same-name.mini.net")?.value, holder);
      if (holder && holders.at(-1) !== holder) holders.push(holder);
    }
    assert.ok(holders.length <= (holders[0] === dead ? 2 : 1), holders.join(", "));
    assert.notEqual(holders.at(-1), holders.length > 1 ? dead : undefined);
  });
});
