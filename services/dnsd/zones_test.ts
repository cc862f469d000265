import assert from "node:assert/strict";
import { forAll } from "../../tests/lab/property.ts";
import { Cidr, Ip } from "../common/ip.ts";
import { Answerer } from "./answer.ts";
import { reverseName, reverseZones } from "./reverse.ts";
import { TableWriter } from "./table_writer.ts";
import { decode, encodeQuery } from "./testing.ts";
import { TYPE } from "./wire.ts";
import { type NetworkNames, Zones } from "./zones.ts";

const network = (name: string, domain: string, subnet: string, more: Partial<NetworkNames> = {}) => ({
  name,
  domain,
  subnets: [Cidr.parse(subnet)],
  nameservers: [Ip.parse("10.0.0.1")],
  ttl: 60,
  ...more,
});

function setUp() {
  const table = new TableWriter();
  const zones = new Zones(table);
  let serial = 0;
  /** `A 10.0.0.1 10.0.0.2`, or the RCODE with the zone whose SOA came along. */
  const lookup = (name: string, type: number = TYPE.A): string => {
    zones.publish(++serial);
    const query = encodeQuery({ name, type });
    const packet = new Uint8Array(70000);
    packet.set(query);
    const length = new Answerer(table.reader, false).answer(packet, 0, query.length, 65535, false);
    const m = decode(packet.subarray(0, length));
    if (m.answer.length > 0) return m.answer.map((r) => r.data).sort().join(" ");
    return `${["NODATA", , , "NXDOMAIN", , "REFUSED"][m.rcode]} ${m.authority[0]?.name ?? ""}`.trim();
  };
  return { table, zones, lookup };
}

Deno.test("a name comes and goes with its PTR and the empty names above it", () => {
  const { table, zones, lookup } = setUp();
  zones.setNetwork(network("mini", "mini.net", "10.0.0.0/24"));
  zones.publish(1);
  const before = table.size;
  zones.setName("Host.A.mini.net", [Ip.parse("10.0.0.10")]);
  assert.equal(lookup("host.a.mini.net"), "10.0.0.10");
  assert.equal(lookup("a.mini.net"), "NODATA mini.net");
  assert.equal(lookup("10.0.0.10.in-addr.arpa", TYPE.PTR), "host.a.mini.net");
  zones.setName("host.a.mini.net", [Ip.parse("10.0.0.11")]);
  assert.equal(lookup("host.a.mini.net"), "10.0.0.11");
  assert.equal(lookup("10.0.0.10.in-addr.arpa", TYPE.PTR), "NXDOMAIN 0.0.10.in-addr.arpa");
  zones.deleteName("host.a.mini.net");
  assert.equal(lookup("host.a.mini.net"), "NXDOMAIN mini.net");
  assert.equal(lookup("a.mini.net"), "NXDOMAIN mini.net");
  assert.equal(table.size, before);
});

Deno.test("two names with one address are both its PTR", () => {
  const { zones, lookup } = setUp();
  zones.setNetwork(network("mini", "mini.net", "10.0.0.0/24"));
  zones.setName("a.mini.net", [Ip.parse("10.0.0.10")]);
  zones.setName("b.mini.net", [Ip.parse("10.0.0.10")]);
  assert.equal(lookup("10.0.0.10.in-addr.arpa", TYPE.PTR), "a.mini.net b.mini.net");
  zones.deleteName("a.mini.net");
  assert.equal(lookup("10.0.0.10.in-addr.arpa", TYPE.PTR), "b.mini.net");
});

Deno.test("the longest zone answers, also when it comes later and goes again", () => {
  const { zones, lookup } = setUp();
  zones.setNetwork(network("outer", "mini.net", "10.0.0.0/24"));
  zones.setName("x.lab.mini.net", [Ip.parse("10.0.0.10")]);
  assert.equal(lookup("y.lab.mini.net"), "NXDOMAIN mini.net");
  zones.setNetwork(network("inner", "lab.mini.net", "10.0.1.0/24", { ttl: 5 }));
  assert.equal(lookup("x.lab.mini.net"), "10.0.0.10");
  assert.equal(lookup("y.lab.mini.net"), "NXDOMAIN lab.mini.net");
  assert.equal(lookup("lab.mini.net"), "NODATA lab.mini.net");
  assert.equal(lookup("lab.mini.net", TYPE.NS), "ns.lab.mini.net");
  zones.deleteNetwork("inner");
  assert.equal(lookup("y.lab.mini.net"), "NXDOMAIN mini.net");
  assert.equal(lookup("lab.mini.net", TYPE.NS), "NODATA mini.net");
  zones.deleteNetwork("outer");
  assert.equal(lookup("x.lab.mini.net"), "REFUSED");
  zones.setNetwork(network("inner", "lab.mini.net", "10.0.1.0/24"));
  assert.equal(lookup("x.lab.mini.net"), "10.0.0.10");
});

Deno.test("names may come before their network", () => {
  const { zones, lookup } = setUp();
  zones.setName("a.mini.net", [Ip.parse("10.0.0.10")]);
  assert.equal(lookup("a.mini.net"), "REFUSED");
  zones.setNetwork(network("mini", "mini.net", "10.0.0.0/24"));
  assert.equal(lookup("a.mini.net"), "10.0.0.10");
  assert.equal(lookup("10.0.0.10.in-addr.arpa", TYPE.PTR), "a.mini.net");
});

Deno.test("networks share a reverse zone: the first by name has its SOA, the last to go takes it along", () => {
  const { zones, lookup } = setUp();
  zones.setNetwork(network("b", "b.net", "10.0.0.0/24"));
  zones.setNetwork(network("a", "a.net", "10.0.0.0/24"));
  assert.equal(lookup("0.0.10.in-addr.arpa", TYPE.NS), "ns.a.net");
  zones.deleteNetwork("a");
  assert.equal(lookup("0.0.10.in-addr.arpa", TYPE.NS), "ns.b.net");
  zones.deleteNetwork("b");
  assert.equal(lookup("0.0.10.in-addr.arpa", TYPE.NS), "REFUSED");
});

Deno.test("of a /24 that is not wholly ours, the addresses of our subnets alone are", () => {
  const { table, zones, lookup } = setUp();
  const empty = table.size;
  zones.setNetwork(network("a", "a.net", "192.168.60.64/26"));
  zones.setNetwork(network("b", "b.net", "192.168.60.200/29"));
  zones.setName("x.a.net", [Ip.parse("192.168.60.65")]);
  zones.setName("y.b.net", [Ip.parse("192.168.60.201")]);
  zones.setName("away.a.net", [Ip.parse("192.168.60.5")]);
  const pointer = (last: number) => lookup(`${last}.60.168.192.in-addr.arpa`, TYPE.PTR);
  assert.equal(pointer(65), "x.a.net");
  assert.equal(pointer(201), "y.b.net");
  for (const last of [0, 5, 63, 128, 199, 208]) assert.equal(pointer(last), "REFUSED");
  assert.equal(lookup("60.168.192.in-addr.arpa", TYPE.SOA), "REFUSED");
  // Each address is a zone, whose SOA its negative answers have: no answer speaks for a neighbour.
  for (const last of [64, 70, 127, 200, 207]) {
    const name = `${last}.60.168.192.in-addr.arpa`;
    assert.equal(pointer(last), `NODATA ${name}`);
    assert.equal(lookup(`x.${name}`), `NXDOMAIN ${name}`);
    assert.equal(lookup(name, TYPE.NS), last < 128 ? "ns.a.net" : "ns.b.net");
  }
  zones.deleteNetwork("a");
  assert.deepEqual([pointer(65), pointer(70), pointer(201)], ["REFUSED", "REFUSED", "y.b.net"]);
  zones.setNetwork(network("a", "a.net", "192.168.60.64/27"));
  assert.deepEqual([pointer(65), pointer(96)], ["x.a.net", "REFUSED"]);
  zones.setNetwork(network("a", "a.net", "192.168.60.0/24"));
  assert.deepEqual([pointer(65), pointer(5)], ["x.a.net", "away.a.net"]);
  assert.equal(pointer(70), "NXDOMAIN 60.168.192.in-addr.arpa");
  assert.equal(pointer(202), "NODATA 202.60.168.192.in-addr.arpa");
  for (const name of ["a", "b"]) zones.deleteNetwork(name);
  for (const name of ["x.a.net", "y.b.net", "away.a.net"]) zones.deleteName(name);
  zones.publish(1);
  assert.equal(table.size, empty);
});

Deno.test("a /24 that subnets share out among them is a zone as long as no address is missing", () => {
  const { table, zones, lookup } = setUp();
  const empty = table.size, apex = "60.168.192.in-addr.arpa";
  zones.setNetwork(network("b", "b.net", "192.168.60.128/25"));
  zones.setNetwork(network("c", "c.net", "192.168.60.0/26"));
  assert.equal(lookup(apex, TYPE.SOA), "REFUSED");
  zones.setNetwork(network("a", "a.net", "192.168.60.64/26"));
  assert.equal(lookup(apex, TYPE.NS), "ns.a.net");
  assert.equal(lookup(`x.${apex}`), `NXDOMAIN ${apex}`);
  assert.equal(lookup(`5.${apex}`, TYPE.PTR), `NODATA 5.${apex}`);
  zones.deleteNetwork("a");
  assert.equal(lookup(apex, TYPE.SOA), "REFUSED");
  zones.setNetwork(network("a", "a.net", "192.168.60.64/26"));
  // A network with the whole of it, as an old store may have one, goes before, and leaves it as it was.
  zones.setNetwork(network("z", "z.net", "192.168.60.0/24"));
  assert.equal(lookup(apex, TYPE.NS), "ns.z.net");
  zones.deleteNetwork("a");
  assert.equal(lookup(`70.${apex}`, TYPE.PTR), `NXDOMAIN ${apex}`);
  zones.setNetwork(network("a", "a.net", "192.168.60.64/26"));
  zones.deleteNetwork("z");
  assert.equal(lookup(apex, TYPE.NS), "ns.a.net");
  for (const name of ["a", "b", "c"]) zones.deleteNetwork(name);
  assert.equal(lookup(apex, TYPE.NS), "REFUSED");
  for (const i of [0, 8]) zones.setNetwork(network(`s${i}`, "", `2001:db8::${i}/125`));
  assert.match(lookup(reverseZones(Cidr.parse("2001:db8::/124"))[0] ?? "", TYPE.NS), /^ns\.0\.0\./);
  for (const i of [0, 8]) zones.deleteNetwork(`s${i}`);
  zones.publish(1);
  assert.equal(table.size, empty);
});

Deno.test("a subnet longer than /24 has its RFC 2317 zone, for a parent that delegates it", () => {
  const { zones, lookup } = setUp();
  const apex = "64/26.60.168.192.in-addr.arpa",
    pointer = (last: number) => lookup(`${last}.${apex}`, TYPE.PTR);
  zones.setName("early.a.net", [Ip.parse("192.168.60.66")]);
  zones.setNetwork(network("a", "a.net", "192.168.60.64/26"));
  zones.setName("x.a.net", [Ip.parse("192.168.60.65")]);
  assert.equal(lookup(apex, TYPE.NS), "ns.a.net");
  assert.deepEqual([pointer(65), pointer(66)], ["x.a.net", "early.a.net"]);
  assert.equal(pointer(67), `NXDOMAIN ${apex}`);
  zones.setName("x.a.net", [Ip.parse("192.168.60.67")]);
  assert.deepEqual([pointer(65), pointer(67)], [`NXDOMAIN ${apex}`, "x.a.net"]);
  // Of two networks with one subnet, as an old store may have them, the last to go takes it along.
  zones.setNetwork(network("b", "b.net", "192.168.60.64/26"));
  zones.deleteNetwork("a");
  assert.deepEqual([lookup(apex, TYPE.NS), pointer(67)], ["ns.b.net", "x.a.net"]);
  zones.deleteNetwork("b");
  assert.deepEqual([lookup(apex, TYPE.NS), pointer(67)], ["REFUSED", "REFUSED"]);
});

Deno.test("a prefix between two dots has the zones within it and none beside", () => {
  const { zones, lookup } = setUp();
  zones.setNetwork(network("a", "a.net", "10.16.32.0/20"));
  zones.setNetwork(network("b", "b.net", "172.16.0.0/12"));
  zones.setNetwork(network("six", "six.net", "2001:db8::40/122"));
  const pointer = (ip: string) => lookup(reverseName(Ip.parse(ip)), TYPE.PTR).split(" ")[0];
  for (const ours of ["10.16.32.1", "10.16.47.254", "172.16.0.1", "172.31.255.255", "2001:db8::4f"]) {
    assert.equal(pointer(ours), "NXDOMAIN", ours);
  }
  for (
    const other of ["10.16.31.1", "10.16.48.1", "172.15.0.1", "172.32.0.1", "2001:db8::3f", "2001:db8::80"]
  ) {
    assert.equal(pointer(other), "REFUSED", other);
  }
});

Deno.test("the NS of a network without name servers is this server, by its addresses there or else by all", () => {
  const { zones, lookup } = setUp();
  zones.setServers([Ip.parse("192.0.2.1"), Ip.parse("10.0.0.5"), Ip.parse("2001:db8::5")]);
  const none = { nameservers: [] };
  zones.setNetwork(network("here", "here.net", "10.0.0.0/24", none));
  zones.setNetwork(network("there", "there.net", "10.0.1.0/24", none));
  assert.equal(lookup("ns.here.net"), "10.0.0.5");
  assert.equal(lookup("ns.there.net"), "10.0.0.5 192.0.2.1");
  assert.equal(lookup("ns.there.net", TYPE.AAAA), "2001:db8:0:0:0:0:0:5");
  assert.equal(zones.setServers([Ip.parse("192.0.2.2")]), true);
  assert.equal(zones.setServers([Ip.parse("192.0.2.2")]), false);
  assert.deepEqual([lookup("ns.here.net"), lookup("ns.there.net")], ["192.0.2.2", "192.0.2.2"]);
  zones.setNetwork(network("here", "here.net", "10.0.0.0/24"));
  assert.equal(lookup("ns.here.net"), "10.0.0.1");
  // Of two networks with one domain, the name servers of the one are better than this server's addresses.
  zones.setNetwork(network("more", "here.net", "10.0.2.0/24", none));
  assert.equal(lookup("ns.here.net"), "10.0.0.1");
  // A member of that name that has no address yet takes nothing away.
  zones.setName("ns.here.net", []);
  assert.equal(lookup("ns.here.net"), "10.0.0.1");
});

Deno.test("every zone's NS and SOA name a name server that has an address, without a domain too", () => {
  const { zones, lookup } = setUp();
  zones.setServers([Ip.parse("192.0.2.1")]);
  for (const [i, subnet] of ["10.0.0.0/24", "10.1.0.0/22", "10.2.0.64/30"].entries()) {
    for (const nameservers of [[], [Ip.parse("10.0.0.1")]]) {
      for (const domain of ["", `n${i}.net`]) {
        zones.setNetwork(network("n", domain, subnet, { nameservers }));
        const classless = i === 2 ? ["64/30.0.2.10.in-addr.arpa"] : [];
        for (const apex of [...domain ? [domain] : [], ...reverseZones(Cidr.parse(subnet)), ...classless]) {
          const ns = lookup(apex, TYPE.NS);
          assert.equal(lookup(apex, TYPE.SOA).split(" ")[0], ns, apex);
          assert.equal(lookup(ns), nameservers[0]?.toString() ?? "192.0.2.1", `${ns} of ${apex}`);
        }
      }
    }
  }
});

Deno.test("ns.DOMAIN has the name servers' addresses unless a member has that name", () => {
  const { zones, lookup } = setUp();
  zones.setNetwork(network("mini", "mini.net", "10.0.0.0/24"));
  assert.equal(lookup("ns.mini.net"), "10.0.0.1");
  zones.setName("ns.mini.net", [Ip.parse("10.0.0.53")]);
  assert.equal(lookup("ns.mini.net"), "10.0.0.53");
  zones.deleteName("ns.mini.net");
  assert.equal(lookup("ns.mini.net"), "10.0.0.1");
  zones.setNetwork(network("mini", "mini.net", "10.0.0.0/24", { nameservers: [] }));
  assert.equal(lookup("ns.mini.net"), "NXDOMAIN mini.net");
});

Deno.test("a change gives the serial of its zones and of no other", () => {
  const { zones, lookup } = setUp();
  zones.setNetwork(network("a", "a.net", "10.0.0.0/24"));
  zones.setNetwork(network("b", "b.net", "10.0.1.0/24"));
  zones.publish(5);
  zones.setName("x.b.net", [Ip.parse("10.0.1.1")]);
  zones.publish(2 ** 32 + 9);
  assert.match(lookup("a.net", TYPE.SOA), / 5 3600 /);
  assert.match(lookup("b.net", TYPE.SOA), / 9 3600 /);
  assert.match(lookup("1.0.10.in-addr.arpa", TYPE.SOA), / 9 3600 /);
});

Deno.test("what is no domain name is refused and changes nothing", () => {
  const { zones, lookup } = setUp();
  assert.throws(() => zones.setName("a..net", []), /name: "a\.\.net" is not a domain name/);
  assert.throws(() => zones.setName("", []), /is not a domain name/);
  assert.throws(() => zones.setNetwork(network("x", "x".repeat(64), "10.0.0.0/24")), /domain: "x+" is not/);
  assert.equal(lookup("0.0.10.in-addr.arpa", TYPE.SOA), "REFUSED");
});

Deno.test("random changes leave what a plain map of names says", () => {
  forAll({ runs: 20, choices: 8000, seed: 1 }, (random) => {
    const { table, zones, lookup } = setUp(), model = new Map<string, string[]>();
    zones.setNetwork(network("mini", "mini.net", "10.0.0.0/16"));
    zones.publish(0);
    const empty = table.size;
    for (let i = random(1000); i > 0; i--) {
      const name = `h${random(100)}${random(3) === 0 ? `.sub${random(10)}` : ""}.mini.net`;
      if (random(3) === 0) {
        zones.deleteName(name);
        model.delete(name);
      } else {
        const addresses = Array.from({ length: random(4) + 1 }, () => `10.0.${random(2)}.${random(256)}`);
        zones.setName(name, addresses.map((a) => Ip.parse(a)));
        model.set(name, [...new Set(addresses)].sort());
      }
      if (random(10) === 0) zones.publish(i);
    }
    const pointers = new Map<string, string[]>();
    for (const [name, addresses] of model) {
      assert.equal(lookup(name), addresses.join(" "));
      for (const a of addresses) pointers.set(a, [...pointers.get(a) ?? [], name]);
    }
    for (const [address, names] of pointers) {
      const reverse = `${address.split(".").reverse().join(".")}.in-addr.arpa`;
      assert.equal(lookup(reverse, TYPE.PTR), names.sort().join(" "));
    }
    for (const name of model.keys()) zones.deleteName(name);
    zones.publish(1);
    assert.equal(table.size, empty);
    assert(table.byteLength < 1 << 20, `${table.byteLength} octets`);
  });
});
