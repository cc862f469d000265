/** The whole of a zone, record by record, as another server answers it from a zone file. */
import assert from "node:assert/strict";
import { Cidr, Ip } from "../../services/common/ip.ts";
import type { Message, Query } from "../../services/dnsd/testing.ts";
import type { Zones } from "../../services/dnsd/zones.ts";
import { freePort } from "../lab/free_port.ts";
import { installed } from "../bench/lib.ts";
import { Process } from "../lab/host.ts";
import { knotConfig, nsdConfig } from "../lab/dns_servers.ts";
import { until } from "../lab/until.ts";
import { DnsLab, queryAll } from "./dns_lab.ts";

interface Host {
  /** Below the domain. */
  readonly name: string;
  readonly addresses: readonly string[];
}

const domain = "Wide.Test", reverse4 = "1.10.in-addr.arpa";
const reverse6 = "0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";

/** How many names: each kind of name that there is comes again after 385. */
const count = Number(Deno.env.get("STRAND_ZONE_NAMES") ?? 2_000);

/** Every seventh name lies three labels deep, every fifth has IPv6, every eleventh four addresses. */
const hosts: Host[] = Array.from({ length: count }, (_, i) => {
  const four = (n: number) => `10.1.${(i * 4 + n) >> 8}.${(i * 4 + n) & 255}`;
  return {
    name: i % 7 === 0 ? `Host${i}.rack${i % 50}.row` : `host${i}`,
    addresses: [
      ...(i % 5 === 1 ? [] : [four(0)]),
      ...(i % 5 < 2 ? [`2001:db8::${(i + 1).toString(16)}`] : []),
      ...(i % 11 === 0 ? [four(1), four(2), four(3)] : []),
    ],
  };
});

function fill(zones: Zones): void {
  zones.setNetwork({
    name: "wide",
    domain,
    subnets: [Cidr.parse("10.1.0.0/16"), Cidr.parse("2001:db8::/64")],
    nameservers: [Ip.parse("10.1.255.1"), Ip.parse("2001:db8::ffff:1")],
    ttl: 60,
  });
  for (const { name, addresses } of hosts) {
    zones.setName(`${name}.${domain}`, addresses.map((address) => Ip.parse(address)));
  }
  zones.publish(7);
}

/** An address's name, worked out from its text alone. */
function pointerName(address: string): string {
  if (!address.includes(":")) return `${address.split(".").reverse().join(".")}.in-addr.arpa`;
  const [left = "", right = ""] = address.split("::");
  const groups = (half: string) => half === "" ? [] : half.split(":").map((g) => g.padStart(4, "0"));
  const a = groups(left), b = groups(right);
  const all = [...a, ...new Array<string>(8 - a.length - b.length).fill("0000"), ...b].join("");
  return `${[...all].reverse().join(".")}.ip6.arpa`;
}

function zoneFile(records: string[]): string {
  const soa = `@ 60 SOA ns.${domain}. hostmaster.${domain}. 7 3600 600 86400 60`;
  return [soa, `@ 60 NS ns.${domain}.`, ...records, ""].join("\n");
}

function zoneFiles(): [apex: string, text: string][] {
  const type = (address: string) => address.includes(":") ? "AAAA" : "A";
  const forward = hosts.flatMap(({ name, addresses }) =>
    addresses.map((a) => `${name}.${domain}. 60 ${type(a)} ${a}`)
  );
  forward.push(`ns.${domain}. 60 A 10.1.255.1`, `ns.${domain}. 60 AAAA 2001:db8::ffff:1`);
  const pointers = hosts.flatMap(({ name, addresses }) =>
    addresses.map((a) => `${pointerName(a)}. 60 PTR ${name}.${domain}.`)
  );
  return [
    [domain, zoneFile(forward)],
    [reverse4, zoneFile(pointers.filter((line) => line.includes("in-addr")))],
    [reverse6, zoneFile(pointers.filter((line) => line.includes("ip6")))],
  ];
}

function queries(): Query[] {
  const edns = { size: 1232 };
  const all: Query[] = hosts.flatMap(({ name, addresses }, i) => [
    { name: `${name}.${domain}`, type: 1, edns },
    { name: `${name}.${domain}`.toUpperCase(), type: 28, edns },
    ...addresses.map((a) => ({ name: pointerName(a), type: 12, edns })),
    ...(i % 10 === 0
      ? [{ name: `no${i}.${name}.${domain}`, edns }, { name: `${name}.${domain}`, type: 16, edns }]
      : []),
    ...(i % 10 === 1
      ? [{ name: `10.1.250.${i & 255}.${domain}` }, { name: pointerName(`10.1.250.${i & 255}`) }]
      : []),
  ]);
  for (const apex of [domain, reverse4, reverse6]) {
    for (const type of [1, 2, 6, 12, 15, 28, 43, 1000]) {
      all.push({ name: apex, type }, { name: `ns.${apex}`, type, edns });
    }
  }
  for (
    const name of [
      `row.${domain}`,
      `rack7.row.${domain}`,
      `0.${reverse4}`,
      `255.${reverse4}`,
      `0.${reverse6}`,
    ]
  ) {
    all.push({ name, type: 1 }, { name, type: 255, edns }, { name: `x.${name}` });
  }
  return all;
}

/** The file of each zone. */
function zoneNames(): Record<string, string> {
  return Object.fromEntries(zoneFiles().map(([apex]) => [apex, `${apex}.zone`]));
}

/** What must be the same, in any order of records; names in lower case, as servers keep their own letters. */
function essence(message: Message): string[] {
  const { rcode, aa, tc, answer, authority } = message;
  const text = (records: Message["answer"]) =>
    records.map((r) => `${r.name} ${r.ttl} ${r.class} ${r.type} ${r.data}`.toLowerCase()).sort();
  // A server may add the zone's NS to a positive answer.
  const soa = authority.filter((r) => r.type === 6);
  return [`rcode ${rcode} aa ${aa} tc ${tc}`, ...text(answer), "authority", ...text(soa)];
}

async function compare(command: (folder: string, port: number) => Promise<string[]>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "strand-test-" });
  const port = freePort();
  for (const [apex, text] of zoneFiles()) await Deno.writeTextFile(`${folder}/${apex}.zone`, text);
  const reference = new Process(await command(folder, port), {
    env: { PATH: `${Deno.env.get("PATH") ?? ""}:/usr/sbin` },
  });
  try {
    await until("the other server answers", async () => {
      if (!reference.alive) throw new Error(reference.tail());
      return await queryAll(port, [{ name: reverse6, type: 6 }], 200).then(
        ([m]) => m?.rcode === 0,
        () => false,
      );
    });
    await using ours = await DnsLab.create(fill);
    const sent = queries();
    const theirs = await queryAll(port, sent, 60_000);
    const answers = await queryAll(ours.port, sent, 60_000);
    answers.forEach((answer, i) => {
      const query = sent[i];
      const expected = theirs[i];
      assert(expected);
      // ANY: ours is minimal (RFC 8482), theirs may be whole.
      if (query?.type === 255) assert.equal(answer.rcode, expected.rcode);
      else assert.deepEqual(essence(answer), essence(expected), `${query?.name} type ${query?.type}`);
      assert.equal(answer.question?.name, query?.name);
    });
    assert(sent.length > 3.5 * count, `${sent.length} questions`);
  } finally {
    await reference.stop();
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test({
  name: `NSD, serving the same zones of ${count} names, answers every question alike`,
  ignore: !installed("nsd"),
  fn: () =>
    compare(async (folder, port) => {
      await Deno.writeTextFile(`${folder}/nsd.conf`, nsdConfig(folder, port, zoneNames()));
      return ["nsd", "-d", "-c", `${folder}/nsd.conf`];
    }),
});

Deno.test({
  name: `Knot DNS, serving the same zones of ${count} names, answers every question alike`,
  ignore: !installed("knotd"),
  fn: () =>
    compare(async (folder, port) => {
      await Deno.writeTextFile(`${folder}/knot.conf`, knotConfig(folder, port, zoneNames()));
      return ["knotd", "-c", `${folder}/knot.conf`];
    }),
});
