import assert from "node:assert/strict";
import { Cidr, Ip } from "../common/ip.ts";
import { checkNetwork } from "./check_network.ts";
import { conflictsOf, isPublic, unusableAddress, unusableRange } from "./ranges.ts";

const id = "320a669f-e465-4806-ab46-f2e6620c4311";

Deno.test("a network whose addresses no host can have is refused with the reason", () => {
  for (
    const [ip_range, reason] of [
      [
        "127.0.0.0/24",
        /^ip_range: 127\.0\.0\.0\/24: the addresses of 127\.0\.0\.0\/8 are loopback.*like 10\.0\.0\.0\/24/,
      ],
      ["169.254.169.0/24", /169\.254\.0\.0\/16 are link-local/],
      ["169.252.0.0/14", /169\.254\.0\.0\/16 are link-local/],
      ["0.0.0.0/24", /0\.0\.0\.0\/8 stand for/],
      ["224.0.0.0/24", /multicast/],
      ["239.255.0.0/16", /multicast/],
      ["240.0.0.0/24", /reserved/],
      ["255.255.255.0/24", /reserved/],
    ] as const
  ) {
    assert.throws(() => checkNetwork({ ip_range }, id), { code: "invalid", message: reason });
  }
  for (
    const ip_range of [
      "10.0.0.0/10",
      "8.8.8.0/24",
      "100.64.0.0/16",
      "192.0.2.0/30",
      "1.0.0.0/24",
      "126.0.0.0/10",
    ]
  ) {
    assert.equal(checkNetwork({ ip_range }, id).ip_range, ip_range);
  }
});

Deno.test("unusableAddress() and isPublic() know the edges", () => {
  const unusable = (text: string) => unusableAddress(Ip.parse(text)) !== undefined;
  assert.deepEqual(
    [
      "126.255.255.255",
      "127.0.0.1",
      "128.0.0.0",
      "223.255.255.255",
      "224.0.0.1",
      "255.255.255.255",
      "169.253.0.1",
    ]
      .map(unusable),
    [false, true, false, false, true, true, false],
  );
  const open = (text: string) => isPublic(Cidr.parse(text));
  assert.deepEqual(
    [
      "10.1.0.0/16",
      "172.16.0.0/12",
      "172.0.0.0/11",
      "172.32.0.0/24",
      "192.168.0.0/16",
      "100.64.0.0/10",
      "8.8.8.0/24",
    ]
      .map(open),
    [false, false, true, true, false, false, true],
  );
  assert.equal(unusableRange(Cidr.parse("10.0.0.0/24")), undefined);
});

Deno.test("conflictsOf() tells of routes and VTEPs in a range, of what is on the host's own links, and of public addresses", () => {
  const route = (text: string, far = false) => ({ destination: Cidr.parse(text), interface: "eth0", far });
  const told = (range: string, routes = [route("192.0.2.0/24")], vteps = ["192.0.2.11"]) =>
    conflictsOf(Cidr.parse(range), { routes, vteps: vteps.map((text) => Ip.parse(text)) });
  assert.deepEqual(told("10.0.0.0/24"), []);
  assert.deepEqual(told("192.0.2.0/25"), [
    "this host has 192.0.2.0/24 behind eth0 already",
    "192.0.2.11 in it is the VTEP of a host",
  ]);
  assert.deepEqual(told("192.0.2.128/25"), ["this host has 192.0.2.0/24 behind eth0 already"]);
  assert.deepEqual(told("10.0.0.0/24", [route("10.0.0.0/8", true)]), []);
  assert.deepEqual(told("10.0.0.0/16", [route("10.0.7.0/24", true)]), [
    "this host has 10.0.7.0/24 behind eth0 already",
  ]);
  assert.deepEqual(told("8.8.8.0/24"), ["it has public addresses, which are others' on the Internet"]);
  const many = Array.from({ length: 1000 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
  assert.equal(told("10.0.0.0/8", [], many).length, 5);
});
