import assert from "node:assert/strict";
import { checkNetwork } from "./check_network.ts";
import { addNetwork, replaceNetwork } from "./networks.ts";
import { lab, mini } from "./testing.ts";

Deno.test("checkNetwork() writes a subnet by its network address", () => {
  assert.equal(checkNetwork({ ...mini, subnet4: "10.0.0.7/24" }).subnet4, "10.0.0.0/24");
  assert.equal(checkNetwork({ name: "six", subnet6: "2001:DB8::1/64" }).subnet6, "2001:db8::/64");
  assert.equal(checkNetwork({ name: "host", subnet4: "10.0.0.7/32" }).subnet4, "10.0.0.7/32");
});

Deno.test("A subnet with host bits, given or stored, is the same one", () => {
  const given = { ...mini, subnet4: "10.0.0.7/24" };
  const old = lab({ "/net/mini": given });
  assert.equal(old.do((d) => addNetwork(d, mini)), "unchanged");
  assert.equal(old.do((d) => addNetwork(d, given)), "unchanged");
  const fresh = lab();
  fresh.do((d) => addNetwork(d, given));
  assert.equal(fresh.json("/net/mini").subnet4, "10.0.0.0/24");
  assert.equal(fresh.do((d) => addNetwork(d, given)), "unchanged");
});

const mtu = { number: 26, value: "1450" };

Deno.test("a stored network with an option twice is read as the last has it, and can be shown, applied and changed", () => {
  const twice = { ...mini, options: [{ number: 26, value: "1400" }, { number: 3, value: "10.0.0.9" }, mtu] };
  const old = lab({ "/net/mini": twice });
  const [network] = old.view.networks();
  assert(network);
  assert.deepEqual(network.record.options, [mtu, { number: 3, value: "10.0.0.9" }]);
  assert.deepEqual(network.repeatedOptions, [26]);
  assert.equal(old.do((d) => addNetwork(d, network.record)), "unchanged");
  assert.equal(
    old.do((d) => replaceNetwork(d, network, { ...network.record, domain: "other.net" })),
    "updated",
  );
  assert.deepEqual(old.json("/net/mini").options, network.record.options);
  assert.deepEqual([...old.view.networks()].map(({ repeatedOptions }) => repeatedOptions), [[]]);
});

const refused: [Parameters<typeof checkNetwork>[0], string][] = [
  [{ ...mini, gateways: ["10.0.0.0"] }, "gateways: 10.0.0.0 is the network address of 10.0.0.0/24"],
  [{ ...mini, gateways: ["10.0.0.255"] }, "gateways: 10.0.0.255 is the broadcast address of 10.0.0.0/24"],
  [{ ...mini, gateways: ["10.0.0.1", "10.0.0.1"] }, "gateways: 10.0.0.1 is there twice"],
  [{ ...mini, nameservers: ["2001:db8::1", "2001:DB8:0::1"] }, "nameservers: 2001:db8::1 is there twice"],
  [{ ...mini, dhcp4server: "0.0.0.0" }, "dhcp4server: 0.0.0.0 is no host's address"],
  [{ ...mini, dhcp4server: "255.255.255.255" }, "dhcp4server: 255.255.255.255 is no host's address"],
  [{ ...mini, dhcp4server: "224.0.0.1" }, "dhcp4server: 224.0.0.1 is no host's address"],
  [{ ...mini, dhcp4server: "10.0.0.255" }, "dhcp4server: 10.0.0.255 is the broadcast address of 10.0.0.0/24"],
  [{ ...mini, siaddr: "0.0.0.0" }, "siaddr: 0.0.0.0 is no host's address"],
  [
    { ...mini, options: [{ number: 26, value: "1400" }, { number: 3, value: "10.0.0.9" }, mtu] },
    "options: number 26 is there twice; an option is given once, with all of its values",
  ],
  [{ ...mini, siaddr: "10.0.0.0" }, "siaddr: 10.0.0.0 is the network address of 10.0.0.0/24"],
];

for (const [network, sentence] of refused) {
  Deno.test(`checkNetwork() refuses: ${sentence}`, () => {
    assert.throws(() => checkNetwork(network), { name: "Refusal", message: `network mini: ${sentence}` });
  });
}

Deno.test("checkNetwork() takes a server on another link, and both addresses of a point-to-point link", () => {
  checkNetwork({ ...mini, dhcp4server: "10.9.0.2", siaddr: "192.168.1.1" });
  checkNetwork({ name: "ptp", subnet4: "10.0.0.0/31", gateways: ["10.0.0.0"], dhcp4server: "10.0.0.1" });
});
