import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { encode } from "../../proto/codec.ts";
import { AddNetworkRequest, NetworkUpdateRequest } from "../../proto/gen/nex.ts";
import { decodeRequest } from "../../proto/request_check.ts";
import { readMember } from "../nex/member.ts";
import { heldTo, memberTo, networkFrom, updatedNetwork } from "./convert.ts";

const before = {
  name: "mini",
  subnet4: "10.0.0.0/24",
  gateways: ["10.0.0.1", "10.0.0.2"],
  nameservers: ["10.0.0.3", "10.0.0.4"],
  options: [{ number: 66, value: "a" }, { number: 42, value: "10.0.0.9" }],
  domain: "mini.net",
  unknown: { kept: true },
};

/** The record after an update, which is given in hexadecimal or as a message. */
function updated(update: string | object) {
  const sent = typeof update === "string"
    ? Buffer.from(update, "hex")
    : encode(NetworkUpdateRequest, { name: "mini", ...update });
  return updatedNetwork(before, decodeRequest(NetworkUpdateRequest, sent));
}

Deno.test("updatedNetwork() adds what is present and takes away what is absent, each in its place", () => {
  const cases: [update: object, change: object][] = [
    [{}, {}],
    [{ gatewaysPresent: ["10.0.0.5", "10.0.0.1"] }, { gateways: ["10.0.0.1", "10.0.0.2", "10.0.0.5"] }],
    [{ gatewaysAbsent: ["10.0.0.1", "10.0.0.7"] }, { gateways: ["10.0.0.2"] }],
    [{ nameserversPresent: ["FD00::1"] }, { nameservers: ["10.0.0.3", "10.0.0.4", "fd00::1"] }],
    [
      { nameserversPresent: ["10.0.0.5"], nameserversAbsent: ["10.0.0.3", "10.0.0.4"] },
      { nameservers: ["10.0.0.5"] },
    ],
    [
      { optionsPresent: [{ number: 66, value: "b" }, { number: 67, value: "c" }] },
      { options: [{ number: 66, value: "b" }, before.options[1], { number: 67, value: "c" }] },
    ],
    [{ optionsAbsent: [{ number: 66 }] }, { options: [before.options[1]] }],
    [{ optionsAbsent: [{ number: 66, value: "other" }] }, {}],
    [{ domain: "b.net" }, { domain: "b.net" }],
    [{ macRange: { begin: "a", end: "b" } }, { macRange: { begin: "a", end: "b" } }],
    [{ siaddr: "10.0.0.5" }, { siaddr: "10.0.0.5" }],
    [{ leaseDuration: 900 }, { lease_duration: 900 }],
  ];
  for (const [update, change] of cases) {
    assert.deepEqual(updated(update), { ...before, ...change }, JSON.stringify(update));
  }
  const { domain: _, ...without } = before;
  assert.deepEqual(updated({ domain: "" }), without);
});

Deno.test("updatedNetwork() refuses what a client with other field numbers sends, and names the field", () => {
  const hex = (text: string) => Buffer.from(text).toString("hex");
  const cases: [update: string, message: RegExp][] = [
    // An option where name servers are, and a domain where absent name servers are.
    ["5208" + "08421204" + hex("boot"), /nameservers_present: "\\x08B\\x12\\x04boot" is not an IP/],
    ["5a0a" + "0a08" + hex("mini.net"), /nameservers_absent: "\\x0a\\x08mini\.net" is not an IP/],
    ["6a00", /options_absent: 0 is no DHCP option/],
  ];
  for (const [update, message] of cases) assert.throws(() => updated(update), { code: "invalid", message });
});

Deno.test("updatedNetwork() refuses an option that is given twice", () => {
  const mtu = [{ number: 26, value: "1400" }, { number: 26, value: "1450" }];
  assert.throws(() => updated({ optionsPresent: mtu }), {
    code: "invalid",
    message: /^network mini: options: number 26 is there twice/,
  });
});

Deno.test("networkFrom() refuses a MAC range without its ends", () => {
  for (const macRange of [{}, { begin: "02:00:00:00:00:01" }]) {
    const bytes = encode(AddNetworkRequest, { network: { name: "mini", macRange } });
    const { network } = decodeRequest(AddNetworkRequest, bytes);
    assert.throws(() => network && networkFrom(network), {
      code: "invalid",
      message: "network mini: macrange: not a range with begin and end (field 12)",
    });
  }
});

Deno.test("memberTo() and heldTo() tell what a client calls itself, and whose an address is until when", () => {
  const mac = "02:aa:00:00:00:07", record = { net: "mini", hostname: "ppj-s-ipad.mini.net" };
  const told = (more: object) =>
    memberTo(readMember(mac, mac, { key: `/member/${mac}`, modRevision: 1 }, { ...record, ...more }), "mini")
      .clientName;
  assert.equal(told({ client_name: "ppj's iPad" }), "ppj's iPad");
  assert.equal(told({}), "ppj-s-ipad.mini.net");
  assert.deepEqual(heldTo({ address: "10.0.0.13", net: "mini", mac, until: 5000, leased: true }), {
    mac,
    ip4: { address: "10.0.0.13", expires: { seconds: 5000, nanos: 0 } },
  });
});
