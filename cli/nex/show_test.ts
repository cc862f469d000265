import assert from "node:assert/strict";
import { parse } from "yaml";
import { Network } from "../../proto/gen/nex.ts";
import type { Held, Member } from "../../proto/types.ts";
import { memberTable, networkTable, serialize } from "./show.ts";
import { readSpecs } from "../../services/nexd/client/spec.ts";
import { memberSpec, networkSpec } from "../../services/nexd/client/spec_of.ts";

const readSpec = (file: string, source: string) => readSpecs([{ file, source }]);

const mini = Network.fromPartial({
  name: "mini",
  subnet4: "10.0.0.0/24",
  dhcp4server: "10.0.0.1",
  Range4: { begin: "10.0.0.10", end: "10.0.0.254" },
  gateways: ["10.0.0.1"],
  nameservers: ["10.0.0.1", "10.0.0.2"],
  domain: "mini.net",
});

Deno.test("networkTable() prints the seven lines that users know", () => {
  assert.equal(
    networkTable(mini),
    `name:        mini
subnet4:     10.0.0.0/24
gateways:    10.0.0.1
nameservers: 10.0.0.1 10.0.0.2
dhcp4server: 10.0.0.1
domain:      mini.net
range4:      10.0.0.10-10.0.0.254
`,
  );
});

Deno.test("networkTable() adds what is set", () => {
  const macRange = { begin: "00:00:00:00:00:01", end: "00:00:00:00:00:ff" };
  const options = [{ number: 66, value: "tftp" }, { number: 119, value: "a.net b.net" }];
  const full = { ...mini, gateways: [], siaddr: "10.0.0.2", macRange, leaseDuration: 900, options };
  assert.equal(
    networkTable(full),
    `name:           mini
subnet4:        10.0.0.0/24
gateways:
nameservers:    10.0.0.1 10.0.0.2
dhcp4server:    10.0.0.1
domain:         mini.net
siaddr:         10.0.0.2
range4:         10.0.0.10-10.0.0.254
macrange:       00:00:00:00:00:01-00:00:00:00:00:ff
lease_duration: 900s
options:
  66  tftp
  119 a.net b.net
`,
  );
});

const now = Date.UTC(2026, 0, 1);
const member = (mac: string, name: string, address?: string, left?: number): Member => ({
  mac,
  name,
  ip4: address
    ? { address, expires: left === undefined ? null : { seconds: now / 1000 + left, nanos: 0 } }
    : null,
  ip6: null,
  net: "mini",
  clientName: "",
  shared: false,
});
const members = [
  member("00:00:11:11:00:01", "whiskey.mini.net", "10.0.0.10", 3 * 3600 + 53 * 60 + 16),
  member("00:00:22:22:00:01", "tango.mini.net", "10.0.0.11", 61),
  member("00:00:33:33:00:01", "", "10.0.0.12", -5),
  { ...member("00:00:44:44:00:01", "", undefined), clientName: "ppj's iPad" },
];

const held: Held[] = [{
  mac: "00:00:55:55:00:01",
  ip4: { address: "10.0.0.13", expires: { seconds: now / 1000 + 61, nanos: 0 } },
}];

Deno.test("memberTable() aligns its columns, shows the time only while a lease runs, and what is held", () => {
  assert.equal(
    memberTable(members, held, now),
    `00:00:11:11:00:01 whiskey.mini.net 10.0.0.10 (3:53:16)
00:00:22:22:00:01 tango.mini.net   10.0.0.11 (0:01:01)
00:00:33:33:00:01 -                10.0.0.12
00:00:44:44:00:01 -                -
00:00:55:55:00:01 -                10.0.0.13 (0:01:01) held
`,
  );
  assert.equal(memberTable([], [], now), "");
});

Deno.test("serialize() of a network in YAML is a spec of the same network", async () => {
  const { networks } = readSpec("f", await serialize(networkSpec(mini), "yaml"));
  const { name, subnet4, dhcp4server, Range4, gateways, nameservers, domain } = mini;
  assert.deepEqual(JSON.parse(JSON.stringify(networks)), [
    { name, subnet4, dhcp4server, Range4, gateways, nameservers, domain },
  ]);
});

Deno.test("serialize() of members, in YAML and in JSON, is a spec of the same members; MACs are texts to any reader", async () => {
  const text = await serialize(memberSpec("mini", members, held), "yaml");
  assert.match(text, /^ {2}- mac: "00:00:11:11:00:01"$/m);
  const old = parse(text, { version: "1.1" }) as { list: { mac: unknown }[] };
  assert.deepEqual(old.list.map(({ mac }) => mac), members.map(({ mac }) => mac));
  for (const source of [text, await serialize(memberSpec("mini", members, held), "json")]) {
    const [list] = readSpec("f", source).members;
    assert.deepEqual(
      list?.list?.map(({ mac, name, ip4 }) => [mac, name, ip4]),
      members.map((
        { mac, name, ip4 },
      ) => [mac, name || undefined, ip4 ? { address: ip4.address } : undefined]),
    );
  }
});

Deno.test("memberSpec() has the leases with their ends, and nothing empty", () => {
  assert.equal("held" in memberSpec("mini", members, []), false);
  assert.deepEqual(memberSpec("mini", members.slice(1), held), {
    kind: "MemberList",
    net: "mini",
    list: [
      {
        mac: "00:00:22:22:00:01",
        name: "tango.mini.net",
        ip4: { address: "10.0.0.11", expires: "2026-01-01T00:01:01.000Z" },
      },
      { mac: "00:00:33:33:00:01", ip4: { address: "10.0.0.12", expires: "2025-12-31T23:59:55.000Z" } },
      { mac: "00:00:44:44:00:01", client_name: "ppj's iPad" },
    ],
    held: [
      { mac: "00:00:55:55:00:01", ip4: { address: "10.0.0.13", expires: "2026-01-01T00:01:01.000Z" } },
    ],
  });
});
