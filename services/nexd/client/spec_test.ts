import assert from "node:assert/strict";
import { Refusal } from "../../common/refusal.ts";
import { readSpecs } from "./spec.ts";

const readSpec = (file: string, source: string) => readSpecs([{ file, source }]);

const mini = `kind: Network
name: mini
subnet4: 10.0.0.0/24
gateways: [10.0.0.1]
nameservers: [10.0.0.1]
dhcp4server: 10.0.0.1
domain: mini.net
range4:
  begin: 10.0.0.10
  end: 10.0.0.254
---
kind: MemberList
net: mini
list:
- mac: 00:00:11:11:00:01
  name: whiskey
- mac: 00:00:22:22:00:01
  name: tango
  ip4: 10.0.0.3
- mac: 00-00-33-33-00-0A
  ip4: {address: 10.0.0.4}
`;

Deno.test("readSpec() gives networks and members under their proto names", () => {
  assert.deepEqual(JSON.parse(JSON.stringify(readSpec("mini.yml", mini))), {
    networks: [{
      name: "mini",
      subnet4: "10.0.0.0/24",
      gateways: ["10.0.0.1"],
      nameservers: ["10.0.0.1"],
      dhcp4server: "10.0.0.1",
      domain: "mini.net",
      Range4: { begin: "10.0.0.10", end: "10.0.0.254" },
    }],
    members: [{
      net: "mini",
      list: [
        { mac: "00:00:11:11:00:01", name: "whiskey" },
        { mac: "00:00:22:22:00:01", name: "tango", ip4: { address: "10.0.0.3" } },
        { mac: "00:00:33:33:00:0a", ip4: { address: "10.0.0.4" } },
      ],
    }],
  });
});

Deno.test("readSpec() reads every key of a network", () => {
  const [network] = readSpec(
    "full.yml",
    `kind: Network
name: full
subnet6: 2001:DB8::/64
dhcp6server: 2001:db8::1
range6: {begin: 2001:db8::10, end: 2001:db8::20}
macrange: {begin: 00:00:00:00:00:AA, end: 00:00:00:00:00:ff}
options: [{number: 66, value: tftp}]
siaddr: 10.0.0.9
leaseduration: 900
`,
  ).networks;
  assert.deepEqual(JSON.parse(JSON.stringify(network)), {
    name: "full",
    subnet6: "2001:db8::/64",
    dhcp6server: "2001:db8::1",
    Range6: { begin: "2001:db8::10", end: "2001:db8::20" },
    macRange: { begin: "00:00:00:00:00:aa", end: "00:00:00:00:00:ff" },
    options: [{ number: 66, value: "tftp" }],
    siaddr: "10.0.0.9",
    leaseDuration: 900,
  });
});

Deno.test("readSpec() keeps scalars as they are written", () => {
  const { networks, members } = readSpec(
    "f",
    "kind: Network\nname: 007\ndomain: on\n---\nkind: MemberList\nnet: 1e3\nlist: [{mac: 12:34:56:12:34:56, name: 0x10}]",
  );
  assert.deepEqual([networks[0]?.name, networks[0]?.domain, members[0]?.net], ["007", "on", "1e3"]);
  assert.deepEqual(members[0]?.list, [{ mac: "12:34:56:12:34:56", name: "0x10" }]);
});

Deno.test("readSpec() takes the spellings of macrange and leaseduration that Nex has", () => {
  const macRange = { begin: "02:00:00:00:00:00", end: "02:00:00:00:00:ff" };
  for (
    const [mac, lease] of [["macrange", "leaseduration"], ["mac_range", "lease_duration"], [
      "macRange",
      "leaseDuration",
    ]]
  ) {
    const source = `kind: Network\nname: a\n${mac}: ${JSON.stringify(macRange)}\n${lease}: 900\n`;
    const [network] = readSpec("f", source).networks;
    assert.deepEqual([network?.macRange, network?.leaseDuration], [macRange, 900], source);
  }
  assert.throws(
    () => readSpec("f", "kind: Network\nname: a\nmac_range: {begin: x}"),
    /line 3: mac_range\.begin: "x"/,
  );
});

Deno.test("readSpec() skips empty documents and takes empty keys for absent ones", () => {
  const { networks } = readSpec(
    "f",
    "---\n---\n# nothing\n---\nkind: Network\nname: a\ngateways:\ndomain:\n---\n",
  );
  assert.deepEqual(networks.map(({ name, gateways, domain }) => ({ name, gateways, domain })), [
    { name: "a", gateways: undefined, domain: undefined },
  ]);
});

const net = "kind: Network\nname: a\n";
const list = "kind: MemberList\nnet: a\nlist:\n";
const refusals: Record<string, [source: string, sentence: string]> = {
  "an unknown kind": [
    "kind: Netwrok",
    'document 1, line 1: kind: "Netwrok" is unknown; did you mean Network?',
  ],
  "no kind": ["---\n---\nname: a", "document 2, line 3: kind: missing; it is Network or MemberList"],
  "an unknown key": [net + "subnet: a", "document 1, line 3: subnet: unknown key; did you mean subnet4?"],
  "a key in another case": [
    net + "Domain: a",
    "document 1, line 3: Domain: unknown key; did you mean domain?",
  ],
  "a key in two spellings": [
    net + "lease_duration: 1\nleaseduration: 2",
    "document 1, line 4: leaseduration: is there already, as lease_duration",
  ],
  "members in place of list": [
    "kind: MemberList\nnet: a\nmembers: []",
    "document 1, line 3: members: unknown key; did you mean list? Nex ignores members:, with all that is in it",
  ],
  "members in the place of its items": [
    "kind: MemberList\nnet: a\nlist:\n  members:\n  - mac: 00:00:00:00:00:01",
    "document 1, line 5: list.members: the members are the items of list itself; leave members: out",
  ],
  "an end of a lease that is no time": [
    list + "- mac: 00:00:00:00:00:01\n  ip4: {address: 10.0.0.1, expires: soon}",
    'document 1, line 5: list[0].ip4.expires: "soon" is not a time, like 2026-01-01T00:00:00Z',
  ],
  "an unknown key of a member": [
    list + "- mac: 00:00:00:00:00:01\n  nmae: x",
    "document 1, line 5: list[0].nmae: unknown key; the keys are mac, name, client_name, shared, ip4, ip6",
  ],
  "a prototype's name as a key": [
    net + "constructor: a",
    "document 1, line 3: constructor: unknown key; the keys are kind, name, subnet4, subnet6, dhcp4server, " +
    "dhcp6server, range4, range6, gateways, nameservers, options, domain, macrange, siaddr, leaseduration, overlay",
  ],
  "a key given twice": [net + "name: b", "document 1, line 3: name: is there already"],
  "a bad MAC": [
    net + "---\n" + list + "- mac: 0:1",
    'document 2, line 7: list[0].mac: "0:1" is not a MAC address, like 00:00:11:11:00:01',
  ],
  "no MAC": [list + "- name: x", "document 1, line 4: list[0].mac: missing"],
  "a bad CIDR": [
    net + "subnet4: 10.0.0.0",
    'document 1, line 3: subnet4: "10.0.0.0" is not a CIDR, like 10.0.0.0/24',
  ],
  "a subnet of the other family": [
    net + "subnet4: a::/64",
    "document 1, line 3: subnet4: a::/64 is not an IPv4 subnet",
  ],
  "a bad address": [
    net + "gateways:\n- 10.0.0.1\n- 10.0.0.256",
    'document 1, line 5: gateways[1]: "10.0.0.256" is not an IP address, like 10.0.0.1 or 2001:db8::1',
  ],
  "a bad name": [
    list + "- mac: 00:00:00:00:00:01\n  name: a b",
    'document 1, line 5: list[0].name: "a b" is not a DNS label: 1 to 63 letters, digits or hyphens, no hyphen at ' +
    "either end",
  ],
  "a range that ends before it begins": [
    net + "range4: {begin: 10.0.0.9, end: 10.0.0.1}",
    "document 1, line 3: range4: end 10.0.0.1 comes before begin 10.0.0.9",
  ],
  "half a range": [net + "range4: {begin: 10.0.0.9}", "document 1, line 3: range4.end: missing"],
  "a range outside its subnet": [
    net + "subnet4: 10.0.0.0/24\nrange4:\n  begin: 10.0.0.9\n  end: 10.0.1.1",
    "document 1, line 6: range4.end: 10.0.1.1 lies outside the subnet 10.0.0.0/24",
  ],
  "a text for a list": [net + "gateways: 10.0.0.1", "document 1, line 3: gateways: not a list, like [a, b]"],
  "a list for a text": [net + "domain: [a]", "document 1, line 3: domain: not a single value"],
  "a text for a mapping": [
    net + "range4: 10.0.0.1-10.0.0.9",
    "document 1, line 3: range4: not a mapping with the keys begin, end",
  ],
  "a number that is none": [
    net + "leaseduration: 4h",
    'document 1, line 3: leaseduration: "4h" is not a whole number',
  ],
  "an option that is the server's own": [
    net + "options: [{number: 53, value: 1}]",
    'document 1, line 3: options: number 53 (value "1") cannot be set: it is the message\'s type',
  ],
  "an option twice": [
    net +
    "options:\n- {number: 26, value: 1400}\n- {number: 3, value: 10.0.0.1}\n- {number: 26, value: 1400}",
    "document 1, line 6: options: number 26 is there twice; an option is given once, with all of its values",
  ],
  "a network twice": [net + "---\n" + net, "document 2, line 5: network a is there already, in document 1"],
  "a MAC twice in a network": [
    list + "- mac: 00:00:00:00:00:0a\n- mac: 00:00:00:00:00:0A",
    "document 1, line 5: mac 00:00:00:00:00:0a is there already, in document 1",
  ],
  "a name twice": [
    list + "- {mac: 00:00:00:00:00:01, name: X}\n- {mac: 00:00:00:00:00:02, name: x}",
    "document 1, line 5: name x is there already, in document 1",
  ],
  "an address twice": [
    list + "- {mac: 00:00:00:00:00:01, ip4: 10.0.0.1}\n- {mac: 00:00:00:00:00:02, ip4: 10.0.0.1}",
    "document 1, line 5: address 10.0.0.1 is there already, in document 1",
  ],
  "an alias": [
    "kind: Network\nname: &a x\ndomain: *a",
    "document 1, line 3: domain: *a is an alias; write the value itself",
  ],
  "a tag": [net + "domain: !env X", "document 1, line 3: Unresolved tag: !env"],
  "a text for a document": [
    "mini",
    "document 1, line 1: not a mapping of keys to values that begins with kind: Network or MemberList",
  ],
  "levels without a beginning": [
    "]".repeat(1 << 20),
    "more than 100 lists and mappings lie in one another there",
  ],
  "levels without end": ["[".repeat(1 << 20), "more than 100 lists and mappings lie in one another there"],
};

for (const [what, [source, sentence]] of Object.entries(refusals)) {
  Deno.test(`readSpec() refuses ${what}`, () => {
    assert.throws(() => readSpec("f.yml", source), new Refusal("invalid", `f.yml: ${sentence}`));
  });
}

Deno.test("readSpec() refuses a file that asks for nothing", () => {
  assert.throws(() => readSpec("f.yml", "# nothing\n"), /^Refusal: f.yml: holds no document of kind/);
});

Deno.test("readSpec() refuses an alias bomb at once", () => {
  const levels = Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}, *a${i}]`);
  assert.throws(() => readSpec("f.yml", `kind: Network\na0: &a0 x\n${levels.join("\n")}`), Refusal);
  const gateways = "gateways: &g [10.0.0.1]\nnameservers: *g";
  assert.throws(() => readSpec("f.yml", net + gateways), /nameservers: \*g is an alias/);
});

Deno.test("readSpec() reads 10,000 members in ten times the time of 1,000, not in a hundred times", () => {
  const hex = (n: number) => n.toString(16).padStart(2, "0");
  const specOf = (members: number) => {
    let source = list;
    for (let i = 0; i < members; i++) {
      source += `- mac: 02:00:00:00:${hex(i >> 8)}:${hex(i & 255)}\n  name: n${i}\n`;
    }
    return source;
  };
  const sources = [1000, 10_000].map((members) => ({ members, source: specOf(members) }));
  const took = () =>
    sources.map(({ members, source }) => {
      const start = performance.now();
      assert.equal(readSpec("big.yml", source).members[0]?.list?.length, members);
      return performance.now() - start;
    });
  // Other tests may delay one try, and a reader that takes the square of the time each of them.
  const ratios: number[] = [];
  do {
    const [few = 0, many = 0] = took();
    ratios.push(many / few);
  } while (ratios.at(-1)! >= 40 && ratios.length < 5);
  assert.ok(ratios.at(-1)! < 40, `took ${ratios.map(Math.round).join(", ")} times as long`);
});

Deno.test("readSpec() takes a name of several members that share it, and a MAC in several networks", () => {
  const members =
    "- {mac: 00:00:00:00:00:01, name: x, shared: true}\n- {mac: 00:00:00:00:00:02, name: x, shared: true}\n";
  const spec = readSpec(
    "f.yml",
    ["a", "b"].map((net) => `kind: MemberList\nnet: ${net}\nlist:\n${members}`).join("---\n"),
  );
  assert.deepEqual(
    spec.members.flatMap(({ list }) => (list ?? []).map(({ name, shared }) => [name, shared])),
    [
      ["x", true],
      ["x", true],
      ["x", true],
      ["x", true],
    ],
  );
});
