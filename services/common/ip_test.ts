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

Deno.test("an IPv4 address is the same from its text, its bytes and its 32-bit value", () => {
  for (const text of ["0.0.0.0", "10.0.0.1", "127.255.255.255", "128.0.0.0", "255.255.255.255"]) {
    const ip = Ip.parse(text), bytes = Uint8Array.from(text.split("."), Number);
    assert.deepEqual([ip.bytes, ip.toString()], [bytes, text]);
    for (const same of [new Ip(4, bytes), Ip.from4(ip.u32), Ip.from4(ip.u32 | 0)]) {
      assert.ok(same.equals(ip));
      assert.deepEqual([same, same.u32, same.value, `${same}`], [ip, ip.u32, ip.value, text]);
    }
    assert.equal(ip.value, BigInt(ip.u32));
  }
  const mapped = Ip.parse("::ffff:10.0.0.1");
  assert.deepEqual([mapped.family, mapped.bytes.length, mapped.value], [6, 16, 0xffff0a000001n]);
  assert.deepEqual(
    ["128.0.0.0", "9.255.255.255", "10.0.0.1", "127.0.0.1", "::"].map((text) => Ip.parse(text)).sort((a, b) =>
      a.compare(b)
    ).map(String),
    ["9.255.255.255", "10.0.0.1", "127.0.0.1", "128.0.0.0", "::"],
  );
});

Deno.test("Cidr.contains() is exact at every prefix length", () => {
  for (
    const [text, bits] of [["170.85.204.51", 32], ["aa55:cc33:aa55:cc33:aa55:cc33:aa55:cc33", 128]] as const
  ) {
    for (let prefix = 0; prefix <= bits; prefix++) {
      const cidr = Cidr.parse(`${text}/${prefix}`);
      const around = [cidr.first.plus(-1), cidr.first, cidr.address, cidr.last, cidr.last.plus(1)];
      // There is no address past either end of the family.
      assert.deepEqual(around.map((ip) => ip !== undefined && cidr.contains(ip)), [
        false,
        true,
        true,
        true,
        false,
      ]);
    }
  }
});
