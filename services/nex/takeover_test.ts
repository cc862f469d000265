import assert from "node:assert/strict";
import { MemoryStore } from "../store/memory_store.ts";
import { pack } from "../store/plan_builder.ts";
import { isOwnKey, type NexRecord, nexSchema } from "../store/records.ts";
import { addressFor, placeClient, planLease } from "./leases.ts";
import { Nex } from "./nex.ts";
import { problems } from "./problems.ts";
import { previewTakeover } from "./takeover_preview.ts";
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

Deno.test("A name with a slash, which no key can be made of, is not claimed, and told", () => {
  const [mac, other] = ["00:00:11:11:00:01", "00:00:11:11:00:02"];
  const it = lab({
    "/net/mini": mini,
    [`/member/${mac}`]: { mac, net: "mini", name: "../../x", ip4: { address: "10.0.0.10" } },
    [`/member/net/mini/${mac}`]: mac,
    [`/member/${other}`]: { mac: other, dynamic: true, net: "mini", hostname: `x/${mac}` },
  });
  for (let steps; (steps = planTakeover(it.view, 10)).length;) {
    for (const plan of pack(steps)) assert.ok(it.store.write(plan).committed);
  }
  const place = placeClient(it.view, { mac }) ?? assert.fail();
  const planned = planLease(it.view, place, { mac, address: addressFor(it.view, place, mac), now: 1000 });
  assert.ok(planned.kind === "commit" && it.store.write(planned.plan).committed);
  assert.equal(it.view.unreadable.misread, undefined);
  assert.deepEqual(it.keys().filter((key) => key.startsWith("/member/name/")), []);
  assert.equal(it.json(`/member/${mac}`).name, "../../x");
  assert.deepEqual(problems(it.view), [
    `the name "../../x" of member ${mac} holds a slash and is not served; change it with: nex set member name`,
    `the name "x/${mac}" of member ${other} holds a slash and is not served; change it with: nex set member name`,
  ]);
});

type Stored = Record<string, string>;

async function fixture(name: string): Promise<Stored> {
  return JSON.parse(await Deno.readTextFile(new URL(`../../tests/fixtures/${name}.json`, import.meta.url)));
}

/** A Nex on a store in memory; its process is killed after so many transactions. */
function nexOn(stored: Stored, transactions = Infinity) {
  const memory = new MemoryStore<NexRecord>(nexSchema, stored);
  memory.beforeCommit = () => {
    if (transactions-- <= 0) throw new Error("killed");
  };
  const nex = new Nex({
    mirror: memory.mirror,
    committer: memory,
    current: () => Promise.resolve([]),
    confirmed: () => Promise.resolve(),
    settled: () => Promise.resolve(),
  });
  const held = (): Stored => Object.fromEntries([...memory.values].map(([key, { value }]) => [key, value]));
  return { memory, nex, held };
}

const layouts = ["nex_store", "nex_store_newer", "nex_store_mixed"];

Deno.test("A store of either layout, or of both, comes out byte for byte as it is to be, wherever a process was killed", async () => {
  for (const layout of layouts) {
    const before = await fixture(layout), after = await fixture(`${layout}_after`);
    let cuts = 0;
    for (let done = false; !done; cuts++) {
      const cut = nexOn(before, cuts);
      done = await cut.nex.takeOver().then(() => true, () => false);
      const again = nexOn(cut.held());
      await again.nex.takeOver();
      assert.deepEqual(again.held(), after, `${layout}, killed after ${cuts} transactions`);
      assert.equal(await again.nex.takeOver(), 0);
    }
    assert.ok(cuts >= 4, `${layout}: ${cuts}`);
  }
});

Deno.test("A step lost to another process leaves the store in a state from which the end is the same", async () => {
  for (const layout of layouts) {
    const before = await fixture(layout), after = await fixture(`${layout}_after`);
    for (let chosen = 0; chosen < 40; chosen++) {
      const { memory, nex, held } = nexOn(before);
      // One step of those that are planned is carried out on its own, as by others that are quicker.
      const steps = planTakeover(nex.view, 500), step = steps[chosen % steps.length];
      assert.ok(step && memory.write(step).committed);
      await nex.takeOver();
      assert.deepEqual(held(), after);
    }
  }
});

Deno.test("Every member is served from a store of either layout before it is taken over", async () => {
  for (const layout of layouts) {
    const { nex: { view } } = nexOn(await fixture(layout));
    assert.equal(view.membersNamed("whiskey.mini.net")[0]?.ip4, "10.0.0.10");
    assert.equal(view.network("mini")?.leaseSeconds, 7200);
    assert.equal(view.network("mini")?.range4?.end, 0x0a0000fe);
    const placed = (mac: string) => placeClient(view, { mac })?.member?.ip4;
    assert.equal(placed("00:00:22:22:00:01"), "10.0.0.11");
    assert.equal(placed("02:aa:00:00:00:01"), "10.0.0.13");
    if (layout === "nex_store") continue;
    assert.deepEqual(view.membersNamed("web.mini.net").map((m) => m.ip4).sort(), ["10.0.0.14", "10.0.0.15"]);
  }
});

Deno.test("What contradicts itself in a store of both layouts is decided for the lease that ends last, and told", async () => {
  const { nex } = nexOn(await fixture("nex_store_mixed"));
  assert.deepEqual(nex.conflicts(), [
    "00:00:33:33:00:01 of network mini has two records that differ, /member/mac/00:00:33:33:00:01 and " +
    "/member/00:00:33:33:00:01: the one whose lease ends last counts, /member/mac/00:00:33:33:00:01, and what it lacks is " +
    "taken from the other",
    "00:00:55:55:00:01 of network mini has two records that differ, /member/00:00:55:55:00:01 and " +
    "/member/mac/00:00:55:55:00:01: the one whose lease ends last counts, /member/00:00:55:55:00:01, and what it lacks is " +
    "taken from the other",
    "00:00:55:55:00:02 of network mini has two records that differ, /member/00:00:55:55:00:02 and " +
    "/member/mac/00:00:55:55:00:02: the one whose lease ends last counts, /member/00:00:55:55:00:02, and what it lacks is " +
    "taken from the other",
    "00:00:66:66:00:01 has records in several networks, lab (/member/mac/00:00:66:66:00:01) and mini " +
    "(/member/00:00:66:66:00:01): it stays a member of each",
    "10.0.0.22 is in the records of 00:00:77:77:00:02 and 00:00:77:77:00:01: it stays that of 00:00:77:77:00:02, whose " +
    "lease ends last",
  ]);
  const own = nexOn(await fixture("nex_store_mixed_after"));
  assert.deepEqual(own.nex.conflicts(), []);
});

/** Each with what is said of it. */
const misread: Record<string, [value: string, reason: RegExp]> = {
  "/member/ip6/fd00::1": ["00:00:11:11:00:01", /^no key of a layout of Nex that is known$/],
  "/member/lease/mini/00:00:11:11:00:01": ["x", /^no key of a layout/],
  "/net/mini/options": ["{}", /^no key of a layout/],
  "/member/whiskey": ["{}", /^its key: no MAC address, like 00:00:11:11:00:01 \(whiskey\)$/],
  "/member/mac/00:00:99:99:00:01": ["garbage", /^not JSON: garbage$/],
  "/member/00:00:99:99:00:01": [
    '{"mac":"00:00:99:99:00:02"}',
    /^mac: not that of its key \(00:00:99:99:00:02\)$/,
  ],
  "/member/ip4/10.0.0.300": ["00:00:11:11:00:01", /^its key: no IPv4 address, like 10\.0\.0\.1$/],
  "/member/ip4/10.0.0.30": ["whiskey", /^value: no MAC address, like 00:00:11:11:00:01 \(whiskey\)$/],
  "/member/net/mini/00:00:99:99:00:01": ["", /^value: no MAC address/],
  "/member/name/whiskey.mini.net/00:00:99:99:00:01": [
    "00:00:11:11:00:01",
    /^value: not the MAC address of its key/,
  ],
  "/net/twice": ['{"name":"twice","range4":1,"Range4":2}', /Range4 is there twice/],
};

Deno.test("While a key or value under /net/ or /member/ is not understood nothing is swept or taken over, and the key is named", async () => {
  for (const layout of layouts) {
    for (const [key, [value, reason]] of Object.entries(misread)) {
      const before = { ...await fixture(layout), [key]: value };
      const { memory, nex, held } = nexOn(before);
      assert.equal(nex.view.unreadable.misread?.key, key);
      assert.match(nex.view.unreadable.misread?.reason ?? "", reason);
      assert.equal(await nex.takeOver(), 0);
      assert.equal(await nex.sweep(Infinity), 0);
      if (!isOwnKey(key)) {
        assert.equal(nex.view.unreadable.foreign?.key, key);
        await assert.rejects(nex.change((draft) => draft.setNetwork("mini", undefined)), {
          message:
            `nothing is changed while ${key} in etcd is not understood (${nex.view.unreadable.misread?.reason}): put it right or remove it`,
        });
      } else assert.equal(nex.view.unreadable.foreign, undefined);
      assert.deepEqual(held(), before);
      const { keys } = await previewTakeover(before);
      assert.deepEqual(keys.filter(({ action }) => action !== "keep").map((fate) => fate.key), [key]);
      // The operator removes it, and all goes on.
      memory.write({ guards: [], ops: [{ remove: key }] });
      assert.equal(nex.view.unreadable.misread, undefined);
      await nex.takeOver();
      assert.deepEqual(held(), await fixture(`${layout}_after`));
    }
  }
});

Deno.test("rehearse() lists what would be written, removed and kept, and is empty-handed when all is done", async () => {
  const before = await fixture("nex_store_newer"), after = await fixture("nex_store_newer_after");
  const { keys } = await previewTakeover(before);
  const of = (action: string) => keys.filter((fate) => fate.action === action).map(({ key }) => key);
  assert.deepEqual(of("remove"), Object.keys(before).filter((key) => !(key in after)).sort());
  assert.deepEqual(of("keep"), Object.keys(before).filter((key) => before[key] === after[key]).sort());
  assert.deepEqual(of("write"), Object.keys(after).filter((key) => before[key] !== after[key]).sort());
  const done = await previewTakeover(after);
  assert.ok(done.keys.every(({ action }) => action === "keep"));
});

Deno.test("Thousands of members of the newer layout are taken over within few rounds, in transactions that etcd takes", async () => {
  const stored: Stored = { "/net/big": JSON.stringify({ ...mini, name: "big", subnet4: "10.0.0.0/16" }) };
  for (let i = 0; i < 2_500; i++) {
    const [high, low] = [i >> 8, i & 255], hex = (n: number) => n.toString(16).padStart(2, "0");
    const mac = `06:00:00:00:${hex(high)}:${hex(low)}`,
      address = `10.0.${high + 1}.${low}`,
      name = `m${i}.mini.net`;
    stored[`/member/mac/${mac}`] = JSON.stringify({ mac, name, ip4: { address }, net: "big" });
    stored[`/member/ip4/${address}`] =
      stored[`/member/name/${name}/${mac}`] =
      stored[`/member/net/big/${mac}`] =
        mac;
  }
  const { nex, held } = nexOn(stored);
  assert.ok(await nex.takeOver() >= 5_000);
  const keys = Object.keys(held());
  assert.equal(keys.length, 10_001);
  assert.ok(!keys.some((key) => /^\/member\/(mac|name\/.*)\/..:/.test(key)));
});
