/** What is refused of a file, all of it. A step of apply_test.ts. */
import assert from "node:assert/strict";
import type { OverNexd } from "./over_nexd.ts";

/** Networks with and without an overlay, and what is wrong without a server beside what only the server knows. */
export async function everyRefusal(it: OverNexd, mini: string, blue: string): Promise<void> {
  await it.strand(["apply", "-"], `${mini}---\n${blue}`);
  const spec = `kind: Network
name: other
subnet4: 10.0.0.0/25
---
kind: Network
name: green
subnet4: 10.5.0.0/24
gateways: [10.5.0.1, 10.5.0.2]
overlay: {}
---
kind: MemberList
net: mini
list:
- {mac: 52:54:00:00:01:01, ip4: 10.0.9.1}
- {mac: 52:54:00:00:01:0x}
- {mac: 52:54:00:00:01:02, ip4: 10.0.0.255}
---
kind: MemberList
net: blue
list:
- {mac: 52:54:00:00:00:05, name: database}
- {mac: 52:54:00:00:00:07, name: web}
---
kind: MemberList
net: none
list: []
`;
  const twice = "52:54:00:00:00:06, 52:54:00:00:00:07",
    reserved = "10.0.0.255 is the network or broadcast address";
  const expected: [document: number, line: number, field: string, reason: string][] = [
    [
      1,
      3,
      "subnet4",
      "network other: subnet4: 10.0.0.0/25 overlaps 10.0.0.0/24 of network mini; write them as one network, which may " +
      "have range4, macrange and members with an ip4 of their own at once",
    ],
    [
      2,
      8,
      "gateways",
      "network green: gateways: 10.5.0.1, 10.5.0.2: an overlay network has one gateway, at which its hosts answer",
    ],
    [3, 14, "list[0].ip4", "member 52:54:00:00:01:01: ip4: 10.0.9.1 is outside 10.0.0.0/24 of network mini"],
    [3, 15, "list[1].mac", 'list[1].mac: "52:54:00:00:01:0x" is not a MAC address, like 00:00:11:11:00:01'],
    [3, 16, "list[2].ip4", `member 52:54:00:00:01:02: ip4: ${reserved} of 10.0.0.0/24`],
    [
      4,
      21,
      "list[0]",
      "member 52:54:00:00:00:05 exists with another name (db, 10.0.0.5); replace it with --force",
    ],
    [
      4,
      22,
      "list[1].name",
      "member 52:54:00:00:00:07: name: web belongs to 52:54:00:00:00:06 in network blue already; a name that several " +
      `members have needs "shared: true" on each of them: it is missing on ${twice}`,
    ],
    [5, 25, "net", 'there is no network "none"'],
  ];
  const before = await it.everything();
  const lines = expected.map(([document, line, , reason]) =>
    `strand: standard input: document ${document}, line ${line}: ${reason}\n`
  );
  assert.deepEqual(await it.tryStrand(["apply", "-"], spec), { code: 1, out: "", err: lines.join("") });
  const json = await it.tryStrand(["apply", "-o", "json", "-"], spec), file = "standard input";
  assert.equal(json.code, 1);
  assert.deepEqual(JSON.parse(json.out), {
    dryRun: false,
    objects: [],
    refused: expected.map(([document, line, field, reason]) => ({ file, document, line, field, reason })),
  });
  // nex prints the first in one line, as its users know it.
  const path = `${it.services.directory}/wrong.yml`;
  await Deno.writeTextFile(path, spec.replace("01:0x", "01:03"));
  const nex = await it.services.tryNex("apply", path);
  assert.deepEqual([nex.code, nex.stderr], [1, `nex: ${expected[0]?.[3]}\n`]);
  assert.deepEqual(await it.everything(), before, "nothing is written");

  const done = await it.strand(["apply", "--dry-run", "-o", "json", "-"], mini);
  assert.deepEqual(JSON.parse(done), {
    dryRun: true,
    objects: [{ kind: "network", name: "mini", action: "unchanged" }],
    refused: [],
  });
}
