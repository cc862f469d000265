import assert from "node:assert/strict";
import { until } from "../../tests/lab/until.ts";
import { Ip } from "../common/ip.ts";
import { openMini } from "../nex/testing.ts";
import { createLog } from "../common/log.ts";
import { Refusal } from "../common/refusal.ts";
import { NexView } from "../nex/view.ts";
import { UnknownOutcome } from "../store/errors.ts";
import { MemoryStore } from "../store/memory_store.ts";
import { type NexRecord, nexSchema } from "../store/records.ts";
import type { CommitOutcome, Plan } from "../store/types.ts";
import { type ClientMessage, clientMessage } from "./client_message.ts";
import { Exchanges } from "./exchanges.ts";
import { Message } from "./message.ts";
import { Opt, Type } from "./numbers.ts";
import { bytesOf32 } from "../common/bytes.ts";
import type { Reply } from "./reply.ts";
import { oneSpace } from "./spaces.ts";

const guest = "00:00:99:00:00:01", other = "00:00:99:00:00:02", third = "00:00:99:00:00:03";
const NOW = 1_000_000;
const ip = (text: string) => Ip.parse(text).u32;

/** Exchanges over a store in memory whose commits a test can steer. */
class Bench {
  readonly memory = new MemoryStore<NexRecord>(nexSchema, {
    "/net/mini": JSON.stringify({
      ...openMini("00:00:99"),
      Range4: { begin: "10.0.0.10", end: "10.0.0.11" },
    }),
  });
  /** What happens in place of a commit. */
  commit: (plan: Plan) => Promise<CommitOutcome> = (plan) => this.memory.commit(plan);
  readonly lines: string[] = [];
  readonly sent: { type: number; address: string; xid: number; seconds: number | undefined }[] = [];
  flushes = 0;
  exhausted = 0;
  readonly unknown: unknown[] = [];
  inSync = true;
  /** What time it is, in ms since the epoch. */
  clock = NOW * 1000;
  /** The same on a clock that is never set. */
  monotonic = 0;
  /** The mirror does not come to show what made a commit conflict. */
  late = false;
  readonly exchanges: Exchanges<string>;
  readonly #reused = new Message();

  constructor(giveUpMs = 10_000) {
    const { memory } = this;
    const mirror = {
      ...memory.mirror,
      caughtUp: () =>
        this.late ? Promise.reject(new DOMException("late", "TimeoutError")) : Promise.resolve(),
    };
    Object.defineProperty(mirror, "state", { get: () => ({ ...memory.mirror.state, inSync: this.inSync }) });
    const committer = {
      commit: (plan: Plan) => this.commit(plan),
      commitGrouped: (plan: Plan) => this.commit(plan),
    };
    const current = (keys: readonly string[]) =>
      Promise.resolve(
        keys.map((key) => ({ key, modRevision: memory.values.get(key)?.modRevision ?? 0 })),
      );
    this.exchanges = new Exchanges({
      store: {
        ...{ mirror, committer, current },
        confirmed: () => Promise.resolve(),
        settled: () => Promise.resolve(),
      },
      spaces: oneSpace(new NexView(mirror)),
      log: createLog("dhcpd", { level: "warn", format: "text" }, {
        write: (line) => this.lines.push(line),
      }),
      send: (_, message, { type, yiaddr, seconds }: Reply) =>
        this.sent.push({ type, address: Ip.from4(yiaddr).toString(), xid: message.xid, seconds }),
      flush: () => this.flushes++,
      onExhausted: () => this.exhausted++,
      onUnknown: (from, { type }, mac, link) => this.unknown.push([from, type, mac, link]),
      systemTime: () => this.clock,
      monotonic: () => this.monotonic,
      giveUpMs,
    });
  }

  take(message: ClientMessage, now = NOW, received = now * 1000): void {
    this.clock = Math.max(this.clock, now * 1000);
    const bytes = clientMessage(message);
    assert(this.#reused.read(bytes, 0, bytes.length));
    this.exchanges.take("eth0", {
      message: this.#reused,
      mac: message.mac,
      unicast: false,
      source: message.ciaddr ?? 0,
      ownFrame: true,
      received,
      addresses: [ip("10.0.0.1")],
      attached: undefined,
      now,
      registerNames: true,
    });
    // As a receive buffer is.
    bytes.fill(0);
  }

  request(mac: string, address: string, xid = 1, now = NOW): void {
    this.take(
      { type: Type.request, mac, xid, options: [[Opt.requestedAddress, bytesOf32(ip(address))]] },
      now,
    );
  }
}

const lost = () => Promise.reject(new UnknownOutcome("lost"));
const lostRace = (): Promise<CommitOutcome> => Promise.resolve({ committed: false, current: [] });
const away = () => Promise.reject(new Refusal("unavailable", "etcd is away"));

Deno.test("an ACK waits for its commit, and is sent with the client's own fields", async () => {
  const bench = new Bench();
  const written = Promise.withResolvers<void>();
  bench.commit = async (plan) => {
    await written.promise;
    return bench.memory.commit(plan);
  };
  bench.request(guest, "10.0.0.10", 77);
  await Promise.resolve();
  assert.deepEqual(bench.sent, []);
  written.resolve();
  await bench.exchanges.close();
  assert.deepEqual(bench.sent, [{ type: Type.ack, address: "10.0.0.10", xid: 77, seconds: 14400 }]);
  assert.equal(bench.flushes, 1);
});

Deno.test("a second message while the lease is being written is dropped", async () => {
  const bench = new Bench();
  bench.commit = (plan) => Promise.resolve().then(() => bench.memory.commit(plan));
  bench.request(guest, "10.0.0.10", 1);
  bench.request(guest, "10.0.0.10", 1);
  bench.request(other, "10.0.0.11", 2);
  await bench.exchanges.close();
  assert.equal(bench.sent.length, 2);
  assert.equal(bench.flushes, 1, "replies of one turn leave together");
  assert.equal(bench.exchanges.counts.ignored["in-flight"], 1);
});

Deno.test("a MAC's leases in two networks are written at the same time, and neither ends the other", async () => {
  const bench = new Bench();
  const maxi = {
    name: "maxi",
    subnet4: "10.1.0.0/24",
    dhcp4server: "10.0.0.1",
    Range4: { begin: "10.1.0.10", end: "10.1.0.11" },
    macRange: { begin: "00:00:00:00:00:00", end: "ff:ff:ff:ff:ff:ff" },
  };
  bench.memory.write({ guards: [], ops: [{ put: "/net/maxi", value: JSON.stringify(maxi) }] });
  bench.commit = (plan) => Promise.resolve().then(() => bench.memory.commit(plan));
  const giaddr = ip("10.1.0.1");
  const requestedAddress = (
    address: string,
  ): [number, Uint8Array][] => [[Opt.requestedAddress, bytesOf32(ip(address))]];
  bench.take({ type: Type.request, mac: guest, xid: 1, options: requestedAddress("10.0.0.10") });
  bench.take({ type: Type.request, mac: guest, xid: 2, giaddr, options: requestedAddress("10.1.0.10") });
  // One of them conflicts: both were to lie under the same key.
  await bench.exchanges.close();
  assert.deepEqual(bench.sent.map(({ type, address }) => [type, address]).sort(), [
    [Type.ack, "10.0.0.10"],
    [Type.ack, "10.1.0.10"],
  ]);
  const keys = () => [...bench.memory.values.keys()].filter((key) => key.endsWith(`/${guest}`)).sort();
  assert.deepEqual(keys(), [`/member/${guest}`, `/strand/member/maxi/${guest}`]);
  bench.take({ type: Type.release, mac: guest, xid: 3, ciaddr: ip("10.0.0.10") }, NOW + 10);
  await bench.exchanges.close();
  assert.deepEqual(keys(), [`/strand/member/maxi/${guest}`]);
});

Deno.test("the replica that loses the commit answers the same address", async () => {
  const bench = new Bench();
  let first = true;
  bench.commit = (plan) => {
    // The other replica has seen the same packet and was quicker.
    if (first) bench.memory.write(plan);
    first = false;
    return bench.memory.commit(plan);
  };
  bench.request(guest, "10.0.0.10");
  await bench.exchanges.close();
  assert.deepEqual(bench.sent.map(({ type, address }) => ({ type, address })), [{
    type: Type.ack,
    address: "10.0.0.10",
  }]);
  assert.equal(bench.exchanges.counts.conflicts, 1);
});

Deno.test("of two clients that name one address, one gets it and the other a NAK", async () => {
  const bench = new Bench();
  // Both are planned before either is written.
  const commits: (() => void)[] = [];
  bench.commit = (plan) => new Promise((resolve) => commits.push(() => resolve(bench.memory.commit(plan))));
  bench.request(guest, "10.0.0.10", 1);
  bench.request(other, "10.0.0.10", 2);
  for (const commit of commits) commit();
  bench.commit = (plan) => bench.memory.commit(plan);
  await bench.exchanges.close();
  assert.deepEqual(bench.sent.map(({ type, xid }) => [type, xid]).sort(), [[Type.ack, 1], [Type.nak, 2]]);
});

Deno.test("a NAK is sent once etcd has confirmed it; where the mirror was behind, the client gets its lease", async () => {
  const bench = new Bench();
  bench.request(other, "10.0.0.11");
  await bench.exchanges.close();
  bench.request(guest, "10.0.0.11");
  assert.equal(bench.sent.length, 1, "not before etcd has answered");
  await bench.exchanges.close();
  assert.deepEqual(bench.sent.splice(0).map(({ type }) => type), [Type.ack, Type.nak]);
  // Behind this mirror's back the address has been given up.
  bench.commit = (plan) => {
    assert.deepEqual(plan.ops, []);
    const release = ["/member/" + other, "/member/ip4/10.0.0.11"].map((remove) => ({ remove }));
    bench.memory.write({ guards: [], ops: release });
    bench.commit = (again) => bench.memory.commit(again);
    return bench.memory.commit(plan);
  };
  bench.request(guest, "10.0.0.11");
  await bench.exchanges.close();
  assert.deepEqual(bench.sent.map(({ type, address }) => [type, address]), [[Type.ack, "10.0.0.11"]]);
});

Deno.test("a lost answer is looked up before anything is sent", async () => {
  for (const happened of [true, false]) {
    const bench = new Bench();
    bench.commit = (plan) => {
      if (happened) bench.memory.write(plan);
      bench.commit = (again) => bench.memory.commit(again);
      return lost();
    };
    bench.request(guest, "10.0.0.10");
    await bench.exchanges.close();
    assert.deepEqual(bench.sent.map(({ type, address }) => [type, address]), [[Type.ack, "10.0.0.10"]]);
    assert(bench.memory.values.has("/member/ip4/10.0.0.10"));
  }
});

Deno.test("with etcd away a lease is renewed with the time left, and no other client gets an answer, not even a NAK", async () => {
  const bench = new Bench();
  bench.request(guest, "10.0.0.10");
  await bench.exchanges.close();
  bench.sent.length = 0;
  bench.commit = away;
  for (const inSync of [true, false]) {
    bench.inSync = inSync;
    bench.take({ type: Type.request, mac: guest, ciaddr: ip("10.0.0.10") }, NOW + 3600);
    bench.request(other, "10.0.0.11", 2, NOW + 3600);
    bench.take({ type: Type.request, mac: third, ciaddr: ip("10.0.0.10") }, NOW + 3600);
    await bench.exchanges.close();
    // A client in INIT-REBOOT may have released its lease through another replica.
    bench.request(guest, "10.0.0.10", 3, NOW + 3600);
    bench.request(other, "10.0.0.10", 4, NOW + 3600);
    await bench.exchanges.close();
    assert.deepEqual(bench.sent.splice(0), [{
      type: Type.ack,
      address: "10.0.0.10",
      xid: 1,
      seconds: 10800,
    }]);
  }
  assert.equal(bench.exchanges.counts.ignored["store-away"], 8);
  assert.equal(bench.lines.length, 1, "what etcd refuses while the mirror is in sync is told once a minute");
  assert.match(bench.lines[0] ?? "", /a lease could not be written: etcd is away/);
});

Deno.test("a record that cannot be read keeps no other client from its lease, and its address from all", async () => {
  const bench = new Bench();
  const ops = [
    { put: `/member/${third}`, value: "garbage" },
    { put: "/member/ip4/10.0.0.10", value: third },
    { put: "/net/bad", value: "garbage" },
  ];
  bench.memory.write({ guards: [], ops });
  bench.request(guest, "10.0.0.10");
  bench.request(other, "10.0.0.11", 2);
  bench.take({ type: Type.request, mac: third, ciaddr: ip("10.0.0.10") });
  await bench.exchanges.close();
  const given = bench.sent.filter(({ type }) => type === Type.ack);
  assert.deepEqual(given.map(({ address }) => address), ["10.0.0.11"]);
  assert.equal(bench.memory.values.get("/member/ip4/10.0.0.10")?.value, third);
});

Deno.test("while a key of Nex's is not understood a running lease is confirmed with the time left, and nothing is written", async () => {
  const bench = new Bench();
  bench.request(guest, "10.0.0.10");
  await bench.exchanges.close();
  bench.sent.length = 0;
  bench.memory.write({ guards: [], ops: [{ put: "/member/lease/10.0.0.11", value: "{}" }] });
  const { revision } = bench.memory;
  bench.take({ type: Type.request, mac: guest, ciaddr: ip("10.0.0.10") }, NOW + 3600);
  bench.take({ type: Type.discover, mac: other });
  bench.request(other, "10.0.0.11", 2, NOW + 3600);
  bench.request(guest, "10.0.0.11", 3, NOW + 3600);
  bench.take({ type: Type.release, mac: guest, ciaddr: ip("10.0.0.10") }, NOW + 3600);
  await bench.exchanges.close();
  assert.deepEqual(bench.sent, [{ type: Type.ack, address: "10.0.0.10", xid: 1, seconds: 10800 }]);
  assert.equal(bench.exchanges.counts.ignored["store-away"], 4);
  assert.equal(bench.memory.revision, revision);
});

Deno.test("a client whose ACK waited for its commit is told a lease that ends within a second of the stored one", async () => {
  for (
    const [waited, seconds] of [[900, 14400], [2100, 14398], [10_900, 14390], [11_000, undefined]] as const
  ) {
    const bench = new Bench();
    bench.commit = (plan) => {
      bench.clock += waited;
      return bench.memory.commit(plan);
    };
    bench.request(guest, "10.0.0.10");
    await bench.exchanges.close();
    assert.deepEqual(bench.sent.map((reply) => reply.seconds), seconds === undefined ? [] : [seconds]);
    assert.equal(bench.exchanges.counts.ignored.late, seconds === undefined ? 1 : 0);
  }
});

Deno.test("a RELEASE or DECLINE that was sent before the client got its present lease does not end that", async () => {
  const gone = [
    { type: Type.release, mac: guest, ciaddr: ip("10.0.0.10") },
    { type: Type.decline, mac: guest, options: [[Opt.requestedAddress, bytesOf32(ip("10.0.0.10"))]] },
  ] as const;
  for (const message of gone) {
    const bench = new Bench();
    bench.request(guest, "10.0.0.10");
    await bench.exchanges.close();
    bench.take(message, NOW, NOW * 1000 - 500);
    await bench.exchanges.close();
    assert.equal(bench.exchanges.counts.ignored["not-held"], 1);
    assert(bench.memory.values.has(`/member/${guest}`));
    bench.take(message, NOW + 1);
    await bench.exchanges.close();
    assert(!bench.memory.values.has(`/member/${guest}`));
  }
});

Deno.test("a RELEASE counts again a few seconds after the client got its lease, also where the system's clock was set back", async () => {
  const bench = new Bench();
  bench.request(guest, "10.0.0.10");
  await bench.exchanges.close();
  const release = { type: Type.release, mac: guest, ciaddr: ip("10.0.0.10") } as const;
  const before = NOW * 1000 - 3_600_000;
  bench.monotonic = 2_000;
  bench.take(release, NOW, before);
  await bench.exchanges.close();
  assert(bench.memory.values.has(`/member/${guest}`));
  bench.monotonic = 3_000;
  bench.take(release, NOW, before);
  await bench.exchanges.close();
  assert(!bench.memory.values.has(`/member/${guest}`));
});

Deno.test("a lease that takes too long to write is given up and reported as unknown, and its client is heard again", async () => {
  const bench = new Bench(20), owed: Plan[] = [], answered = Promise.withResolvers<void>();
  bench.commit = async (plan) => {
    owed.push(plan);
    await answered.promise;
    return bench.memory.commit(plan);
  };
  bench.request(guest, "10.0.0.10", 1);
  bench.request(guest, "10.0.0.10", 2);
  assert.equal(bench.exchanges.counts.ignored["in-flight"], 1);
  await until("it is given up", () => bench.exchanges.counts.ignored.late === 1);
  assert.equal(bench.exchanges.counts.failures, 1);
  assert.match(bench.lines.join(), /may have been written, or may still be/);
  // The client takes another address meanwhile, and the old transaction is applied after all: it meets that and is refused.
  bench.commit = (plan) => bench.memory.commit(plan);
  bench.request(guest, "10.0.0.11", 3);
  await until("it is answered", () => bench.sent.length === 1);
  answered.resolve();
  await bench.exchanges.close();
  assert.equal(owed.length, 1, "nothing more is written for the one that was given up");
  assert.deepEqual(bench.sent.map(({ xid, address }) => [xid, address]), [[3, "10.0.0.11"]]);
  assert(!bench.memory.values.has("/member/ip4/10.0.0.10"));
});

Deno.test("where a transaction that was given up is applied first, the client's next one is planned from that", async () => {
  const bench = new Bench(20), answered = Promise.withResolvers<void>();
  bench.commit = async (plan) => {
    await answered.promise;
    return bench.memory.commit(plan);
  };
  bench.request(guest, "10.0.0.10", 1);
  await until("it is given up", () => bench.exchanges.counts.ignored.late === 1);
  bench.commit = async (plan) => {
    // Only now the old one arrives.
    bench.commit = (again) => bench.memory.commit(again);
    answered.resolve();
    await new Promise((resolve) => setTimeout(resolve));
    return bench.memory.commit(plan);
  };
  bench.request(guest, "10.0.0.10", 2);
  await bench.exchanges.close();
  assert.deepEqual(bench.sent.map(({ type, xid, address }) => [type, xid, address]), [[
    Type.ack,
    2,
    "10.0.0.10",
  ]]);
  assert.equal(bench.exchanges.counts.conflicts, 1);
});

Deno.test("a RELEASE whose commit meets a newer lease ends nothing", async () => {
  const bench = new Bench();
  bench.request(guest, "10.0.0.10");
  await bench.exchanges.close();
  bench.commit = (plan) => {
    bench.commit = (again) => bench.memory.commit(again);
    // Another replica has just confirmed the lease again.
    const record = JSON.parse(bench.memory.values.get(`/member/${guest}`)?.value ?? "");
    bench.memory.write({ guards: [], ops: [{ put: `/member/${guest}`, value: JSON.stringify(record) }] });
    return bench.memory.commit(plan);
  };
  bench.take({ type: Type.release, mac: guest, ciaddr: ip("10.0.0.10") }, NOW + 1);
  await bench.exchanges.close();
  assert(bench.memory.values.has("/member/ip4/10.0.0.10"));
  assert.equal(bench.exchanges.counts.conflicts, 1);
});

Deno.test("a renewal that waited for etcd, and meets one that another replica has made since, does not shorten that", async () => {
  const bench = new Bench();
  bench.request(guest, "10.0.0.10");
  await bench.exchanges.close();
  const expires = NOW + 8 + 14400;
  bench.commit = (plan) => {
    bench.commit = (again) => bench.memory.commit(again);
    const record = JSON.parse(bench.memory.values.get(`/member/${guest}`)?.value ?? "");
    record.ip4.expires = { seconds: expires };
    bench.memory.write({ guards: [], ops: [{ put: `/member/${guest}`, value: JSON.stringify(record) }] });
    return bench.memory.commit(plan);
  };
  bench.take({ type: Type.request, mac: guest, ciaddr: ip("10.0.0.10") }, NOW + 1);
  await bench.exchanges.close();
  const record = JSON.parse(bench.memory.values.get(`/member/${guest}`)?.value ?? "");
  assert.deepEqual(record.ip4.expires, { seconds: expires });
  assert.equal(bench.sent.at(-1)?.seconds, 14400);
});

Deno.test("a commit that fails otherwise is told once a minute", async () => {
  const bench = new Bench();
  bench.commit = () => Promise.reject(new Error("broken"));
  bench.request(guest, "10.0.0.10");
  bench.request(other, "10.0.0.11");
  await bench.exchanges.close();
  assert.equal(bench.lines.length, 1);
  assert.match(bench.lines[0] ?? "", /a lease could not be written: broken/);
  assert.equal(bench.exchanges.counts.failures, 2);
});

Deno.test("what made a commit conflict does not come in: nothing is confirmed from what is known to be old", async () => {
  const bench = new Bench();
  bench.request(guest, "10.0.0.10");
  await bench.exchanges.close();
  bench.sent.length = 0;
  bench.late = true;
  bench.commit = lostRace;
  bench.request(guest, "10.0.0.10", 1, NOW + 3600);
  await bench.exchanges.close();
  assert.deepEqual(bench.sent, []);
  assert.equal(bench.exchanges.counts.ignored["store-away"], 1);
  assert.deepEqual(bench.lines, []);
});

Deno.test("a DECLINE is told once a minute, with address and network, once it is written", async () => {
  const decline = (bench: Bench, mac: string, address: string) =>
    bench.take({ type: Type.decline, mac, options: [[Opt.requestedAddress, bytesOf32(ip(address))]] });
  for (const [commit, lines] of [[undefined, 1], [away, 1], [lostRace, 0]] as const) {
    const bench = new Bench();
    bench.request(guest, "10.0.0.10");
    bench.request(other, "10.0.0.11");
    await bench.exchanges.close();
    if (commit) bench.commit = commit;
    decline(bench, guest, "10.0.0.10");
    decline(bench, other, "10.0.0.11");
    await bench.exchanges.close();
    assert.equal(bench.lines.length, lines, bench.lines.join(""));
    if (commit === undefined) {
      assert.match(bench.lines[0] ?? "", /in use.*network=mini address=10\.0\.0\.10 mac=00:00:99:00:00:01/);
    }
  }
});

Deno.test("a static address that is declined is told once a minute", () => {
  const bench = new Bench();
  const desk = "00:00:44:00:00:01";
  const record = { mac: desk, net: "mini", ip4: { address: "10.0.0.40" } };
  bench.memory.write({
    guards: [],
    ops: [
      { put: `/member/${desk}`, value: JSON.stringify(record) },
      { put: "/member/ip4/10.0.0.40", value: desk },
    ],
  });
  for (let i = 0; i < 3; i++) {
    bench.take({
      type: Type.decline,
      mac: desk,
      options: [[Opt.requestedAddress, bytesOf32(ip("10.0.0.40"))]],
    });
  }
  assert.equal(bench.lines.length, 1);
  assert.match(bench.lines[0] ?? "", /static address in use.*network=mini address=10\.0\.0\.40/);
});

Deno.test("a member that has no address, and can have none, is told once a minute", () => {
  const bench = new Bench();
  const desk = "00:00:44:00:00:01";
  bench.memory.write({
    guards: [],
    ops: [
      { put: "/net/static", value: JSON.stringify({ name: "static", subnet4: "10.8.0.0/24" }) },
      { put: `/member/${desk}`, value: JSON.stringify({ mac: desk, net: "static" }) },
    ],
  });
  for (let i = 0; i < 3; i++) bench.take({ type: Type.discover, mac: desk });
  assert.equal(bench.exhausted, 0);
  assert.equal(bench.lines.length, 1);
  assert.match(bench.lines[0] ?? "", /no address.*network=static mac=00:00:44:00:00:01/);
});

Deno.test("an unknown client is told of, with the address that tells its link", () => {
  const bench = new Bench(), mac = "00:00:77:00:00:01";
  bench.take({ type: Type.discover, mac });
  bench.take({ type: Type.discover, mac, giaddr: ip("10.9.0.1") });
  bench.take({ type: Type.inform, mac, ciaddr: ip("10.9.0.7") });
  assert.deepEqual(bench.unknown, [
    ["eth0", Type.discover, mac, undefined],
    ["eth0", Type.discover, mac, ip("10.9.0.1")],
    ["eth0", Type.inform, mac, undefined],
  ]);
  assert.equal(bench.exchanges.counts.ignored["unknown-client"], 3);
});

Deno.test("an exhausted pool is silence, a count, and one line a minute with the network's name", async () => {
  const bench = new Bench();
  bench.request(guest, "10.0.0.10");
  bench.request(other, "10.0.0.11");
  await bench.exchanges.close();
  bench.sent.length = 0;
  for (let i = 0; i < 3; i++) bench.take({ type: Type.discover, mac: "00:00:99:00:00:03" });
  assert.deepEqual(bench.sent, []);
  assert.equal(bench.exhausted, 3);
  assert.equal(bench.lines.length, 1);
  assert.match(bench.lines[0] ?? "", /network=mini/);
});
