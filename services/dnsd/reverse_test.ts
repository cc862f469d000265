import assert from "node:assert/strict";
import { Cidr, Ip } from "../common/ip.ts";
import { reverseName, reverseZones } from "./reverse.ts";

Deno.test("reverseName()", () => {
  assert.equal(reverseName(Ip.parse("10.1.2.3")), "3.2.1.10.in-addr.arpa");
  assert.equal(
    reverseName(Ip.parse("2001:db8::12")),
    "2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
  );
});

Deno.test("reverseZones() cuts at octets and nibbles", () => {
  const of = (subnet: string) => reverseZones(Cidr.parse(subnet));
  assert.deepEqual(of("10.1.2.0/24"), ["2.1.10.in-addr.arpa"]);
  assert.deepEqual(of("10.1.0.0/16"), ["1.10.in-addr.arpa"]);
  assert.deepEqual(of("10.0.0.0/8"), ["10.in-addr.arpa"]);
  assert.deepEqual(of("10.1.4.7/22"), [4, 5, 6, 7].map((n) => `${n}.1.10.in-addr.arpa`));
  assert.deepEqual(of("10.1.2.128/25"), ["2.1.10.in-addr.arpa"]);
  assert.deepEqual(of("10.1.2.128/32"), ["2.1.10.in-addr.arpa"]);
  assert.equal(of("10.0.0.0/9").length, 128);
  assert.deepEqual(of("2001:db8::/32"), ["8.b.d.0.1.0.0.2.ip6.arpa"]);
  assert.deepEqual(of("fd00::/7"), ["c.f.ip6.arpa", "d.f.ip6.arpa"]);
  assert.equal(of("2001:db8::/126")[0]?.split(".").length, 33);
});
