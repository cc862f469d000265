import assert from "node:assert/strict";
import { invalid } from "../common/refusal.ts";
import { addMembers, deleteMembers, updateMembers } from "../nex/members.ts";
import { deleteNetwork } from "../nex/networks.ts";
import { applySpec } from "../nex/apply.ts";
import { lab, mini, miniMembers } from "../nex/testing.ts";
import { merge } from "../store/plan_builder.ts";
import { feedZones } from "./feed.ts";

Deno.test("feedZones() shows names as members come, change and go, and all gone with their network", () => {
  const it = lab();
  const names = new Map<string, string>(), networks = new Set<string>();
  let published = 0;
  feedZones(it.view, {
    setNetwork: (n) => void networks.add(`${n.name} ${n.domain} ${n.subnets}`),
    deleteNetwork: (n) => void networks.forEach((k) => k.startsWith(`${n} `) && networks.delete(k)),
    setName: (n, ips) => void names.set(n, ips.join()),
    deleteName: (n) => void names.delete(n),
    publish: () => void published++,
  }, { ttl: 60, revision: () => 1 });
  it.do((d) => applySpec(d, [mini], [{ net: "mini", list: miniMembers, force: false }]));
  assert.deepEqual([...networks], ["mini mini.net 10.0.0.0/24"]);
  assert.deepEqual([...names].sort(), [["foxtrot.mini.net", "10.0.0.12"], ["tango.mini.net", "10.0.0.11"], [
    "whiskey.mini.net",
    "10.0.0.10",
  ]]);
  it.do((d) => updateMembers(d, "mini", [{ mac: "00:00:11:11:00:01", name: "scotch" }]));
  assert.deepEqual([names.get("whiskey.mini.net"), names.get("scotch.mini.net")], [undefined, "10.0.0.10"]);
  it.do((d) => deleteMembers(d, "mini", ["00:00:22:22:00:01"]));
  assert.equal(names.has("tango.mini.net"), false);
  it.do((d) => addMembers(d, "mini", [{ mac: "02:00:00:00:00:01", name: "gw", ip4: "10.0.0.1" }]));
  assert.equal(names.get("gw.mini.net"), "10.0.0.1");
  // A name that one membership loses and another gets at once.
  it.do((d) => {
    d.setMember("00:00:33:33:00:01", d.member("00:00:33:33:00:01", "mini"), undefined);
    addMembers(d, "mini", [{ mac: "02:00:00:00:00:02", name: "foxtrot", ip4: "10.0.0.7" }]);
    d.steps.splice(0, 2, merge(d.steps));
  });
  assert.equal(names.get("foxtrot.mini.net"), "10.0.0.7");
  it.do((d) => deleteNetwork(d, "mini"));
  assert.deepEqual([names.size, networks.size], [0, 0]);
  assert.ok(published > 1);
});

Deno.test("feedZones() gives a name the addresses of all its members, of several MACs and of one in several networks", () => {
  const it = lab();
  const names = new Map<string, string>();
  feedZones(it.view, {
    setNetwork: () => {},
    deleteNetwork: () => {},
    setName: (name, ips) => void names.set(name, [...ips].sort().join()),
    deleteName: (name) => void names.delete(name),
    publish: () => {},
  }, { ttl: 60, revision: () => 1 });
  const [one, two] = ["02:00:00:00:00:01", "02:00:00:00:00:02"];
  const www = (mac: string) => ({ mac, name: "www", shared: true });
  const wifi = { name: "wifi", subnet4: "10.1.0.0/24", domain: "mini.net" };
  it.do((d) =>
    applySpec(d, [mini, wifi], [
      { net: "mini", list: [www(one), www(two)], force: false },
      { net: "wifi", list: [{ ...www(one), ip4: "10.1.0.5" }], force: false },
    ])
  );
  assert.equal(names.get("www.mini.net"), "10.0.0.10,10.0.0.11,10.1.0.5");
  it.do((d) => deleteMembers(d, "mini", [one]));
  assert.equal(names.get("www.mini.net"), "10.0.0.11,10.1.0.5");
  it.do((d) => deleteNetwork(d, "wifi"));
  assert.equal(names.get("www.mini.net"), "10.0.0.11");
  it.do((d) => deleteMembers(d, "mini", [two]));
  assert.equal(names.size, 0);
});

Deno.test("feedZones() passes over what can be no name, and tells why", () => {
  const it = lab();
  it.do((d) => applySpec(d, [mini], [{ net: "mini", list: miniMembers, force: false }]));
  const names: string[] = [], told: string[] = [];
  feedZones(it.view, {
    setNetwork: () => {},
    deleteNetwork: () => {},
    setName: (name) => {
      if (name.startsWith("tango")) throw invalid("name: no");
      names.push(name);
    },
    deleteName: () => {},
    publish: () => names.push("published"),
  }, { ttl: 60, revision: () => 1, report: (why) => told.push(why) });
  assert.deepEqual(names.sort(), ["foxtrot.mini.net", "published", "whiskey.mini.net"]);
  assert.deepEqual(told, ["name: no"]);
});
