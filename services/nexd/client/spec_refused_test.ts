import assert from "node:assert/strict";
import { readSpecs, SpecRefused } from "./spec.ts";
import { placedRefusal } from "./spec_places.ts";
import { PlacedRefusal } from "./spec_values.ts";

const readSpec = (file: string, source: string) => readSpecs([{ file, source }]);

Deno.test("readSpecs() tells all that is refused in several files, each with file, document, line and field", () => {
  const files = [{
    file: "a.yml",
    source: `kind: Network
name: a
subnet4: 10.0.0.0
gateways: [10.0.0.1, x]
range4: {begin: 10.0.0.9}
colour: red
---
kind: MemberList
net: a
list:
- {mac: 0:1, name: one}
- {mac: 00:00:00:00:00:02, name: b c}
- {name: three}
- {mac: 00:00:00:00:00:02, ip4: 10.0.0.9}
`,
  }, { file: "b.yml", source: "kind: Netwrok\n---\nkind: Network\nname: b\nname: c\n" }];
  assert.throws(() => readSpecs(files), (error) => {
    assert(error instanceof SpecRefused);
    assert.deepEqual(
      error.all.map((refusal) => {
        assert(refusal instanceof PlacedRefusal);
        const { place: { file, document, line }, field, reason } = refusal;
        return [file, document, line, field, reason];
      }),
      [
        ["a.yml", 1, 3, "subnet4", 'subnet4: "10.0.0.0" is not a CIDR, like 10.0.0.0/24'],
        [
          "a.yml",
          1,
          4,
          "gateways[1]",
          'gateways[1]: "x" is not an IP address, like 10.0.0.1 or 2001:db8::1',
        ],
        ["a.yml", 1, 5, "range4.end", "range4.end: missing"],
        [
          "a.yml",
          1,
          6,
          "colour",
          "colour: unknown key; the keys are kind, name, subnet4, subnet6, dhcp4server, dhcp6server, range4, range6, " +
          "gateways, nameservers, options, domain, macrange, siaddr, leaseduration, overlay",
        ],
        ["a.yml", 2, 11, "list[0].mac", 'list[0].mac: "0:1" is not a MAC address, like 00:00:11:11:00:01'],
        [
          "a.yml",
          2,
          12,
          "list[1].name",
          'list[1].name: "b c" is not a DNS label: 1 to 63 letters, digits or hyphens, no hyphen at either end',
        ],
        ["a.yml", 2, 13, "list[2].mac", "list[2].mac: missing"],
        ["a.yml", 2, 14, "list[3].mac", "mac 00:00:00:00:00:02 is there already, in document 2"],
        ["b.yml", 1, 1, "kind", 'kind: "Netwrok" is unknown; did you mean Network?'],
        ["b.yml", 2, 5, "name", "name: is there already"],
      ],
    );
    assert.equal(error.message, error.all[0]?.message, "a reader of one refusal gets the first");
    assert.equal(error.rest, undefined, "what the unknown kind is about is not known");
    return true;
  });
});

Deno.test("readSpecs() keeps what is not refused, without the members of a network that is", () => {
  const wrong = "kind: Network\nname: a\nsubnet4: x\n---\nkind: MemberList\nnet: a\nlist: []\n";
  const right = "kind: Network\nname: b\n---\nkind: MemberList\nnet: b\nlist:\n- {mac: x}\n" +
    "- {mac: 00:00:00:00:00:01}\n";
  assert.throws(() => readSpec("f", `${wrong}---\n${right}`), (error) => {
    assert(error instanceof SpecRefused);
    assert.equal(error.all.length, 2);
    const { networks = [], members = [] } = error.rest ?? {};
    assert.deepEqual(networks.map(({ name }) => name), ["b"]);
    assert.deepEqual(JSON.parse(JSON.stringify(members)), [{
      net: "b",
      list: [{ mac: "00:00:00:00:00:01" }],
    }]);
    return true;
  });
});

Deno.test("readSpecs() tells a bad name of a network beside its other fields, and keeps what is not that network's", () => {
  const wrong = "kind: Network\nname: a b\nsubnet4: 10.0.0.0\n---\nkind: MemberList\nnet: a b\nlist: []\n";
  assert.throws(() => readSpec("f", `${wrong}---\nkind: Network\nname: b\n`), (error) => {
    assert(error instanceof SpecRefused);
    assert.deepEqual(error.all.map(({ message }) => message), [
      'f: document 1, line 2: name: "a b" is not a network name: letters, digits, dots, hyphens and underscores, 128 at most',
      'f: document 1, line 3: subnet4: "10.0.0.0" is not a CIDR, like 10.0.0.0/24',
    ]);
    assert.deepEqual(error.rest?.networks.map(({ name }) => name), ["b"]);
    assert.deepEqual(error.rest?.members, []);
    return true;
  });
});

Deno.test("placedRefusal() finds the line of what a server refuses", () => {
  const spec = readSpec(
    "f",
    `kind: Network\nname: a\nrange4:\n  begin: 10.0.0.9\n  end: 10.0.0.12\n---\nkind: MemberList\nnet: a\nlist:\n- mac: 00-00-00-00-00-0A\n`,
  );
  const about = (kind: string, mac: string, field: string, net = "a") => {
    const refusal = placedRefusal(spec, { kind, net, mac, field, reason: "why", code: "exists" });
    assert.equal(refusal.code, "exists");
    return refusal instanceof PlacedRefusal ? [refusal.place.line, refusal.field] : refusal.message;
  };
  assert.deepEqual(about("Network", "", "range4.end"), [5, "range4.end"]);
  assert.deepEqual(about("Network", "", "subnet4"), [1, "subnet4"], "one that is not there");
  assert.deepEqual(about("Member", "00:00:00:00:00:0a", "ip4"), [10, "list[0].ip4"]);
  assert.deepEqual(about("Member", "00:00:00:00:00:0a", "mac"), [10, "list[0].mac"]);
  assert.deepEqual(about("MemberList", "", ""), [8, "net"]);
  assert.equal(about("Network", "", "", "other"), "why");
});
