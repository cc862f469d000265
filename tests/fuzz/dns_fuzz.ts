/**
 * Mutated packets through the DNS codec: `deno run tests/fuzz/dns_fuzz.ts [COUNT] [SEED]` (or FUZZ_COUNT, FUZZ_SEED).
 *
 * For every packet: no exception; the answer is a valid message, belongs to the query, is no longer than client and
 * transport take, and not an octet outside of its place has changed. Upstream's answers are mutated as well.
 */
import { decode as decodeByDnsPacket } from "dns-packet";
import { Ip } from "../../services/common/ip.ts";
import { completeAliases } from "../../services/dnsd/alias.ts";
import { Answerer, DROP, FORWARD } from "../../services/dnsd/answer.ts";
import { Cache } from "../../services/dnsd/cache.ts";
import { reply } from "../../services/dnsd/forward.ts";
import { layoutOf } from "../../services/dnsd/message.ts";
import { TableWriter } from "../../services/dnsd/table_writer.ts";
import { decode, encodeQuery, type Message, mini } from "../../services/dnsd/testing.ts";
import { nameToWire, RCODE } from "../../services/dnsd/wire.ts";
import { Zones } from "../../services/dnsd/zones.ts";
import { forAll, type Random } from "../lab/property.ts";

export interface FuzzReport {
  readonly packets: number;
  /** Answers by RCODE, and `dropped` and `forwarded`. */
  readonly outcomes: Record<string, number>;
}

const GUARD = 64, GUARD_OCTET = 0xa5;

/** @throws Error that holds the seed, the packet with the fewest mutations in hex, and what is wrong with the answer */
export function fuzzDns(count: number, seed: number): FuzzReport {
  const { reader } = table();
  const answerers = [new Answerer(reader, false), new Answerer(reader, true)];
  const queries = corpus();
  const responses = queries.flatMap((query) => {
    const packet = new Uint8Array(70_000);
    packet.set(query);
    const length = answerers[0]?.answer(packet, 0, query.length, 65535, false) ?? 0;
    return length > 0 ? [packet.slice(0, length)] : [];
  });
  const chains = [["mini.net"], ["whiskey.mini.net"], ["x.test", "many.mini.net"], [
    "x.test",
    "whiskey.mini.net",
  ]]
    .map((targets) => Uint8Array.from(targets.flatMap(alias)));
  const cache = new Cache(100_000, () => 0);
  const outcomes: Record<string, number> = {};
  const note = (outcome: string) => outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  const place = new Uint8Array(GUARD + 66_000 + GUARD);

  forAll({ runs: count, choices: 80, seed }, (random) => {
    const packet = mutate(pick(queries, random), queries, random);
    const udp = random(4) !== 0, room = udp ? 1232 : 65535;
    try {
      const answerer = answerers[random(2)] as Answerer;
      const used = Math.max(packet.length, room);
      place.fill(GUARD_OCTET, 0, GUARD);
      place.set(packet, GUARD);
      place.fill(GUARD_OCTET, GUARD + packet.length, GUARD + packet.length + GUARD);
      place.fill(GUARD_OCTET, GUARD + used, GUARD + used + GUARD);
      const length = answerer.answer(place, GUARD, packet.length, room, udp);
      for (let j = 0; j < GUARD; j++) {
        if (place[j] !== GUARD_OCTET || place[GUARD + used + j] !== GUARD_OCTET) {
          throw new Error("wrote outside");
        }
      }
      if (length === DROP) note("dropped");
      else if (length === FORWARD) {
        note("forwarded");
        upstream(packet, mutate(pick(responses, random), responses, random), cache, udp ? 1232 : 65535);
        if (aliases(packet, mutate(pick(chains, random), chains, random), answerer)) note("aliases");
      } else {
        check(packet, place.slice(GUARD, GUARD + length), udp);
        note(`rcode ${answerer.rcode}`);
      }
    } catch (error) {
      throw new Error(`${udp ? "UDP" : "TCP"} ${packet.toHex()}: ${error}`);
    }
  });
  return { packets: count, outcomes };
}

function check(query: Uint8Array, answer: Uint8Array, udp: boolean): void {
  const message = decode(answer);
  if (!message.response) throw new Error("no response");
  if (answer[0] !== query[0] || answer[1] !== query[1]) throw new Error("another id");
  secondOpinion(message, answer);
  if (!udp) return;
  if (answer.length > (message.edns ? 1232 : 512)) throw new Error(`${answer.length} octets over UDP`);
  if (message.question && answer.length > 512) {
    // The query was whole, then: what it says about the client's buffer counts.
    const size = layoutOf(query)?.edns?.size ?? 0;
    if (answer.length > size) throw new Error(`${answer.length} octets for a client that takes ${size}`);
  }
}

/** npm's dns-packet reads the answer as our own strict decoder does. Octets of names that are no UTF-8 it does not keep. */
function secondOpinion(message: Message, answer: Uint8Array): void {
  const read = decodeByDnsPacket(Buffer.from(answer.buffer, answer.byteOffset, answer.length));
  const counts = [message.answer, message.authority, message.additional].map(({ length }) => length);
  counts[2] = (counts[2] ?? 0) + (message.edns ? 1 : 0);
  const theirs = [read.answers, read.authorities, read.additionals].map((records) => records?.length ?? 0);
  const addresses = (read.answers ?? []).flatMap((record) => record.type === "A" ? [record.data] : []);
  const ours = message.answer.filter(({ type }) => type === 1).map(({ data }) => data);
  if (read.id !== message.id || `${theirs}` !== `${counts}` || `${addresses}` !== `${ours}`) {
    throw new Error(`dns-packet reads ${theirs} records and ${addresses} in place of ${counts} and ${ours}`);
  }
}

/** What a resolver may send back, through cache and reply. */
function upstream(query: Uint8Array, response: Uint8Array, cache: Cache, room: number): void {
  const queryLayout = layoutOf(query);
  if (!queryLayout) throw new Error("forwarded, but not readable");
  // Only a message that repeats the question gets this far.
  const message = new Uint8Array(queryLayout.questionEnd + response.length);
  message.set(query.subarray(0, queryLayout.questionEnd));
  message.set(response.subarray(2, 12), 2);
  message.set(response, queryLayout.questionEnd);
  const layout = layoutOf(message);
  if (!layout) return;
  const key = query.subarray(12, queryLayout.questionEnd).toHex();
  cache.put(key, { message: message.slice(0, layout.end), layout });
  const out = reply(cache.get(key) ?? { message, layout }, query, queryLayout, room);
  if (out.length > room) throw new Error(`${out.length} octets`);
  if (out[0] !== query[0] || out[1] !== query[1]) throw new Error("another id");
  if (!layoutOf(out)) throw new Error(`reply is not readable: ${out.toHex()}`);
}

/** An alias record that the question owns, or else `x.test`. */
function alias(target: string, i: number): number[] {
  const octets = [...nameToWire(target) ?? []];
  return [
    ...i === 0 ? [0xc0, 12] : nameToWire("x.test") ?? [],
    0,
    5,
    0,
    1,
    0,
    0,
    1,
    44,
    0,
    octets.length,
    ...octets,
  ];
}

/** Aliases that may lead to us. @returns true when our records were added */
function aliases(query: Uint8Array, chain: Uint8Array, answerer: Answerer): boolean {
  const queryLayout = layoutOf(query);
  if (!queryLayout) throw new Error("forwarded, but not readable");
  const message = Uint8Array.from([...query.subarray(0, queryLayout.questionEnd), ...chain]);
  message.set([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], 2);
  if (layoutOf(message)?.end !== message.length) message[7] = 2;
  const layout = layoutOf(message);
  if (!layout) return false;
  const found = { message: message.slice(0, layout.end), layout };
  const completed = completeAliases(found, (question) => {
    const place = new Uint8Array(66_000);
    place.set(question);
    const length = answerer.answer(place, 0, question.length, 65_535, false);
    return answerer.rcode === RCODE.REFUSED ? undefined : place.slice(0, length);
  });
  if (layoutOf(completed.message)?.end !== completed.message.length) {
    throw new Error(`aliases are not readable: ${completed.message.toHex()}`);
  }
  return completed !== found;
}

function table(): TableWriter {
  const table = new TableWriter();
  const zones = new Zones(table);
  zones.setNetwork(mini);
  zones.setName("whiskey.mini.net", [Ip.parse("10.0.0.10"), Ip.parse("2001:db8::10")]);
  zones.setName("many.mini.net", Array.from({ length: 70 }, (_, i) => Ip.from4(0x0a000064 + i)));
  zones.setName("a.b.c.mini.net", [Ip.parse("10.0.0.30")]);
  zones.setName(`${"x".repeat(63)}.${"y".repeat(63)}.${"z".repeat(63)}.mini.net`, [Ip.parse("10.0.0.31")]);
  zones.publish(7);
  return table;
}

function corpus(): Uint8Array[] {
  const names = [
    "whiskey.mini.net",
    "many.mini.net",
    "MINI.net",
    "nobody.mini.net",
    "b.c.mini.net",
    "10.0.0.10.in-addr.arpa",
    "0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
    `${"x".repeat(63)}.${"y".repeat(63)}.${"z".repeat(63)}.mini.net`,
    "www.example.org",
    "",
  ];
  const options = Uint8Array.of(0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 12, 0, 3, 0, 0, 0);
  const all: Uint8Array[] = [];
  for (const name of names) {
    for (const type of [1, 2, 6, 12, 28, 255, 41, 252]) {
      all.push(encodeQuery({ name, type, rd: true }));
      all.push(encodeQuery({ name, type, rd: true, edns: { options, dnssecOk: true } }));
      all.push(encodeQuery({ name, type, edns: { size: 4096 } }));
      all.push(encodeQuery({ name, type, edns: { size: 600, version: 1 } }));
    }
  }
  return all;
}

/** One to four changes of the kinds that break parsers. */
function mutate(original: Uint8Array, others: readonly Uint8Array[], random: Random): Uint8Array {
  let packet = original.slice();
  for (let changes = random(5); changes > 0; changes--) {
    const at = random(Math.max(packet.length, 1));
    switch (random(9)) {
      case 0: // a bit
        packet[at] = (packet[at] ?? 0) ^ (1 << random(8));
        break;
      case 1: // an octet
        packet[at] = random(256);
        break;
      case 2: // cut short
        packet = packet.slice(0, at);
        break;
      case 3: // made longer
        packet = Uint8Array.from([...packet, ...Array.from({ length: random(40) }, () => random(256))]);
        break;
      case 4: // a compression pointer, also to itself or beyond
        packet[at] = 0xc0 | random(4) * random(2);
        if (at + 1 < packet.length) packet[at + 1] = random(3) === 0 ? at : random(256);
        break;
      case 5: // a count
        packet[4 + random(8)] = random(3) === 0 ? random(256) : random(3);
        break;
      case 6: // a length or label type
        packet[at] = [0, 1, 63, 64, 128, 191, 192, 255][random(8)] ?? 0;
        break;
      case 7: { // the end of another
        const other = pick(others, random);
        packet = Uint8Array.from([...packet.subarray(0, at), ...other.subarray(random(other.length))]);
        break;
      }
      case 8: { // a part twice
        const to = at + random(packet.length - at + 1);
        packet = Uint8Array.from([...packet.subarray(0, to), ...packet.subarray(at)]);
      }
    }
  }
  return packet.length > 60_000 ? packet.slice(0, 60_000) : packet;
}

function pick<T>(list: readonly T[], random: Random): T {
  return list[random(list.length)] as T;
}

if (import.meta.main) {
  const count = Number(Deno.args[0] ?? Deno.env.get("FUZZ_COUNT") ?? 1_000_000);
  const seed = Number(Deno.args[1] ?? Deno.env.get("FUZZ_SEED") ?? 1);
  const begun = performance.now();
  const { outcomes } = fuzzDns(count, seed);
  console.log(`${count} packets, seed ${seed}, ${Math.round(performance.now() - begun)} ms`, outcomes);
}
