import assert from "node:assert/strict";
import { memberChanges, networkChanges } from "./changes.ts";

Deno.test("networkChanges says what differs in the words of a spec, field by field", () => {
  const before = {
    name: "mini",
    subnet4: "10.0.0.0/24",
    domain: "mini.net",
    gateways: ["10.0.0.1"],
    leaseDuration: 0,
  };
  const after = {
    ...before,
    domain: "",
    Range4: { begin: "10.0.0.10", end: "10.0.0.99" },
    options: [{ number: 66, value: "boot" }],
    leaseDuration: 900,
  };
  assert.deepEqual(networkChanges(before, before), []);
  assert.deepEqual(networkChanges(before, after), [
    { field: "domain", before: "mini.net", after: "" },
    { field: "range4", before: "", after: "10.0.0.10 - 10.0.0.99" },
    { field: "leaseduration", before: "", after: "900 s" },
    { field: "option 66", before: "", after: "boot" },
  ]);
});

Deno.test("networkChanges has the options of an overlay, and no id of one that would be created", () => {
  const of = (id: string, dns: boolean) => ({ name: "blue", overlay: { id, dns, dhcp: null } });
  assert.deepEqual(networkChanges(undefined, of("1", true)), [{
    field: "overlay.dns",
    before: "",
    after: "true",
  }]);
  assert.deepEqual(networkChanges(of("1", true), of("1", false)), [
    { field: "overlay.dns", before: "true", after: "false" },
  ]);
});

Deno.test("memberChanges says what differs of a member", () => {
  const before = { mac: "02:00:00:00:00:01", name: "www", ip4: { address: "10.0.0.10" }, shared: false };
  assert.deepEqual(memberChanges(before, { ...before, ip4: { address: "10.0.0.11" }, shared: true }), [
    { field: "ip4", before: "10.0.0.10", after: "10.0.0.11" },
    { field: "shared", before: "", after: "true" },
  ]);
});
