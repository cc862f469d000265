import assert from "node:assert/strict";
import { Refusal } from "../common/refusal.ts";
import { addMembers, updateMembers } from "./members.ts";
import { addNetwork } from "./networks.ts";
import { declinedIn, deleteDeclined } from "./quarantine.ts";
import { lab, mini } from "./testing.ts";

const small = { ...mini, Range4: { begin: "10.0.0.10", end: "10.0.0.12" } };

function quarantined(until: Record<string, number>) {
  const records = Object.entries(until).map(([address, until]) => [
    `/strand/nex/withheld/${address}`,
    { net: "mini", mac: "02:aa:00:00:00:07", until },
  ]);
  const it = lab(Object.fromEntries(records));
  it.do((d) => addNetwork(d, small));
  return it;
}

Deno.test("declinedIn() lists quarantined addresses in order, of one network or of all", () => {
  const it = quarantined({ "10.0.0.100": 5, "10.0.0.11": 9 });
  assert.deepEqual(declinedIn(it.view, "mini").map((d) => [d.address, d.until]), [["10.0.0.11", 9], [
    "10.0.0.100",
    5,
  ]]);
  assert.equal(declinedIn(it.view).length, 2);
  assert.deepEqual(declinedIn(it.view, "other"), []);
});

Deno.test("deleteDeclined() gives an address back to use, and names one that is not in quarantine", () => {
  const it = quarantined({ "10.0.0.11": 9 });
  const refused = (net: string, address: string) => {
    let caught: unknown;
    try {
      it.do((d) => deleteDeclined(d, net, [address]));
    } catch (error) {
      caught = error;
    }
    assert(caught instanceof Refusal);
    return [caught.code, caught.message];
  };
  assert.deepEqual(refused("mini", "10.0.0.12"), [
    "not-found",
    "network mini: 10.0.0.12 is not among its declined addresses",
  ]);
  assert.equal(refused("mini", "ten")[0], "invalid");
  assert.equal(refused("none", "10.0.0.11")[0], "not-found");
  it.do((d) => deleteDeclined(d, "mini", ["10.0.0.11", "10.0.0.11"]));
  assert.equal(it.view.withheld.size, 0);
});

Deno.test("addMembers() takes declined addresses, the oldest first, when the range has no other left", () => {
  const it = quarantined({ "10.0.0.10": 9, "10.0.0.11": 5 });
  const member = (n: number) => ({ mac: `06:00:00:00:00:0${n}` });
  it.do((d) => addMembers(d, "mini", [member(1), member(2)]));
  it.do((d) => addMembers(d, "mini", [member(3)]));
  assert.deepEqual([1, 2, 3].map((n) => it.view.member(member(n).mac)?.ip4), [
    "10.0.0.12",
    "10.0.0.11",
    "10.0.0.10",
  ]);
  assert.equal(it.view.withheld.size, 0);
  assert.throws(() => it.do((d) => addMembers(d, "mini", [member(4)])), /none of the 3 addresses/);
});

Deno.test("an operator who gives a member a declined address ends its quarantine", () => {
  const it = quarantined({ "10.0.0.100": 5 });
  const mac = "06:00:00:00:00:01";
  it.do((d) => addMembers(d, "mini", [{ mac }]));
  it.do((d) => updateMembers(d, "mini", [{ mac, ip4: "10.0.0.100" }]));
  assert.equal(it.view.withheld.size, 0);
});
