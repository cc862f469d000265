import assert from "node:assert/strict";
import { decode as decodeByDnsPacket, encode as encodeByDnsPacket } from "dns-packet";
import { Ip } from "../common/ip.ts";
import { Answerer, DROP, FORWARD } from "./answer.ts";
import { TableWriter } from "./table_writer.ts";
import { decode, encodeQuery, type Message, mini, type Query } from "./testing.ts";
import { TYPE } from "./wire.ts";
import { Zones } from "./zones.ts";

function miniZones(): { table: TableWriter; zones: Zones } {
  const table = new TableWriter();
  const zones = new Zones(table);
  zones.setNetwork(mini);
  zones.setName("whiskey.mini.net", [Ip.parse("10.0.0.10"), Ip.parse("2001:db8::10")]);
  zones.setName("many.mini.net", Array.from({ length: 100 }, (_, i) => Ip.from4(0x0a000064 + i)));
  zones.setName("two.mini.net", [Ip.parse("10.0.0.20"), Ip.parse("10.0.0.21")]);
  zones.setName("a.b.c.mini.net", [Ip.parse("10.0.0.30")]);
  zones.setName("bare.mini.net", []);
  zones.publish(7);
  return { table, zones };
}

const soa = "ns.mini.net hostmaster.mini.net 7 3600 600 86400 60";
const room = 4096;

function lookup(query: Query, options: { udp?: boolean; recursion?: boolean } = {}): Message {
  const { udp = true, recursion = false } = options;
  const answer = raw(encodeQuery(query), { udp, recursion });
  assert(answer instanceof Uint8Array, `no answer but ${answer}`);
  return decode(answer);
}

function raw(query: Uint8Array, { udp = true, recursion = false } = {}): Uint8Array | number {
  const answerer = new Answerer(miniZones().table.reader, recursion);
  const packet = new Uint8Array(16 + 70000);
  packet.set(query, 16);
  const length = answerer.answer(packet, 16, query.length, udp ? 1232 : 65535, udp);
  if (length > 0) assert.equal(answerer.rcode, decode(packet.slice(16, 16 + length)).rcode);
  return length > 0 ? packet.slice(16, 16 + length) : length;
}

Deno.test("an address is answered with authority, in the case that was asked", () => {
  const m = lookup({ name: "WhisKey.mini.NET", id: 77, rd: true });
  assert.equal(m.id, 77);
  assert(m.response && m.aa && m.rd && !m.ra && !m.tc);
  assert.deepEqual(m.question, { name: "WhisKey.mini.NET", type: 1, class: 1 });
  assert.deepEqual(m.answer, [{ name: "WhisKey.mini.NET", type: 1, class: 1, ttl: 60, data: "10.0.0.10" }]);
  assert.equal(m.edns, undefined);
});

Deno.test("AAAA, PTR, NS and SOA are answered", () => {
  const data = (name: string, type: number) => lookup({ name, type }).answer.map((r) => r.data);
  assert.deepEqual(data("whiskey.mini.net", TYPE.AAAA), ["2001:db8:0:0:0:0:0:10"]);
  assert.deepEqual(data("10.0.0.10.in-addr.arpa", TYPE.PTR), ["whiskey.mini.net"]);
  const six = "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa";
  assert.deepEqual(data(six, TYPE.PTR), ["whiskey.mini.net"]);
  assert.deepEqual(data("mini.net", TYPE.NS), ["ns.mini.net"]);
  assert.deepEqual(data("mini.net", TYPE.SOA), [soa]);
  assert.deepEqual(data("0.0.10.in-addr.arpa", TYPE.SOA), [soa]);
  assert.deepEqual(data("ns.mini.net", TYPE.A), ["10.0.0.1"]);
});

Deno.test("npm's dns-packet is answered, and reads each record as it is meant", () => {
  const lookupByPeer = (name: string, type: "A" | "AAAA" | "PTR" | "NS" | "SOA" | "MX") => {
    const questions = [{ name, type }], additionals = [{ type: "OPT", name: ".", udpPayloadSize: 1232 }];
    const query = encodeByDnsPacket({ type: "query", id: 99, questions, additionals } as never);
    const answer = raw(new Uint8Array(query));
    assert(answer instanceof Uint8Array, `no answer but ${answer}`);
    const { id, rcode, flag_aa, answers = [], authorities = [], additionals: more } = decodeByDnsPacket(
      Buffer.from(answer),
    ) as ReturnType<typeof decodeByDnsPacket> & { rcode: string };
    assert.deepEqual([id, flag_aa, more?.map(({ type }) => type)], [99, true, ["OPT"]]);
    return [rcode, ...[...answers, ...authorities].map((record) => "data" in record ? record.data : record)];
  };
  const start = { mname: "ns.mini.net", rname: "hostmaster.mini.net", serial: 7 };
  const soa = { ...start, refresh: 3600, retry: 600, expire: 86400, minimum: 60 };
  assert.deepEqual(lookupByPeer("whiskey.mini.net", "A"), ["NOERROR", "10.0.0.10"]);
  assert.deepEqual(lookupByPeer("whiskey.mini.net", "AAAA"), ["NOERROR", "2001:db8::10"]);
  assert.deepEqual(lookupByPeer("10.0.0.10.in-addr.arpa", "PTR"), ["NOERROR", "whiskey.mini.net"]);
  assert.deepEqual(lookupByPeer("mini.net", "NS"), ["NOERROR", "ns.mini.net"]);
  assert.deepEqual(lookupByPeer("mini.net", "SOA"), ["NOERROR", soa]);
  assert.deepEqual(lookupByPeer("whiskey.mini.net", "MX"), ["NOERROR", soa]);
  assert.deepEqual(lookupByPeer("absent.mini.net", "A"), ["NXDOMAIN", soa]);
});

Deno.test("every address of a name is answered, each first in its turn", () => {
  const answerer = new Answerer(miniZones().table.reader, false);
  const query = encodeQuery({ name: "two.mini.net" });
  const orders = new Set<string>();
  for (let i = 0; i < 4; i++) {
    const packet = new Uint8Array(room);
    packet.set(query);
    const length = answerer.answer(packet, 0, query.length, 1232, true);
    orders.add(decode(packet.subarray(0, length)).answer.map((r) => r.data).join());
  }
  assert.deepEqual([...orders].sort(), ["10.0.0.20,10.0.0.21", "10.0.0.21,10.0.0.20"]);
});

Deno.test("an unknown name is NXDOMAIN and an unknown type NODATA, both with the zone's SOA", () => {
  for (
    const [name, type, rcode, zone] of [
      ["nobody.MINI.net", 1, 3, "MINI.net"],
      ["x.y.z.whiskey.mini.net", 1, 3, "mini.net"],
      ["99.0.0.10.in-addr.arpa", TYPE.PTR, 3, "0.0.10.in-addr.arpa"],
      ["whiskey.mini.net", 15, 0, "mini.net"],
      ["whiskey.mini.net", 1000, 0, "mini.net"],
      ["b.c.mini.net", 1, 0, "mini.net"],
      ["c.mini.net", TYPE.ANY, 0, "mini.net"],
      ["bare.mini.net", 1, 0, "mini.net"],
      ["mini.net", 1, 0, "mini.net"],
    ] as const
  ) {
    const m = lookup({ name, type });
    assert.equal(m.rcode, rcode, name);
    assert(m.aa);
    assert.deepEqual(m.answer, []);
    assert.deepEqual(m.authority, [{ name: zone, type: 6, class: 1, ttl: 60, data: soa }]);
  }
});

Deno.test("the SOA of an unknown name has its owner also behind names of every length that there is", () => {
  // With .mini.net, 253 characters are as long as a name can be.
  for (let length = 1; length <= 244; length++) {
    const labels: string[] = [];
    for (let left = length; left > 0; left -= 64) labels.push("x".repeat(Math.min(left, 63)));
    const name = `${labels.join(".")}.mini.net`, { authority, rcode, question } = lookup({ name });
    assert.deepEqual([question?.name, rcode, authority[0]?.name], [name, 3, "mini.net"], `${name.length}`);
  }
});

Deno.test("names outside our zones are refused, or forwarded when recursion is there and wanted", () => {
  assert.equal(lookup({ name: "example.org" }).rcode, 5);
  assert.equal(lookup({ name: "net" }).rcode, 5);
  assert.equal(lookup({ name: "" }).rcode, 5);
  assert.equal(raw(encodeQuery({ name: "example.org", rd: true }), { recursion: true }), FORWARD);
  const unwanted = lookup({ name: "example.org" }, { recursion: true });
  assert.deepEqual([unwanted.rcode, unwanted.ra, unwanted.aa], [5, true, false]);
});

Deno.test("ANY gets one RRset (RFC 8482)", () => {
  assert.deepEqual(lookup({ name: "whiskey.mini.net", type: TYPE.ANY }).answer.map((r) => r.type), [1]);
  assert.deepEqual(lookup({ name: "mini.net", type: TYPE.ANY }).answer.map((r) => r.type), [TYPE.NS]);
});

Deno.test("other classes, transfers and opcodes are turned down", () => {
  assert.equal(lookup({ name: "whiskey.mini.net", class: 3 }).rcode, 5);
  assert.equal(lookup({ name: "mini.net", type: TYPE.AXFR }).rcode, 5);
  assert.equal(lookup({ name: "mini.net", type: TYPE.IXFR }).rcode, 5);
  const notify = lookup({ name: "mini.net", opcode: 4 });
  assert.deepEqual([notify.rcode, notify.opcode, notify.question], [4, 4, undefined]);
});

Deno.test("IXFR, with the SOA that its client has, is refused; any other query with such a record is malformed", () => {
  const owner = [0xc0, 12], fixed = [0, 6, 0, 1, 0, 0, 0, 0, 0, 22], rdata = new Array<number>(22).fill(0);
  const withAuthority = (type: number, record: number[], count = 1, edns?: Query["edns"]) => {
    const query = encodeQuery({ name: "mini.net", type, ...(edns ? { edns } : {}) }), question = 12 + 10 + 4;
    query[9] = count;
    return raw(Uint8Array.from([...query.subarray(0, question), ...record, ...query.subarray(question)]));
  };
  const rcode = (answer: Uint8Array | number) => answer instanceof Uint8Array ? decode(answer).rcode : answer;
  const soa = [...owner, ...fixed, ...rdata];
  assert.equal(rcode(withAuthority(TYPE.IXFR, soa)), 5);
  const m = decode(withAuthority(TYPE.IXFR, soa, 1, { size: 1232 }) as Uint8Array);
  assert.deepEqual([m.rcode, m.question?.type, m.authority, m.edns?.size], [5, TYPE.IXFR, [], 1232]);
  assert.equal(rcode(withAuthority(TYPE.A, soa)), 1);
  assert.equal(rcode(withAuthority(TYPE.AXFR, soa)), 1);
  assert.equal(rcode(withAuthority(TYPE.IXFR, [...soa, ...soa], 2)), 1);
  assert.equal(rcode(withAuthority(TYPE.IXFR, [...owner, 0, 1, ...fixed.slice(2), ...rdata])), 1);
  for (let length = 0; length < soa.length; length++) {
    assert.equal(rcode(withAuthority(TYPE.IXFR, soa.slice(0, length))), 1, `${length}`);
  }
});

Deno.test("EDNS: our size, DO given back, unknown options ignored, other flags cleared", () => {
  const options = Uint8Array.of(0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0xff, 0xfe, 0, 0);
  const m = lookup({ name: "whiskey.mini.net", edns: { dnssecOk: true, options } });
  assert.deepEqual(m.edns, { size: 1232, version: 0, dnssecOk: true, flags: 0x8000 });
  assert.equal(m.answer.length, 1);
});

Deno.test("EDNS of another version is BADVERS with ours", () => {
  const m = lookup({ name: "whiskey.mini.net", edns: { version: 1 } });
  assert.deepEqual([m.rcode, m.edns?.version, m.answer.length], [16, 0, 0]);
});

Deno.test("an answer that does not fit is cut, with TC", () => {
  const cut = (size: number | undefined) => {
    const m = lookup({ name: "many.mini.net", ...(size === undefined ? {} : { edns: { size } }) });
    return [m.tc, m.answer.length];
  };
  assert.deepEqual(cut(undefined), [true, 0]);
  assert.deepEqual(cut(100), [true, 0]);
  assert.deepEqual(cut(65535), [true, 0]);
  assert.equal(lookup({ name: "many.mini.net" }, { udp: false }).answer.length, 100);
});

Deno.test("what is no query is dropped or FORMERR, and never raises", () => {
  const query = encodeQuery({ name: "whiskey.mini.net", edns: {} });
  const changed = (change: (q: Uint8Array) => void) => {
    const copy = query.slice();
    change(copy);
    return raw(copy);
  };
  assert.equal(raw(query.subarray(0, 11)), DROP);
  assert.equal(changed((q) => q[2] = 0x80), DROP);
  const malformed: ((q: Uint8Array) => void)[] = [
    (q) => q[5] = 0,
    (q) => q[5] = 2,
    (q) => q[7] = 1,
    (q) => q[9] = 1,
    (q) => q[11] = 2,
    (q) => q[12] = 0xc0,
    (q) => q[12] = 64,
    (q) => q[12] = 63,
    (q) => q[q.length - 1] = 1,
  ];
  for (const change of malformed) {
    const answer = changed(change);
    assert(answer instanceof Uint8Array, String(change));
    const m = decode(answer);
    assert.deepEqual([m.rcode, m.question, answer.length], [1, undefined, 12], String(change));
  }
  for (let length = 12; length < query.length; length++) {
    const answer = raw(query.subarray(0, length));
    assert(answer instanceof Uint8Array && decode(answer).rcode === 1, `cut to ${length}`);
  }
  const long = encodeQuery({ name: Array.from({ length: 4 }, () => "x".repeat(63)).join(".") });
  assert.equal(decode(raw(long) as Uint8Array).rcode, 1);
});

Deno.test("the first address takes turns for a client that asks for A and AAAA one after the other", () => {
  const { table, zones } = miniZones();
  const addresses = ["10.0.0.20", "10.0.0.21", "2001:db8::20", "2001:db8::21"];
  zones.setName("dual.mini.net", addresses.map((address) => Ip.parse(address)));
  zones.publish(8);
  const answerer = new Answerer(table.reader, false);
  const first = (type: number) => {
    const packet = new Uint8Array(2048), query = encodeQuery({ name: "dual.mini.net", type });
    packet.set(query);
    const length = answerer.answer(packet, 0, query.length, 1232, true);
    return decode(packet.slice(0, length)).answer[0]?.data ?? "";
  };
  const rounds = Array.from({ length: 4 }, () => [first(TYPE.A), first(TYPE.AAAA)]);
  assert.deepEqual([0, 1].map((i) => new Set(rounds.map((pair) => pair[i])).size), [2, 2]);
});
