import assert from "node:assert/strict";
import { Cidr, Ip } from "../common/ip.ts";
import { classlessZone, nameAround, reverseName, reverseZones } from "./reverse.ts";

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
  assert.equal(of("172.16.0.0/12").length, 16);
  assert.deepEqual(of("10.16.32.0/20").slice(-1), ["47.16.10.in-addr.arpa"]);
  assert.equal(of("10.0.0.0/9").length, 128);
  assert.deepEqual(of("2001:db8::/32"), ["8.b.d.0.1.0.0.2.ip6.arpa"]);
  assert.deepEqual(of("fd00::/7"), ["c.f.ip6.arpa", "d.f.ip6.arpa"]);
});

Deno.test("reverseZones() of what is less than the last cut are its addresses alone", () => {
  const of = (subnet: string) => reverseZones(Cidr.parse(subnet));
  assert.deepEqual(of("10.1.2.128/32"), ["128.2.1.10.in-addr.arpa"]);
  assert.deepEqual(of("10.1.2.131/30"), [128, 129, 130, 131].map((n) => `${n}.2.1.10.in-addr.arpa`));
  assert.equal(of("10.1.2.0/25").length, 128);
  assert.deepEqual(
    of("2001:db8::4/126"),
    ["4", "5", "6", "7"].map((n) => reverseName(Ip.parse(`2001:db8::${n}`))),
  );
});

Deno.test("nameAround() is what is left without a subnet's last label, from /24 and /124 on", () => {
  const of = (subnet: string) => nameAround(Cidr.parse(subnet));
  assert.equal(of("192.168.60.70/26"), "60.168.192.in-addr.arpa");
  assert.equal(of("192.168.60.0/24"), "60.168.192.in-addr.arpa");
  assert.equal(of("192.168.60.0/23"), undefined);
  assert.equal(of("2001:db8::8/125"), reverseZones(Cidr.parse("2001:db8::/124"))[0]);
});

Deno.test("classlessZone() is RFC 2317's name, of an IPv4 subnet between /24 and /32", () => {
  const of = (subnet: string) => classlessZone(Cidr.parse(subnet));
  assert.equal(of("192.168.60.70/26"), "64/26.60.168.192.in-addr.arpa");
  assert.equal(of("192.0.2.0/25"), "0/25.2.0.192.in-addr.arpa");
  for (const none of ["192.0.2.0/24", "192.0.2.1/32", "2001:db8::/126"]) assert.equal(of(none), undefined);
});
