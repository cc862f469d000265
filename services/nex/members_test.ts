import assert from "node:assert/strict";
import { applySpec } from "./apply.ts";
import { changeMemberIds } from "./change_mac.ts";
import { addMembers, deleteMembers, updateMembers } from "./members.ts";
import { problems } from "./problems.ts";
import { addNetwork, deleteNetwork, findNetwork, replaceNetwork } from "./networks.ts";
import { Draft } from "./steps.ts";
import { keyOf } from "../store/keys.ts";
import { pack } from "../store/plan_builder.ts";
import { planDeletedNetwork } from "./sweep.ts";
import { lab, mini, miniMembers } from "./testing.ts";

function miniLab() {
  const it = lab();
  it.do((d) => applySpec(d, [mini], [{ net: "mini", list: miniMembers, force: false }]));
  return it;
}

Deno.test("applySpec() gives members the lowest addresses in list order and writes the old layout", () => {
  const { view, keys, json } = miniLab();
  assert.deepEqual(view.membersOf("mini").map((m) => [m.name, m.ip4]), [
    ["whiskey.mini.net", "10.0.0.10"],
    ["tango.mini.net", "10.0.0.11"],
    ["foxtrot.mini.net", "10.0.0.12"],
  ]);
  assert.deepEqual(json("/member/00:00:11:11:00:01"), {
    mac: "00:00:11:11:00:01",
    net: "mini",
    name: "whiskey.mini.net",
    ip4: { address: "10.0.0.10" },
  });
  for (
    const key of [
      "/member/ip4/10.0.0.10",
      "/member/name/whiskey.mini.net",
      "/member/net/mini/00:00:11:11:00:01",
    ]
  ) {
    assert.ok(keys().includes(key), key);
  }
});

Deno.test("applySpec() again changes nothing", () => {
  const it = miniLab();
  const before = it.store.revision;
  const objects = it.do((d) => applySpec(d, [mini], [{ net: "mini", list: miniMembers, force: false }]));
  assert.deepEqual(objects.map((o) => o.action), ["unchanged", "unchanged", "unchanged", "unchanged"]);
  assert.equal(it.store.revision, before);
});

Deno.test("addMembers() refuses what another member has, and plans nothing", () => {
  const it = miniLab();
  const cases: [Parameters<typeof addMembers>[2], string, RegExp][] = [
    [[{ mac: "zz" }], "invalid", /mac: "zz" is not a MAC/],
    [[{ mac: "02:00:00:00:00:01", name: "a b" }], "invalid", /"a b" is not a DNS label/],
    [[{ mac: "02:00:00:00:00:01" }, { mac: "02-00-00-00-00-01" }], "invalid", /in the list twice/],
    [
      [{ mac: "02:00:00:00:00:01", ip4: "10.0.0.11" }],
      "exists",
      /ip4: 10\.0\.0\.11 belongs to 00:00:22:22:00:01 \(tango\.mini\.net\) already$/,
    ],
    [[{ mac: "02:00:00:00:00:01", ip4: "10.0.1.20" }], "invalid", /outside 10\.0\.0\.0\/24/],
    [[{ mac: "02:00:00:00:00:01", ip4: "10.0.0.255" }], "invalid", /broadcast/],
    [[{ mac: "02:00:00:00:00:01", ip4: "10.0.0" }], "invalid", /"10\.0\.0" is not an IP address/],
    [[{ mac: "00:00:11:11:00:01", name: "other" }], "exists", /exists with another name/],
  ];
  for (const [list, code, message] of cases) {
    const before = it.store.revision;
    assert.throws(() => it.do((d) => addMembers(d, "mini", list)), { code, message });
    assert.equal(it.store.revision, before);
  }
  assert.throws(() => it.do((d) => addMembers(d, "maxi", [])), { code: "not-found", message: /"maxi"/ });
});

Deno.test("addMembers() takes a static address outside the range, a gateway's too", () => {
  const it = miniLab();
  it.do((d) => addMembers(d, "mini", [{ mac: "02:00:00:00:00:01", name: "gw", ip4: "10.0.0.1" }]));
  assert.equal(it.view.memberAt("10.0.0.1")?.mac, "02:00:00:00:00:01");
});

Deno.test("a static address inside the range is a reservation: claimed at once, and given to no other member", () => {
  const it = miniLab();
  const macs = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"] as const;
  it.do((d) =>
    addMembers(d, "mini", [{ mac: macs[0] }, { mac: macs[1], ip4: "10.0.0.13" }, { mac: macs[2] }])
  );
  assert.deepEqual(macs.map((mac) => it.view.member(mac)?.ip4), ["10.0.0.14", "10.0.0.13", "10.0.0.15"]);
  assert.equal(it.store.values.get("/member/ip4/10.0.0.13")?.value, macs[1]);
  const list = [{ mac: macs[0], ip4: "" }, { mac: macs[1], ip4: "10.0.0.16" }, {
    mac: macs[2],
    ip4: "10.0.0.13",
  }];
  it.do((d) => updateMembers(d, "mini", list));
  assert.deepEqual(macs.map((mac) => it.view.member(mac)?.ip4), ["10.0.0.17", "10.0.0.16", "10.0.0.13"]);
});

Deno.test("a spec's reservations are kept from the members of its other lists", () => {
  const it = lab();
  const lists = [miniMembers, [{ mac: "02:00:00:00:00:01", ip4: "10.0.0.11" }]]
    .map((list) => ({ net: "mini", list, force: false }));
  it.do((d) => applySpec(d, [mini], lists));
  assert.deepEqual(it.view.membersOf("mini").map((m) => m.ip4), [
    "10.0.0.10",
    "10.0.0.12",
    "10.0.0.13",
    "10.0.0.11",
  ]);
});

Deno.test("a spec's reservations are kept from members whose network gets a range by it", () => {
  const it = lab();
  const { Range4, ...fixed } = mini;
  it.do((d) => applySpec(d, [fixed], [{ net: "mini", list: miniMembers, force: false }]));
  const list = [{ mac: "02:00:00:00:00:01", ip4: Range4.begin }];
  it.do((d) => applySpec(d, [mini], [{ net: "mini", list, force: false }]));
  assert.deepEqual(it.view.membersOf("mini").map((m) => m.ip4), [
    "10.0.0.11",
    "10.0.0.12",
    "10.0.0.13",
    "10.0.0.10",
  ]);
});

Deno.test("a reservation of a leased address is refused, naming by whom and until when", () => {
  const it = miniLab();
  const mac = "02:aa:00:00:00:01", ip4 = { address: "10.0.0.20", expires: { seconds: 1_800_000_000 } };
  it.do((d) =>
    d.setMember(mac, undefined, { mac, net: "mini", dynamic: true, hostname: "laptop.mini.net", ip4 })
  );
  const refusal = {
    code: "exists",
    message:
      /ip4: 10\.0\.0\.20 belongs to 02:aa:00:00:00:01 \(laptop\.mini\.net\) already, with a lease until 2027-01-15T08:00:00\.000Z$/,
  };
  const requests = [{ mac: "00:00:11:11:00:01", ip4: "10.0.0.20" }];
  assert.throws(() => it.do((d) => updateMembers(d, "mini", requests)), refusal);
  assert.throws(() => it.do((d) => addMembers(d, "mini", requests, { force: true })), refusal);
  assert.deepEqual(it.do((d) => addMembers(d, "mini", [{ mac, ip4: "10.0.0.20" }]))[0]?.action, "created");
  assert.equal(it.view.member(mac)?.expires, 1_800_000_000, "its lease goes on");
});

Deno.test("two networks on one subnet are refused, with the way to write them as one", () => {
  const it = miniLab();
  assert.throws(() => it.do((d) => addNetwork(d, { ...mini, name: "macs", domain: "macs.net" })), {
    code: "invalid",
    message:
      "network macs: subnet4: 10.0.0.0/24 overlaps 10.0.0.0/24 of network mini; write them as one network, " +
      "which may have range4, macrange and members with an ip4 of their own at once",
  });
});

Deno.test("addMembers() takes members as they are told to a reader: the same contents", () => {
  const it = miniLab();
  const told = it.view.membersOf("mini").map(({ mac, name, ip4 }) => ({ mac, name, ip4 }));
  assert.deepEqual(it.do((d) => addMembers(d, "mini", told)).map((a) => a.action), [
    "unchanged",
    "unchanged",
    "unchanged",
  ]);
});

Deno.test("addMembers() replaces with force, and gives back what the member had", () => {
  const it = miniLab();
  it.do((d) => addMembers(d, "mini", [{ mac: "00:00:11:11:00:01", name: "scotch" }], { force: true }));
  assert.equal(it.view.membersNamed("whiskey.mini.net")[0]?.mac, undefined);
  assert.equal(it.view.member("00:00:11:11:00:01")?.ip4, "10.0.0.10");
  assert.ok(!it.keys().includes("/member/name/whiskey.mini.net"));
});

Deno.test("addMembers() writes a list of thousands in order, each transaction within the limit", () => {
  const it = miniLab();
  it.do((d) =>
    addNetwork(d, {
      name: "big",
      subnet4: "10.1.0.0/16",
      domain: "big.net",
      Range4: { begin: "10.1.0.1", end: "10.1.255.254" },
    })
  );
  const list = Array.from(
    { length: 3000 },
    (_, i) => ({
      mac: `02:00:00:00:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 255).toString(16).padStart(2, "0")}`,
      name: `n${i}`,
    }),
  );
  it.do((d) => addMembers(d, "big", list));
  const members = it.view.membersOf("big");
  assert.equal(members.length, 3000);
  assert.equal(new Set(members.map((m) => m.ip4)).size, 3000);
  assert.equal(it.view.member("02:00:00:00:0b:b7")?.ip4, "10.1.11.184");
});

Deno.test("addMembers() says when the range is full, and how large it is", () => {
  const it = lab();
  it.do((d) => addNetwork(d, { ...mini, Range4: { begin: "10.0.0.10", end: "10.0.0.11" } }));
  assert.throws(() => it.do((d) => addMembers(d, "mini", miniMembers)), {
    code: "exhausted",
    message: /mini: none of the 2 addresses/,
  });
  assert.equal(it.view.size.members, 0);
});

Deno.test("updateMembers() renames and clears, and refuses strangers", () => {
  const it = miniLab();
  it.do((d) =>
    updateMembers(d, "mini", [{ mac: "00:00:11:11:00:01", name: "scotch" }, {
      mac: "00:00:22:22:00:01",
      name: "",
    }])
  );
  assert.equal(it.view.membersNamed("scotch.mini.net")[0]?.mac, "00:00:11:11:00:01");
  assert.equal(it.view.member("00:00:22:22:00:01")?.name, undefined);
  assert.throws(() => it.do((d) => updateMembers(d, "mini", [{ mac: "02:00:00:00:00:09", name: "x" }])), {
    code: "not-found",
  });
  it.do((d) => updateMembers(d, "mini", [{ mac: "00:00:33:33:00:01", ip4: "10.0.0.5" }]));
  assert.equal(it.view.memberAt("10.0.0.12")?.mac, undefined);
  it.do((d) => addMembers(d, "mini", [{ mac: "02:00:00:00:00:01" }]));
  assert.equal(it.view.member("02:00:00:00:00:01")?.ip4, "10.0.0.12");
});

Deno.test("changeMemberIds() moves members, in a circle too", () => {
  const it = miniLab();
  const [a, b] = ["00:00:11:11:00:01", "00:00:22:22:00:01"] as const;
  it.do((d) => changeMemberIds(d, "mini", [{ old: a, new: b }, { old: b, new: a }]));
  assert.equal(it.view.membersNamed("whiskey.mini.net")[0]?.mac, b);
  assert.equal(it.view.member(a)?.ip4, "10.0.0.11");
  it.do((d) => changeMemberIds(d, "mini", [{ old: a, new: "02:00:00:00:00:0a" }]));
  const many = Array.from(
    { length: 90 },
    (_, i) => ({ mac: `06:00:00:00:00:${i.toString(16).padStart(2, "0")}` }),
  );
  it.do((d) => addMembers(d, "mini", many));
  it.do((d) => changeMemberIds(d, "mini", many.map((m) => ({ old: m.mac, new: m.mac.replace("06", "0a") }))));
  assert.equal(it.view.member("0a:00:00:00:00:59")?.ip4, "10.0.0.102");
  assert.equal(it.view.member(a), undefined);
  assert.throws(() => it.do((d) => changeMemberIds(d, "mini", [{ old: b, new: "00:00:33:33:00:01" }])), {
    code: "exists",
  });
});

Deno.test("deleteMembers() leaves no claim behind", () => {
  const it = miniLab();
  it.do((d) => deleteMembers(d, "mini", miniMembers.map((m) => m.mac.toUpperCase())));
  assert.deepEqual(it.keys(), ["/net/mini"]);
});

Deno.test("deleteNetwork() hides everything at once, and the sweep leaves nothing", () => {
  const it = miniLab();
  it.do((d) => deleteNetwork(d, "mini"));
  assert.throws(() => findNetwork(it.view, "mini"));
  assert.throws(() => it.do((d) => addNetwork(d, mini)), /conflict/);
  for (let i = 0; i < 10 && it.view.deleted.size; i++) {
    it.do((d) => void d.steps.push(...planDeletedNetwork(it.view, "mini", 2)));
  }
  assert.deepEqual(it.keys(), []);
  it.do((d) => addNetwork(d, mini));
});

Deno.test("a mark of a deletion that is younger than the network takes nothing, and is told", () => {
  const it = miniLab(), mark = keyOf.deletedNetwork("mini"), before = it.keys();
  it.store.write({ guards: [], ops: [{ put: mark, value: '{"subnet4":"10.0.0.0/24"}' }] });
  assert.deepEqual(planDeletedNetwork(it.view, "mini", 100), []);
  assert.match(
    problems(it.view).join(),
    /^the record .strand.nex.deleted.mini in etcd says that network mini/,
  );
  it.do((d) => deleteMembers(d, "mini", [miniMembers[0]?.mac ?? ""]));
  it.do((d) => deleteNetwork(d, "mini"));
  assert.ok(before.length > 3);
  for (let i = 0; i < 10 && it.view.deleted.size; i++) {
    it.do((d) => void d.steps.push(...planDeletedNetwork(it.view, "mini", 100)));
  }
  assert.deepEqual(it.keys(), [], "the network can be deleted all the same");
});

Deno.test("where an old daemon has created a network again, the sweep takes what is left of the earlier one alone", () => {
  const it = miniLab(), [old, late] = miniMembers.map(({ mac }) => mac);
  it.do((d) => deleteNetwork(d, "mini"));
  it.store.write({ guards: [], ops: [{ put: keyOf.network("mini"), value: JSON.stringify(mini) }] });
  const value = JSON.stringify({ mac: late, net: "mini" });
  it.store.write({ guards: [], ops: [{ put: keyOf.member(late ?? ""), value }] });
  for (let i = 0; i < 10 && it.view.deleted.size; i++) {
    it.do((d) => void d.steps.push(...planDeletedNetwork(it.view, "mini", 100)));
  }
  assert.equal(it.view.deleted.size, 0);
  assert.deepEqual([it.view.member(old ?? ""), it.view.member(late ?? "")?.net], [undefined, "mini"]);
  assert.ok(it.view.network("mini"));
});

Deno.test("addNetwork() names the field that is wrong", () => {
  const it = miniLab();
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ name: "" }, /name: "" is not a network name/],
    [{ name: undefined }, /name: "" is not a network name/],
    [{ name: "a/b" }, /"a\/b"/],
    [{ subnet4: "10.1.0.0" }, /subnet4: "10\.1\.0\.0" is not a CIDR/],
    [{ subnet4: undefined }, /subnet4: missing/],
    [
      { subnet4: "10.0.0.128/25", Range4: undefined, gateways: [] },
      /overlaps 10\.0\.0\.0\/24 of network mini/,
    ],
    [{ gateways: ["10.0.2.1"] }, /gateways: 10\.0\.2\.1 is outside the subnet 10\.1\.0\.0\/24/],
    [{ Range4: { begin: "10.1.0.20", end: "10.1.0.10" } }, /end 10\.1\.0\.10 is before the begin/],
    [{ Range4: { begin: "10.1.0.20", end: "10.1.1.10" } }, /range4\.end: 10\.1\.1\.10 is outside/],
    [{ domain: "a..b" }, /domain: "a\.\.b" is not a domain/],
    [{ macRange: { begin: "02:00:00:00:00:09", end: "02:00:00:00:00:01" } }, /before the begin/],
    [{ dhcp4server: "server" }, /dhcp4server: "server" is not an IP/],
    [{ options: [{ number: 26, value: "many" }] }, /26/],
  ];
  const base = {
    ...mini,
    name: "next",
    subnet4: "10.1.0.0/24",
    gateways: ["10.1.0.1"],
    Range4: undefined,
    nameservers: [],
  };
  for (const [change, message] of cases) {
    assert.throws(() => it.do((d) => addNetwork(d, { ...base, ...change } as never)), {
      code: "invalid",
      message,
    });
  }
  assert.throws(() => it.do((d) => addNetwork(d, { ...mini, domain: "other.net" })), {
    code: "exists",
    message: /another domain/,
  });
});

Deno.test("replaceNetwork() refuses what members forbid, naming the first", () => {
  const it = miniLab();
  const change = (fields: Record<string, unknown>) =>
    it.do((d) => replaceNetwork(d, findNetwork(d, "mini"), { ...mini, ...fields }));
  assert.throws(() => change({ Range4: { begin: "10.0.0.11", end: "10.0.0.20" } }), {
    code: "forbidden",
    message: /does not hold 10\.0\.0\.10 of member 00:00:11/,
  });
  assert.throws(() => change({ subnet4: "10.2.0.0/24", gateways: [], Range4: undefined }), {
    code: "forbidden",
  });
  assert.equal(change({}), "unchanged");
  assert.equal(change({ Range4: { begin: "10.0.0.10", end: "10.0.0.20" } }), "updated");
});

Deno.test("replaceNetwork() renames the members when the domain changes", () => {
  const it = miniLab();
  it.do((d) => replaceNetwork(d, findNetwork(d, "mini"), { ...mini, domain: "maxi.org" }));
  assert.equal(it.view.membersNamed("whiskey.maxi.org")[0]?.mac, "00:00:11:11:00:01");
  assert.equal(it.view.membersNamed("whiskey.mini.net")[0]?.mac, undefined);
  assert.ok(!it.keys().includes("/member/name/whiskey.mini.net"));
});

Deno.test("replaceNetwork() completes a change to a domain inside the old one that was cut short", () => {
  const it = miniLab();
  const list = Array.from({ length: 100 }, (_, i) => ({
    mac: `0a:00:00:00:00:${i.toString(16).padStart(2, "0")}`,
    name: `m${i}`,
  }));
  it.do((d) => addMembers(d, "mini", list));
  const draft = new Draft(it.view);
  replaceNetwork(draft, findNetwork(draft, "mini"), { ...mini, domain: "x.mini.net" });
  const [first] = pack(draft.steps);
  assert.ok(first && it.store.write(first).committed);
  it.do((d) => replaceNetwork(d, findNetwork(d, "mini"), { ...mini, domain: "x.mini.net" }));
  assert.deepEqual(
    it.view.membersOf("mini").filter((m) => !/^[a-z]+\d*\.x\.mini\.net$/.test(m.name ?? "")),
    [],
  );
});
