import assert from "node:assert/strict";
import type { NexNetworkRecord } from "../store/records.ts";
import { readNetwork } from "../nex/network.ts";
import { mini } from "../nex/testing.ts";
import { networkOptions } from "./options.ts";

const base: NexNetworkRecord = {
  ...mini,
  gateways: ["10.0.0.1", "2001:db8::1"],
  nameservers: ["10.0.0.1", "10.0.0.2"],
};
const network = (record: Partial<NexNetworkRecord>) =>
  readNetwork("mini", { modRevision: 1 }, { ...base, ...record });
const hex = (record: Partial<NexNetworkRecord>, number: number) =>
  networkOptions(network(record)).values[number]?.toHex();

Deno.test("networkOptions() says what the network's fields say", () => {
  assert.equal(hex({}, 1), "ffffff00");
  assert.equal(hex({}, 3), "0a000001");
  assert.equal(hex({}, 6), "0a0000010a000002");
  assert.equal(hex({}, 15), "6d696e692e6e6574");
  assert.equal(hex({}, 28), "0a0000ff");
  assert.equal(hex({}, 119), "046d696e69036e657400");
  assert.deepEqual(networkOptions(network({})).defaults, [1, 3, 6, 15]);
});

Deno.test("networkOptions() leaves out what the network does not say", () => {
  const { values, defaults } = networkOptions(readNetwork("bare", { modRevision: 1 }, { name: "bare" }));
  assert.deepEqual(Object.keys(values).filter((number) => values[Number(number)]), []);
  assert.deepEqual(defaults, []);
});

Deno.test("networkOptions() masks a whole and a single address", () => {
  assert.equal(hex({ subnet4: "0.0.0.0/0" }, 1), "00000000");
  assert.equal(hex({ subnet4: "10.0.0.1/32" }, 1), "ffffffff");
});

Deno.test("networkOptions() lets the network's own options override and add", () => {
  const options = [{ number: 3, value: "10.0.0.254" }, { number: 26, value: "1450" }];
  assert.equal(hex({ options }, 3), "0a0000fe");
  assert.equal(hex({ options }, 26), "05aa");
  assert.deepEqual(networkOptions(network({ options })).defaults, [1, 3, 6, 15, 26]);
});

Deno.test("networkOptions() leaves out a bad stored option, with the reason", () => {
  const options = [{ number: 26, value: "many" }, { number: 42, value: "10.0.0.3" }];
  const { values, bad } = networkOptions(network({ options }));
  assert.equal(values[26], undefined);
  assert.equal(values[42]?.toHex(), "0a000003");
  assert.deepEqual(bad, [
    'network mini: options: number 26 has value "many" but takes a whole number from 0 to 65535',
  ]);
});

Deno.test("networkOptions() has no client told unasked what the RFCs forbid", () => {
  // RFC 8925, 2563, 3011 and 7618.
  for (const [number, value] of [[108, "300"], [116, "1"], [118, "10.0.0.0"], [159, "0x00000000"]] as const) {
    const { values, defaults } = networkOptions(network({ options: [{ number, value }] }));
    assert(values[number]);
    assert.deepEqual(defaults, [1, 3, 6, 15], `${number}`);
  }
});

Deno.test("networkOptions() says that of a number that is stored twice the last value counts", () => {
  const options = [{ number: 26, value: "1400" }, { number: 26, value: "1450" }];
  const { values, bad } = networkOptions(network({ options }));
  assert.equal(values[26]?.toHex(), "05aa");
  assert.deepEqual(bad, ["network mini: options: number 26 is there twice, and its last value counts"]);
});

Deno.test("networkOptions() encodes once for each state of a network", () => {
  const one = network({});
  assert.equal(networkOptions(one), networkOptions(one));
  assert.notEqual(networkOptions(one), networkOptions(network({})));
});
