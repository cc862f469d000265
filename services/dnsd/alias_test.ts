import assert from "node:assert/strict";
import { Cidr, Ip } from "../common/ip.ts";
import { completeAliases } from "./alias.ts";
import { Answerer } from "./answer.ts";
import { layoutOf } from "./message.ts";
import { TableWriter } from "./table_writer.ts";
import { decode, encodeQuery, mini } from "./testing.ts";
import { nameToWire, RCODE, TYPE } from "./wire.ts";
import { Zones } from "./zones.ts";

type Rr = [owner: string, type: number, data: string | number[]];

/** An upstream's answer of records with whole names, AD set. */
function upstream(name: string, type: number, answer: Rr[], rcode = 0, authority: Rr[] = []): Uint8Array {
  const wire = (text: string) => [...nameToWire(text) ?? []];
  const rr = ([owner, type, data]: Rr) => {
    const octets = typeof data === "string" ? wire(data) : data;
    return [...wire(owner), 0, type, 0, 1, 0, 0, 1, 44, octets.length >> 8, octets.length & 255, ...octets];
  };
  const question = encodeQuery({ name, type });
  question.set([0x81, 0xa0 | rcode], 2);
  question.set([answer.length >> 8, answer.length & 255, 0, authority.length], 6);
  return Uint8Array.from([...question, ...answer.flatMap(rr), ...authority.flatMap(rr)]);
}

const a = [192, 0, 2, 66];
const table = new TableWriter(), zones = new Zones(table);
zones.setNetwork({
  ...mini,
  subnets: [Cidr.parse("10.0.0.64/26")],
  nameservers: [Ip.parse("10.0.0.65")],
});
zones.setName("whiskey.mini.net", [Ip.parse("10.0.0.70"), Ip.parse("2001:db8::70")]);
zones.setName("two.mini.net", [Ip.parse("10.0.0.71"), Ip.parse("10.0.0.72")]);
zones.publish(7);
const answerer = new Answerer(table.reader, true);

function answerOurs(query: Uint8Array): Uint8Array | undefined {
  const packet = new Uint8Array(70_000);
  packet.set(query);
  const length = answerer.answer(packet, 0, query.length, 65_535, false);
  return answerer.rcode === RCODE.REFUSED ? undefined : packet.slice(0, length);
}

function complete(message: Uint8Array) {
  const layout = layoutOf(message);
  assert(layout);
  const { message: completed } = completeAliases({ message, layout }, answerOurs);
  const { rcode, ad, answer, authority } = decode(completed);
  const text = (records: typeof answer) => records.map((r) => `${r.name} ${r.ttl} ${r.type} ${r.data}`);
  return { rcode, ad, answer: text(answer), authority: text(authority) };
}

const same = (message: Uint8Array) => {
  const layout = layoutOf(message);
  assert(layout);
  const found = { message, layout };
  return completeAliases(found, () => undefined) === found;
};

const soa = "mini.net 60 6 ns.mini.net hostmaster.mini.net 7 3600 600 86400 60";

Deno.test("an alias into a zone of ours is answered with our records, in the order that stub resolvers want", () => {
  const one = upstream("www.far.test", 1, [["WWW.far.test", 5, "Whiskey.mini.net"]]);
  assert.deepEqual(complete(one), {
    rcode: 0,
    ad: false,
    answer: ["www.far.test 300 5 Whiskey.mini.net", "Whiskey.mini.net 60 1 10.0.0.70"],
    authority: [],
  });
  const chain = upstream("a.far.test", 28, [["b.far.test", 5, "WHISKEY.mini.net"], [
    "a.far.test",
    5,
    "B.far.test",
  ]]);
  assert.deepEqual(complete(chain).answer, [
    "a.far.test 300 5 B.far.test",
    "B.far.test 300 5 WHISKEY.mini.net",
    "WHISKEY.mini.net 60 28 2001:db8:0:0:0:0:0:70",
  ]);
  assert.equal(complete(upstream("x.test", 1, [["x.test", 5, "two.mini.net"]])).answer.length, 3);
  const reverse = [["5.9.9.in-addr.arpa", 5, "70.64/26.0.0.10.in-addr.arpa"]] as Rr[];
  assert.equal(
    complete(upstream("5.9.9.in-addr.arpa", 12, reverse)).answer[1],
    "70.64/26.0.0.10.in-addr.arpa 60 12 whiskey.mini.net",
  );
});

Deno.test("a target of ours that is not there, or not of that type, is told with our SOA", () => {
  const gone = upstream("www.far.test", 1, [["www.far.test", 5, "nobody.x.mini.net"]]);
  assert.deepEqual(complete(gone), {
    rcode: 3,
    ad: false,
    answer: ["www.far.test 300 5 nobody.x.mini.net"],
    authority: [soa],
  });
  const noData = upstream("www.far.test", 28, [["www.far.test", 5, "two.mini.net"]]);
  const { rcode, authority } = complete(noData);
  assert.deepEqual([rcode, authority], [0, [soa]]);
});

Deno.test("what the upstream says of a name of ours is not told", () => {
  const soaData = [0, 0, ...new Array<number>(20).fill(0)];
  const denied = upstream("www.far.test", 1, [["www.far.test", 5, "whiskey.mini.net"]], 3, [[
    "net",
    6,
    soaData,
  ]]);
  assert.deepEqual([complete(denied).rcode, complete(denied).authority], [0, []]);
  assert.equal(complete(denied).answer[1], "whiskey.mini.net 60 1 10.0.0.70");
  const other = upstream("www.far.test", 1, [
    ["www.far.test", 5, "whiskey.mini.net"],
    ["whiskey.mini.net", 5, "evil.test"],
    ["evil.test", 1, a],
  ]);
  assert.deepEqual(complete(other).answer.slice(1), ["whiskey.mini.net 60 1 10.0.0.70"]);
});

Deno.test("signatures of the aliases and DNAMEs that made them are kept, others are not", () => {
  const rrsig = (covered: number) => [0, covered, ...new Array<number>(20).fill(9)];
  const { answer } = complete(upstream("www.old.test", 1, [
    ["old.test", TYPE.DNAME, "new.test"],
    ["old.test", TYPE.RRSIG, rrsig(TYPE.DNAME)],
    ["www.old.test", 5, "www.new.test"],
    ["www.new.test", TYPE.RRSIG, rrsig(5)],
    ["www.new.test", 5, "whiskey.mini.net"],
    ["whiskey.mini.net", TYPE.RRSIG, rrsig(1)],
  ]));
  assert.deepEqual(answer.map((record) => record.split(" ").filter((_, i) => i !== 1 && i !== 3).join(" ")), [
    "old.test 39",
    "old.test 46",
    "www.old.test 5",
    "www.new.test 5",
    "www.new.test 46",
    "whiskey.mini.net 1",
  ]);
});

Deno.test("other answers, loops and endless chains are left as they are", () => {
  assert(same(upstream("www.far.test", 1, [["www.far.test", 1, a]])));
  assert(same(upstream("www.far.test", 1, [])));
  assert(same(upstream("www.far.test", 1, [["www.far.test", 5, "else.test"], ["else.test", 1, a]])));
  assert(same(upstream("a.test", 1, [["a.test", 5, "b.test"], ["b.test", 5, "a.test"]])));
  const long = (length: number) =>
    upstream("n0.test", 1, [
      ...Array.from({ length }, (_, i): Rr => [`n${i}.test`, 5, `n${i + 1}.test`]),
      [`n${length}.test`, 5, "whiskey.mini.net"],
    ]);
  assert.equal(complete(long(15)).answer.length, 17);
  assert.equal(complete(long(16)).answer.length, 17);
  assert(!complete(long(16)).answer.some((record) => record.includes("10.0.0.70")));
  for (const type of [5, 255]) {
    const response = upstream("www.far.test", type, [["www.far.test", 5, "whiskey.mini.net"]]);
    assert.equal(complete(response).answer.length, 1);
  }
});

Deno.test("in an answer of many records no alias is looked for: each query for it would cost the time", () => {
  const withOthers = (count: number) =>
    upstream("www.far.test", 1, [
      ["www.far.test", 5, "whiskey.mini.net"],
      ...Array.from({ length: count }, (_, i): Rr => [`n${i}.test`, 1, a]),
    ]);
  assert.deepEqual(complete(withOthers(63)).answer.map((record) => record.split(" ")[0]), [
    "www.far.test",
    "whiskey.mini.net",
  ]);
  assert(same(withOthers(64)));
  assert.equal(complete(withOthers(64)).answer.length, 65);
});

Deno.test("aliases longer than a message are left as they are, and no octet that is wrong raises", () => {
  const many = Array.from(
    { length: 60 },
    (): Rr => ["x.test", TYPE.RRSIG, [0, 5, ...new Array<number>(900).fill(0)]],
  );
  const message = upstream("x.test", 1, [["x.test", 5, "whiskey.mini.net"], ...many]);
  assert.equal(complete(message).answer.length, 61);
  const good = upstream("www.far.test", 1, [["www.far.test", 5, "whiskey.mini.net"]]);
  for (let at = 12; at < good.length; at++) {
    for (const octet of [0, 1, 63, 64, 0xc0, 0xff]) {
      const wrong = good.slice();
      wrong[at] = octet;
      const layout = layoutOf(wrong);
      if (layout) completeAliases({ message: wrong.slice(0, layout.end), layout }, answerOurs);
    }
  }
});
