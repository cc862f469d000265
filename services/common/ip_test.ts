import assert from "node:assert/strict";
import { Cidr, Ip } from "./ip.ts";

Deno.test("Ip.tryParse() reads both families and toString() writes their one form", () => {
  const forms: [string, string][] = [
    ["10.0.0.1", "10.0.0.1"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["1:2:3:4:5:6:7:0", "1:2:3:4:5:6:7:0"],
    ["::ffff:10.0.0.1", "::ffff:a00:1"],
    ["1:2:3:4:5:6:10.0.0.1", "1:2:3:4:5:6:a00:1"],
  ];
  for (const [text, form] of forms) {
    assert.equal(Ip.tryParse(text)?.toString(), form, text);
    assert.equal(Ip.familyOf(text), Ip.tryParse(text)?.family, text);
  }
});

Deno.test("Ip.tryParse() refuses what only looks like an address", () => {
  const none = [
    "",
    "10.0.0",
    "10.0.0.256",
    "10.0.0.01",
    "10.0.0.1.",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    ":::",
    "1::2::3",
    "g::",
    "::1.2.3",
    ":1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8::",
  ];
  for (const text of none) {
    assert.equal(Ip.tryParse(text), undefined, text);
    assert.equal(Ip.familyOf(text), undefined, text);
  }
});

Deno.test("Ip.plus() stops at the ends of the family", () => {
  assert.equal(Ip.parse("10.0.0.255").plus(1)?.toString(), "10.0.1.0");
  assert.equal(Ip.parse("255.255.255.255").plus(1), undefined);
  assert.equal(Ip.parse("::").plus(-1), undefined);
});

Deno.test("Cidr knows its ends, what it holds and what it overlaps", () => {
  const c = Cidr.parse("10.0.1.7/22");
  assert.deepEqual([c.first, c.last, c.size].map(String), ["10.0.0.0", "10.0.3.255", "1024"]);
  assert.ok(
    c.contains(Ip.parse("10.0.3.255")) && !c.contains(Ip.parse("10.0.4.0")) && !c.contains(Ip.parse("::")),
  );
  assert.ok(c.overlaps(Cidr.parse("10.0.2.0/24")) && Cidr.parse("10.0.2.0/24").overlaps(c));
  assert.ok(!c.overlaps(Cidr.parse("10.0.4.0/24")));
  assert.ok(
    c.reserved(c.first) && c.reserved(c.last) && !Cidr.parse("10.0.0.0/31").reserved(Ip.parse("10.0.0.0")),
  );
  for (const text of ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "::/129", "x/8"]) {
    assert.equal(Cidr.tryParse(text), undefined);
  }
});
