import assert from "node:assert/strict";
import { Ip } from "../common/ip.ts";
import { planLeaseEnd } from "../nex/leases.ts";
import { deleteMembers } from "../nex/members.ts";
import type { Network } from "../nex/network.ts";
import { Draft } from "../nex/steps.ts";
import { macsWith, openMini } from "../nex/testing.ts";
import { NexView } from "../nex/view.ts";
import { MemoryStore } from "../store/memory_store.ts";
import { type MemberRecord, nexSchema } from "../store/records.ts";
import { type ClientMessage, clientMessage } from "./client_message.ts";
import { Message } from "./message.ts";
import { Opt, Type } from "./numbers.ts";
import { Offers } from "./offers.ts";
import { bytesOf32 } from "../common/bytes.ts";
import type { Arrival } from "./arrival.ts";
import type { Decision } from "./decision.ts";
import { handle } from "./protocol.ts";

const NOW = 1_000_000;
const ip = (text: string) => Ip.parse(text).u32;
const text = (value: string) => new TextEncoder().encode(value);
const requested = (address: string) => [Opt.requestedAddress, bytesOf32(ip(address))] as const;
const serverId = (address: string) => [Opt.serverId, bytesOf32(ip(address))] as const;

const whiskey = "00:00:11:11:00:01", tango = "00:00:22:22:00:01", guest = "00:00:99:00:00:01";
const stranger = "00:00:77:00:00:01";

const net = {
  mini: {
    ...openMini("00:00:99"),
    Range4: { begin: "10.0.0.10", end: "10.0.0.12" },
  },
  far: {
    name: "far",
    subnet4: "10.7.0.0/24",
    Range4: { begin: "10.7.0.10", end: "10.7.0.20" },
    macRange: macsWith("00:00:99"),
  },
};

/** A store with `mini`, `far` and two members of `mini`, a server on 10.0.0.1, and its clock. */
class Server {
  readonly store = new MemoryStore(nexSchema, {
    "/net/mini": JSON.stringify(net.mini),
    "/net/far": JSON.stringify(net.far),
  });
  readonly view = new NexView(this.store.mirror);
  readonly offers = new Offers();
  now = NOW;

  constructor() {
    this.member({ mac: whiskey, name: "whiskey.mini.net", ip4: { address: "10.0.0.10" }, net: "mini" });
    this.member({ mac: tango, name: "tango.mini.net", ip4: { address: "10.0.0.11" }, net: "mini" });
  }

  member(record: MemberRecord & { mac: string }): void {
    const claims = [
      { put: `/member/${record.mac}`, value: JSON.stringify(record) },
      { put: `/member/ip4/${record.ip4?.address}`, value: record.mac },
      ...record.name ? [{ put: `/member/name/${record.name}`, value: record.mac }] : [],
    ];
    this.store.write({ guards: [], ops: claims });
  }

  step(message: ClientMessage, arrival: Partial<Arrival> = {}): Decision {
    const bytes = clientMessage(message);
    const decoded = new Message();
    assert(decoded.read(bytes, 0, bytes.length));
    return handle(this.view, this.offers, {
      message: decoded,
      mac: message.mac,
      unicast: false,
      source: message.ciaddr ?? 0,
      ownFrame: true,
      received: this.now * 1000,
      addresses: [ip("10.0.0.1")],
      attached: (network) => network.name === "mini",
      now: this.now,
      storeAway: false,
      registerNames: true,
      ...arrival,
    });
  }

  /** The reply, after its plan, if any, has been committed. */
  reply(message: ClientMessage, arrival: Partial<Arrival> = {}) {
    const step = this.step(message, arrival);
    if (step.do === "commit") assert(this.store.write(step.plan).committed);
    assert(step.do !== "ignore", `ignored: ${step.do === "ignore" && step.why}`);
    assert(step.reply);
    return { ...step.reply, address: Ip.from4(step.reply.yiaddr).toString(), step: step.do };
  }

  /** A full exchange; the address. */
  lease(mac: string, ...options: readonly (readonly [number, Uint8Array])[]): string {
    const offer = this.reply({ type: Type.discover, mac, options });
    return this.reply({
      type: Type.request,
      mac,
      options: [requested(offer.address), serverId("10.0.0.1"), ...options],
    }).address;
  }

  ignored(message: ClientMessage, arrival: Partial<Arrival> = {}): string {
    const step = this.step(message, arrival);
    assert(step.do === "ignore", `not ignored: ${step.do}`);
    return step.why;
  }

  expires(mac: string): number | undefined {
    return this.view.member(mac)?.expires;
  }
}

Deno.test("DISCOVER is offered the member's address, and nothing is written", () => {
  const server = new Server();
  const offer = server.reply({ type: Type.discover, mac: whiskey });
  assert.equal(offer.type, Type.offer);
  assert.equal(offer.address, "10.0.0.10");
  assert.equal(offer.seconds, 4 * 3600);
  assert.equal(offer.serverId, ip("10.0.0.1"));
  assert.equal(offer.name, "whiskey.mini.net");
  assert.equal(offer.step, "answer");
  assert.equal(server.expires(whiskey), undefined);
});

Deno.test("DISCOVER of an unknown client gets no answer", () => {
  assert.equal(new Server().ignored({ type: Type.discover, mac: stranger }), "unknown-client");
});

Deno.test("DISCOVER in a macRange is offered the lowest free address, or the one it asks for", () => {
  const server = new Server();
  assert.equal(server.reply({ type: Type.discover, mac: guest }).address, "10.0.0.12");
  const wish = new Server();
  wish.store.write({
    guards: [],
    ops: [{
      put: "/net/mini",
      value: JSON.stringify({ ...net.mini, Range4: { begin: "10.0.0.10", end: "10.0.0.20" } }),
    }],
  });
  assert.equal(
    wish.reply({ type: Type.discover, mac: guest, options: [requested("10.0.0.15")] }).address,
    "10.0.0.15",
  );
  assert.equal(
    wish.reply({ type: Type.discover, mac: "00:00:99:00:00:02", options: [requested("10.0.0.10")] }).address,
    "10.0.0.12",
  );
});

Deno.test("DISCOVERs at the same time are offered different addresses, and then again the same", () => {
  const server = new Server();
  server.store.write({
    guards: [],
    ops: [{
      put: "/net/mini",
      value: JSON.stringify({ ...net.mini, Range4: { begin: "10.0.0.10", end: "10.0.0.13" } }),
    }],
  });
  const second = "00:00:99:00:00:02";
  assert.equal(server.reply({ type: Type.discover, mac: guest }).address, "10.0.0.12");
  assert.equal(server.reply({ type: Type.discover, mac: second }).address, "10.0.0.13");
  assert.equal(server.reply({ type: Type.discover, mac: guest }).address, "10.0.0.12");
});

Deno.test("DISCOVER finds the pool exhausted", () => {
  const server = new Server();
  server.lease(guest);
  assert.equal(server.ignored({ type: Type.discover, mac: "00:00:99:00:00:02" }), "exhausted");
});

Deno.test("rapid commit gives the lease at once (RFC 4039)", () => {
  const server = new Server();
  const ack = server.reply({
    type: Type.discover,
    mac: guest,
    options: [[Opt.rapidCommit, new Uint8Array(0)]],
  });
  assert.equal(ack.type, Type.ack);
  assert.equal(ack.rapid, true);
  assert.equal(ack.step, "commit");
  assert.equal(server.expires(guest), NOW + 4 * 3600);
});

Deno.test("REQUEST, SELECTING: the lease is written before the ACK", () => {
  const server = new Server();
  const options = [requested("10.0.0.10"), serverId("10.0.0.1")];
  const ack = server.reply({ type: Type.request, mac: whiskey, options });
  assert.equal(ack.type, Type.ack);
  assert.equal(ack.step, "commit");
  assert.equal(ack.address, "10.0.0.10");
  assert.equal(server.expires(whiskey), NOW + 4 * 3600);
});

Deno.test("REQUEST, SELECTING: another server's is not answered, and frees our offer", () => {
  const server = new Server();
  server.reply({ type: Type.discover, mac: guest });
  assert.equal(server.offers.size, 1);
  const options = [requested("10.0.0.12"), serverId("10.0.0.9")];
  assert.equal(server.ignored({ type: Type.request, mac: guest, options }), "other-server");
  assert.equal(server.offers.size, 0);
});

Deno.test("REQUEST, SELECTING: an address that another client took meanwhile gets a NAK", () => {
  const server = new Server();
  server.reply({ type: Type.discover, mac: guest });
  server.member({ mac: "00:00:99:00:00:02", ip4: { address: "10.0.0.12" }, net: "mini", dynamic: true });
  const nak = server.reply({
    type: Type.request,
    mac: guest,
    options: [requested("10.0.0.12"), serverId("10.0.0.1")],
  });
  assert.equal(nak.type, Type.nak);
  assert.equal(nak.yiaddr, 0);
  assert.equal(nak.text, "10.0.0.12 is not yours here");
});

Deno.test("a REQUEST for a lease that is there is committed all the same, since a RELEASE of it may be under way", () => {
  const server = new Server();
  server.lease(whiskey);
  const request = { type: Type.request, mac: whiskey, options: [requested("10.0.0.10")] };
  assert.equal(server.step(request).do, "commit");
});

Deno.test("REQUEST, INIT-REBOOT: its own address, a wrong one, and that of an unknown client", () => {
  const server = new Server();
  const ack = server.reply({ type: Type.request, mac: whiskey, options: [requested("10.0.0.10")] });
  assert.equal(ack.type, Type.ack);
  for (const wrong of ["10.0.0.11", "10.0.0.200", "192.168.1.7"]) {
    const nak = server.reply({
      type: Type.request,
      mac: whiskey,
      options: [requested(wrong)],
    });
    assert.equal(nak.type, Type.nak, wrong);
  }
  assert.equal(
    server.ignored({ type: Type.request, mac: stranger, options: [requested("10.0.0.10")] }),
    "unknown-client",
  );
});

Deno.test("REQUEST, RENEWING and REBINDING: the lease is longer again", () => {
  for (const unicast of [true, false]) {
    const server = new Server();
    assert.equal(server.lease(guest), "10.0.0.12");
    server.now += 7200;
    const ack = server.reply({ type: Type.request, mac: guest, ciaddr: ip("10.0.0.12") }, { unicast });
    assert.equal(ack.type, Type.ack);
    assert.equal(ack.address, "10.0.0.12");
    assert.equal(server.expires(guest), NOW + 7200 + 4 * 3600);
  }
});

Deno.test("REQUEST, RENEWING through a router: the client's address tells its network", () => {
  const server = new Server();
  const relayed = { giaddr: ip("10.7.0.1"), mac: guest };
  const offer = server.reply({ ...relayed, type: Type.discover });
  assert.equal(offer.address, "10.7.0.10");
  server.reply({ ...relayed, type: Type.request, options: [requested("10.7.0.10")] });
  const ack = server.reply({ type: Type.request, mac: guest, ciaddr: ip("10.7.0.10") }, { unicast: true });
  assert.equal(ack.type, Type.ack);
  assert.equal(ack.address, "10.7.0.10");
});

Deno.test("only a client that renews, rebinds or informs is answered at its ciaddr", () => {
  const stale = ip("192.168.77.7"), own = ip("10.0.0.10");
  const at = (message: Omit<ClientMessage, "mac">, arrival: Partial<Arrival> = {}) => {
    const { address, type, clientAddress } = new Server().reply({ mac: whiskey, ...message }, arrival);
    return [address, type, clientAddress];
  };
  assert.deepEqual(at({ type: Type.discover, ciaddr: stale }), ["10.0.0.10", Type.offer, 0]);
  const selecting = [requested("10.0.0.10"), serverId("10.0.0.1")];
  for (const options of [selecting, [requested("10.0.0.10")]]) {
    for (const ciaddr of [stale, own]) {
      const request = { type: Type.request, ciaddr, options };
      assert.deepEqual(at(request, { source: 0 }), ["10.0.0.10", Type.ack, 0]);
      // A router cannot have brought this: the address is on no network of ours, or not yet the client's.
      assert.deepEqual(at(request, { source: 0, unicast: true }), ["10.0.0.10", Type.ack, 0]);
    }
  }
  const renewal = { type: Type.request, ciaddr: own };
  for (const arrival of [{}, { unicast: true }, { source: 0 }]) {
    assert.deepEqual(at(renewal, arrival), ["10.0.0.10", Type.ack, own]);
  }
  // Some name the address twice. What comes from it, sent to us alone, is a renewal, also through a router.
  const twice = { ...renewal, options: [requested("10.0.0.10")] };
  assert.deepEqual(at(twice, { unicast: true }), ["10.0.0.10", Type.ack, own]);
  assert.deepEqual(at(twice), ["10.0.0.10", Type.ack, 0]);
});

Deno.test("a DISCOVER for rapid commit that has a ciaddr is no renewal: with the store away nothing is said", () => {
  const server = new Server();
  server.lease(guest);
  const options = [[Opt.rapidCommit, new Uint8Array(0)] as const, requested("10.0.0.12")];
  const request = {
    type: Type.request,
    mac: guest,
    ciaddr: ip("10.0.0.12"),
    options: [requested("10.0.0.12")],
  };
  assert.equal(
    server.ignored({ ...request, type: Type.discover, options }, { storeAway: true }),
    "store-away",
  );
  assert.equal(server.ignored(request, { storeAway: true, tried: true }), "store-away");
});

Deno.test("REQUEST without an address is malformed", () => {
  assert.equal(new Server().ignored({ type: Type.request, mac: whiskey }), "malformed");
});

Deno.test("the same address again after the lease ran out, as long as it is free", () => {
  const server = new Server();
  assert.equal(server.lease(guest), "10.0.0.12");
  server.now += 5 * 3600;
  assert.equal(server.reply({ type: Type.discover, mac: guest }).address, "10.0.0.12");
});

Deno.test("a member with a static address, in a network without a range, leases and renews that", () => {
  const server = new Server();
  const { Range4: _, macRange: __, ...fixed } = net.mini;
  server.store.write({ guards: [], ops: [{ put: "/net/mini", value: JSON.stringify(fixed) }] });
  const mac = "00:00:55:00:00:01";
  server.member({ mac, ip4: { address: "10.0.0.200" }, net: "mini" });
  assert.equal(server.reply({ type: Type.discover, mac }).address, "10.0.0.200");
  const request = { type: Type.request, mac, options: [requested("10.0.0.200"), serverId("10.0.0.1")] };
  assert.equal(server.reply(request).type, Type.ack);
  assert.equal(server.expires(mac), NOW + 4 * 3600);
  assert.equal(server.reply({ type: Type.request, mac, options: [requested("10.0.0.201")] }).type, Type.nak);
  const release = server.step({ type: Type.release, mac, ciaddr: ip("10.0.0.200") });
  assert(release.do === "commit" && server.store.write(release.plan).committed);
  assert.equal(server.expires(mac), undefined);
  assert.equal(server.view.member(mac)?.ip4, "10.0.0.200", "the address stays the member's");
});

Deno.test("a server id that is no address is taken for none", () => {
  const server = new Server();
  const options = [requested("10.0.0.10"), [Opt.serverId, new Uint8Array(16)] as const];
  assert.equal(server.reply({ type: Type.request, mac: whiskey, options }).type, Type.ack);
});

Deno.test("RELEASE ends the lease; the address is remembered", () => {
  const server = new Server();
  server.lease(guest);
  const release = {
    type: Type.release,
    mac: guest,
    ciaddr: ip("10.0.0.12"),
    options: [serverId("10.0.0.1")],
  };
  const step = server.step(release, { unicast: true });
  assert(step.do === "commit" && step.reply === undefined);
  assert(server.store.write(step.plan).committed);
  assert.equal(server.view.member(guest), undefined);
  assert.equal(server.view.formerHolderOf("10.0.0.12"), guest);
  assert.equal(server.ignored(release), "not-held");
});

Deno.test("RELEASE frees an address that is held for the lease of a client that is no member any more", () => {
  const server = new Server();
  assert.equal(server.lease(tango), "10.0.0.11");
  const draft = new Draft(server.view);
  deleteMembers(draft, "mini", [tango]);
  for (const step of draft.steps) assert(server.store.write(step).committed);
  assert.equal(server.lease(guest), "10.0.0.12");
  assert.equal(server.ignored({ type: Type.discover, mac: "00:00:99:00:00:02" }), "exhausted");
  assert.equal(
    server.ignored({ type: Type.request, mac: tango, ciaddr: ip("10.0.0.11") }),
    "unknown-client",
    "its lease runs on, and is not renewed",
  );
  const release = { type: Type.release, mac: tango, ciaddr: ip("10.0.0.11") };
  assert.equal(server.ignored({ ...release, mac: stranger }), "not-held");
  assert.equal(server.ignored(release, { source: ip("10.0.0.99") }), "wrong-sender");
  assert.equal(server.ignored(release, { ownFrame: false }), "wrong-sender");
  const step = server.step(release);
  assert(step.do === "commit" && step.reply === undefined && server.store.write(step.plan).committed);
  assert.equal(server.ignored(release), "unknown-client");
  assert.equal(server.lease("00:00:99:00:00:02"), "10.0.0.11");
});

Deno.test("RELEASE of an address that the client does not hold is ignored", () => {
  const server = new Server();
  server.lease(whiskey);
  assert.equal(server.ignored({ type: Type.release, mac: tango, ciaddr: ip("10.0.0.10") }), "not-held");
});

Deno.test("RELEASE and DECLINE count only from the client itself: its address, its hardware address or its relay", () => {
  const release = { type: Type.release, mac: guest, ciaddr: ip("10.0.0.12") };
  const decline = { type: Type.decline, mac: guest, options: [requested("10.0.0.12")] };
  const source = ip("10.0.0.12"), ownFrame = false, giaddr = ip("10.0.0.1"), unicast = true;
  // The interface has an address of another network, or one of no network.
  const other = { ownFrame, attached: () => false, addresses: [ip("10.9.0.1")] };
  const none = { ...other, attached: undefined };
  // It has the server's address of the client's network (dhcp4server), which is of another subnet.
  const routed = { ...other, attached: ({ name }: Network) => name === "mini" };
  const cases: [ClientMessage, Partial<Arrival>, "commit" | string][] = [
    [release, {}, "commit"],
    [release, { source: ip("10.0.0.99") }, "wrong-sender"],
    [release, { ownFrame }, "wrong-sender"],
    [release, { ownFrame, attached: undefined, addresses: [] }, "wrong-sender"],
    [{ ...release, giaddr }, { ownFrame, source: giaddr }, "wrong-sender"],
    [decline, { source: 0 }, "commit"],
    [decline, { source: 0, ownFrame }, "wrong-sender"],
    ...[other, none, routed].flatMap((link): typeof cases => [
      // Through a router, from a network that is not on the link.
      [release, { ...link, unicast }, "commit"],
      [release, { ...link, unicast, source: ip("10.9.0.1") }, "wrong-sender"],
      [{ ...release, giaddr }, { ...link, source: giaddr }, "commit"],
      [{ ...release, giaddr: ip("10.7.0.1") }, link, "not-held"],
      [{ ...decline, ciaddr: source }, { ...link, unicast, source }, "wrong-sender"],
      [{ ...decline, giaddr }, { ...link, source: giaddr }, "commit"],
      [{ ...decline, giaddr: ip("10.7.0.1") }, link, "not-held"],
    ]),
  ];
  cases.forEach(([message, arrival, outcome], i) => {
    const server = new Server();
    server.lease(guest);
    const step = server.step(message, arrival);
    assert.equal(step.do === "ignore" ? step.why : step.do, outcome, `case ${i}`);
  });
});

Deno.test("DECLINE quarantines the address; the client is offered another", () => {
  const server = new Server();
  server.lease(guest);
  const step = server.step({
    type: Type.decline,
    mac: guest,
    options: [requested("10.0.0.12"), serverId("10.0.0.1")],
  });
  assert(step.do === "commit" && step.reply === undefined);
  assert(server.store.write(step.plan).committed);
  assert(server.view.withheld.has("10.0.0.12"));
  assert.equal(
    server.ignored({ type: Type.decline, mac: guest, options: [requested("10.0.0.12")] }),
    "not-held",
  );
});

/** A server whose pool has so many addresses left. */
function serverWithPool(size: number): Server {
  const server = new Server();
  const Range4 = { begin: "10.0.0.100", end: `10.0.0.${99 + size}` };
  server.store.write({
    guards: [],
    ops: [{ put: "/net/mini", value: JSON.stringify({ ...net.mini, Range4 }) }],
  });
  return server;
}

const guestNumber = (n: number) => `00:00:99:00:01:${n.toString(16).padStart(2, "0")}`;

Deno.test("DECLINE is ignored from a client that has declined eight addresses, until some minutes have passed", () => {
  const server = serverWithPool(50);
  const decline = () => {
    const step = server.step({ type: Type.decline, mac: guest, options: [requested(server.lease(guest))] });
    if (step.do === "commit") assert(server.store.write(step.plan).committed);
    return step.do === "ignore" ? step.why : step.do;
  };
  for (let i = 0; i < 8; i++) assert.equal(decline(), "commit");
  assert.equal(decline(), "declines-too-often");
  assert.equal(server.view.withheld.size, 8);
  server.now += 600;
  assert.equal(decline(), "commit");
});

Deno.test("by one circuit of a relay eight addresses are declined at most, with whatever MACs, and others by other circuits", () => {
  const server = serverWithPool(100), giaddr = ip("10.0.0.1");
  const routed = {
    ownFrame: false,
    attached: ({ name }: Network) => name === "mini",
    addresses: [ip("10.9.0.1")],
  };
  const decline = (n: number, ...relay: number[]) => {
    const options = [
      requested(server.lease(guestNumber(n))),
      [Opt.relayAgent, Uint8Array.from(relay)] as const,
    ];
    const step = server.step({ type: Type.decline, mac: guestNumber(n), giaddr, options }, {
      ...routed,
      source: giaddr,
    });
    if (step.do === "commit") assert(server.store.write(step.plan).committed);
    return step.do === "ignore" ? step.why : step.do;
  };
  for (let n = 0; n < 8; n++) assert.equal(decline(n, 1, 1, 65), "commit");
  for (let n = 8; n < 20; n++) assert.equal(decline(n, 1, 1, 65), "declines-too-often");
  assert.equal(server.view.withheld.size, 8);
  assert.equal(decline(20, 1, 1, 66), "commit");
  assert.equal(decline(21, 1, 1, 65, 2, 1, 7), "commit", "another switch behind the relay");
  assert.equal(server.view.withheld.get("10.0.0.100")?.circuit, "10.0.0.1 41");
  server.now += 24 * 3600;
  assert.equal(decline(8, 1, 1, 65), "commit", "they are free again");
});

Deno.test("a quarter of a network's range may be declined at a time, with whatever MACs: one more frees the oldest", () => {
  const server = serverWithPool(100);
  for (let n = 0; n < 60; n++, server.now++) {
    const mac = guestNumber(n), options = [requested(server.lease(mac))];
    const step = server.step({ type: Type.decline, mac, options });
    assert(step.do === "commit" && server.store.write(step.plan).committed);
    assert.equal(server.view.withheld.size, Math.min(n + 1, 25));
  }
  // Those of the last 25 alone, whichever these were.
  const since = server.now - 25 + 24 * 3600;
  assert([...server.view.withheld.values()].every(({ until }) => until >= since));
});

Deno.test("when the pool has run out, the address that was declined longest ago is offered, so that DECLINEs cannot exhaust it", () => {
  const server = serverWithPool(4);
  // As many clients as it likes, each with an address and a DECLINE of it.
  for (let i = 0; i < 20; i++, server.now++) {
    const mac = guestNumber(i), address = server.lease(mac);
    assert.equal(address, `10.0.0.${100 + i % 4}`);
    const step = server.step({ type: Type.decline, mac, options: [requested(address)] });
    assert(step.do === "commit" && server.store.write(step.plan).committed);
  }
  assert.equal(server.view.withheld.size, 4);
  assert.equal(server.lease(guest), "10.0.0.100");
  assert.deepEqual([...server.view.withheld.keys()].sort(), ["10.0.0.101", "10.0.0.102", "10.0.0.103"]);
  // What is held is not reused.
  for (let i = 1; i < 4; i++) server.lease(guestNumber(200 + i));
  assert.equal(server.ignored({ type: Type.discover, mac: guestNumber(99) }), "exhausted");
});

Deno.test("while the pool has other addresses, one in quarantine is refused", () => {
  const server = serverWithPool(4);
  const step = server.step({ type: Type.decline, mac: guest, options: [requested(server.lease(guest))] });
  assert(step.do === "commit" && server.store.write(step.plan).committed);
  assert.equal(
    server.reply({ type: Type.request, mac: guest, options: [requested("10.0.0.100")] }).type,
    Type.nak,
  );
  assert.match(server.lease(guest), /^10\.0\.0\.10[123]$/);
});

Deno.test("DECLINE of a static address leaves it, and says whose it is", () => {
  const server = new Server();
  const desk = "00:00:44:44:00:01";
  server.member({ mac: desk, ip4: { address: "10.0.0.40" }, net: "mini" });
  const step = server.step({ type: Type.decline, mac: desk, options: [requested("10.0.0.40")] });
  assert(step.do === "ignore" && step.why === "static-declined");
  assert.equal(step.network?.name, "mini");
  assert.equal(
    server.ignored({ type: Type.decline, mac: desk, options: [requested("10.0.0.41")] }),
    "not-held",
  );
});

Deno.test("a member without an address, where no range has one for it, is not a pool that is exhausted", () => {
  const server = new Server();
  server.store.write({
    guards: [],
    ops: [{ put: "/net/static", value: JSON.stringify({ name: "static", subnet4: "10.8.0.0/24" }) }],
  });
  server.member({ mac: stranger, net: "static" });
  const attached = () => true;
  for (const options of [[], [[Opt.rapidCommit, new Uint8Array()] as const]]) {
    assert.equal(server.ignored({ type: Type.discover, mac: stranger, options }, { attached }), "no-address");
  }
});

Deno.test("INFORM is told the parameters, no address and no lease", () => {
  const ack = new Server().reply({ type: Type.inform, mac: whiskey, ciaddr: ip("10.0.0.10") }, {
    unicast: true,
  });
  assert.equal(ack.type, Type.ack);
  assert.equal(ack.yiaddr, 0);
  assert.equal(ack.seconds, undefined);
  assert.equal(ack.options?.values[Opt.router]?.toHex(), "0a000001");
});

Deno.test("INFORM of any client is answered from the network that its address is in, on our link or the relay's", () => {
  const server = new Server();
  const inform = (ciaddr: string) => ({ type: Type.inform, mac: stranger, ciaddr: ip(ciaddr) });
  const ack = server.reply(inform("10.0.0.77"));
  assert.deepEqual([ack.type, ack.yiaddr, ack.seconds, ack.name], [Type.ack, 0, undefined, undefined]);
  assert.equal(ack.clientAddress, ip("10.0.0.77"));
  assert.equal(ack.options?.values[Opt.router]?.toHex(), "0a000001");
  assert.equal(server.ignored(inform("10.9.0.77")), "unknown-client");
  // It is on another link; a router may have brought it from there.
  assert.equal(server.ignored(inform("10.7.0.77")), "unknown-client");
  const far = { options: server.reply(inform("10.7.0.77"), { unicast: true }).options };
  assert.equal(far.options?.values[Opt.broadcastAddress]?.toHex(), "0a0700ff");
  const relayed = server.reply({ ...inform("10.7.0.77"), giaddr: ip("10.7.0.1") });
  assert.equal(relayed.options, far.options);
  // Any machine can put a relay's address on a message: no datagram is sent to an address outside of our networks.
  assert.equal(server.ignored({ ...inform("192.0.2.77"), giaddr: ip("10.7.0.1") }), "unknown-client");
  // A member is told of the network that its address is in, and of its name only in its own network.
  assert.equal(server.reply({ ...inform("10.0.0.10"), mac: whiskey }).name, "whiskey.mini.net");
  const abroad = server.reply({ ...inform("10.7.0.77"), mac: whiskey }, { attached: undefined });
  assert.deepEqual([abroad.options, abroad.name], [far.options, undefined]);
});

Deno.test("INFORM without ciaddr is answered at the address that it came from, without that not at all", () => {
  const server = new Server(), inform = { type: Type.inform, mac: stranger };
  assert.equal(server.reply(inform, { source: ip("10.0.0.77") }).clientAddress, ip("10.0.0.77"));
  for (const mac of [stranger, whiskey]) assert.equal(server.ignored({ ...inform, mac }), "malformed");
  // The relay is the source: it alone can reach the client.
  const relayed = { ...inform, giaddr: ip("10.7.0.1") };
  assert.equal(server.reply(relayed, { source: ip("10.7.0.1") }).clientAddress, 0);
});

Deno.test("a relay's giaddr chooses the network, its link selection before that (RFC 3527)", () => {
  const server = new Server();
  const discover = { type: Type.discover, mac: guest, giaddr: ip("10.7.0.1") };
  assert.equal(server.reply(discover).address, "10.7.0.10");
  const link = (address: string) =>
    [Opt.relayAgent, Uint8Array.of(1, 1, 65, 5, 4, ...bytesOf32(ip(address)))] as const;
  assert.equal(server.reply({ ...discover, options: [link("10.0.0.77")] }).address, "10.0.0.12");
  assert.equal(server.ignored({ ...discover, giaddr: ip("10.9.0.1") }), "unknown-client");
  assert.equal(server.ignored({ ...discover, mac: whiskey }), "unknown-client");
});

Deno.test("a relay's server-id override is used and accepted (RFC 5107)", () => {
  const server = new Server();
  const relay = [Opt.relayAgent, Uint8Array.of(11, 4, ...bytesOf32(ip("10.0.0.5")))] as const;
  const giaddr = ip("10.0.0.5");
  assert.equal(
    server.reply({ type: Type.discover, mac: whiskey, giaddr, options: [relay] }).serverId,
    giaddr,
  );
  const options = [requested("10.0.0.10"), serverId("10.0.0.5"), relay];
  assert.equal(server.reply({ type: Type.request, mac: whiskey, giaddr, options }).type, Type.ack);
  const direct = [requested("10.0.0.10"), serverId("10.0.0.1"), relay];
  assert.equal(server.ignored({ type: Type.request, mac: whiskey, giaddr, options: direct }), "other-server");
});

Deno.test("the server's id is the network's, else the interface's address in it, else its first", () => {
  const server = new Server();
  const put = (record: object) =>
    server.store.write({ guards: [], ops: [{ put: "/net/mini", value: JSON.stringify(record) }] });
  const { dhcp4server: _, ...without } = net.mini;
  put(without);
  const discover = { type: Type.discover, mac: whiskey };
  const id = (...addresses: string[]) => server.reply(discover, { addresses: addresses.map(ip) }).serverId;
  assert.equal(id("192.168.0.1", "10.0.0.3"), ip("10.0.0.3"));
  assert.equal(id("192.168.0.1"), ip("192.168.0.1"));
  assert.equal(server.ignored(discover, { addresses: [] }), "no-server-id");
});

Deno.test("a hostname that is no label is registered as one, which offer and ACK tell; a wrong clock takes no name over", () => {
  const server = new Server();
  const value = JSON.stringify({ ...net.mini, Range4: { begin: "10.0.0.10", end: "10.0.0.20" } });
  assert(server.store.write({ guards: [], ops: [{ put: "/net/mini", value }] }).committed);
  const options = [[Opt.hostname, text("ppj's iPad")]] as const;
  assert.equal(server.reply({ type: Type.discover, mac: guest, options }).name, "ppj-s-ipad.mini.net");
  server.lease(guest, ...options);
  assert.equal(server.view.member(guest)?.name, "ppj-s-ipad.mini.net");
  const other = "00:00:99:00:00:02", discover = { type: Type.discover, mac: other, options };
  assert.equal(server.reply(discover).name, undefined);
  server.now += 4 * 3600 - 60;
  for (const clock of ["apart", "wrong", "unknown"] as const) {
    const step = server.step(discover, { clock, latest: server.now + 5000 });
    assert(step.do === "ignore" || step.do === "answer" && step.reply.name === undefined, clock);
  }
  assert.equal(server.reply(discover).name, "ppj-s-ipad.mini.net");
  const step = server.step({
    type: Type.request,
    mac: other,
    options: [requested("10.0.0.13"), ...options],
  });
  assert(step.do === "commit" && step.named === "taken-over", JSON.stringify(step));
});

Deno.test("a hostname is registered with the lease, unless a member holds the name", () => {
  const server = new Server();
  server.lease(guest, [Opt.hostname, text("Laptop")]);
  assert.equal(server.view.membersNamed("laptop.mini.net")[0]?.mac, guest);
  const taken = new Server();
  taken.lease(guest, [Opt.hostname, text("whiskey")]);
  assert.equal(taken.view.membersNamed("whiskey.mini.net")[0]?.mac, whiskey);
  assert.equal(taken.view.member(guest)?.name, undefined);
});

Deno.test("OFFER and ACK tell the name that the lease has, also when the client changes it", () => {
  const server = new Server();
  const named = (type: number, name: string, arrival: Partial<Arrival> = {}) =>
    server.reply({
      type,
      mac: guest,
      ciaddr: type === Type.inform ? ip("10.0.0.12") : 0,
      options: [[Opt.hostname, text(name)], ...type === Type.request ? [requested("10.0.0.12")] : []],
    }, arrival).name;
  assert.equal(named(Type.request, "laptop"), "laptop.mini.net");
  assert.equal(named(Type.discover, "desktop"), "desktop.mini.net");
  assert.equal(server.view.member(guest)?.name, "laptop.mini.net");
  assert.equal(named(Type.inform, "desktop"), "laptop.mini.net", "INFORM registers nothing");
  const renewed = server.reply({
    type: Type.request,
    mac: guest,
    ciaddr: ip("10.0.0.12"),
    options: [[Opt.hostname, text("desktop")]],
  }, { storeAway: true });
  assert.equal(renewed.name, "laptop.mini.net", "nothing is written");
  assert.equal(named(Type.request, "desktop", { registerNames: false }), "laptop.mini.net");
  assert.equal(named(Type.request, "desktop"), "desktop.mini.net");
  assert.equal(named(Type.request, "whiskey"), "desktop.mini.net", "it is a member's");
  assert.equal(server.view.member(guest)?.name, "desktop.mini.net");
});

Deno.test("with the store away, a running lease is renewed with the time left, and nothing else is said", () => {
  const server = new Server();
  server.lease(guest);
  server.now += 3600;
  const away = { storeAway: true };
  const renewal = { type: Type.request, mac: guest, ciaddr: ip("10.0.0.12") };
  const ack = server.reply(renewal, away);
  assert.equal(ack.step, "answer");
  assert.equal(ack.seconds, 3 * 3600);
  assert.equal(server.ignored({ type: Type.discover, mac: guest }, away), "store-away");
  assert.equal(server.ignored({ ...renewal, ciaddr: ip("10.0.0.13") }, away), "store-away");
  assert.equal(server.ignored({ type: Type.discover, mac: whiskey }, away), "store-away");
  server.now += 3 * 3600;
  assert.equal(server.ignored(renewal, away), "store-away");
});

Deno.test("what is no client's message is malformed", () => {
  const server = new Server();
  for (const type of [0, Type.offer, Type.ack, Type.nak, 9, 255]) {
    assert.equal(server.ignored({ type, mac: whiskey }), "malformed");
  }
});

Deno.test("with a mirror that is behind, a client in INIT-REBOOT is confirmed by the store alone, one that renews by the mirror", () => {
  const server = new Server();
  const lease = { type: Type.request, mac: guest, options: [requested("10.0.0.12")] };
  server.reply(lease);
  const lags = { storeAway: true };
  assert.equal(server.step({ type: Type.request, mac: guest, ciaddr: ip("10.0.0.12") }, lags).do, "answer");
  // It may have released it through another replica, and another client may have it by now.
  assert.equal(server.step(lease, lags).do, "commit");
  assert.equal(server.ignored(lease, { ...lags, tried: true }), "store-away");
});

Deno.test("with a wrong clock a client keeps the address that it has, and no client gets a new one", () => {
  const server = new Server(), wrong = { clock: "wrong" as const };
  assert.equal(server.ignored({ type: Type.discover, mac: guest }, wrong), "wrong-clock");
  const request = { type: Type.request, mac: guest, options: [requested("10.0.0.12")] };
  assert.equal(server.ignored(request, wrong), "wrong-clock");
  assert.equal(server.lease(guest), "10.0.0.12");
  const renewal = { type: Type.request, mac: guest, ciaddr: ip("10.0.0.12") };
  assert.equal(server.reply(renewal, wrong).address, "10.0.0.12");
  assert.equal(server.ignored({ ...renewal, ciaddr: ip("10.0.0.13") }, wrong), "wrong-clock");
  assert.equal(server.reply({ type: Type.discover, mac: whiskey }, wrong).address, "10.0.0.10");
});

Deno.test("a lease is stored to end by the latest clock that is known, and the client is told its usual time", () => {
  const server = new Server(), behind = { latest: NOW + 5 * 3600, clock: "apart" as const };
  const request = { type: Type.request, mac: whiskey, options: [requested("10.0.0.10")] };
  assert.equal(server.reply(request, behind).seconds, 4 * 3600);
  assert.equal(server.expires(whiskey), NOW + 9 * 3600);
  // While clocks differ no end is moved forward, and a client is told no more than its usual time.
  const renewal = { type: Type.request, mac: whiskey, ciaddr: ip("10.0.0.10") };
  const apart = server.reply(renewal, { clock: "apart" });
  assert.deepEqual(
    [apart.seconds, apart.step],
    [4 * 3600, "commit"],
    "it is written again, with the end that it had",
  );
  assert.equal(server.reply(renewal, { storeAway: true }).seconds, 4 * 3600);
  assert.equal(server.expires(whiskey), NOW + 9 * 3600);
  assert.equal(server.reply(renewal).seconds, 4 * 3600);
  assert.equal(server.expires(whiskey), NOW + 4 * 3600, "clocks agree again");
});

Deno.test("an address is quarantined by the latest clock that is known", () => {
  const server = new Server();
  const address = server.lease(guest);
  const step = server.step({ type: Type.decline, mac: guest, options: [requested(address)] }, {
    latest: NOW + 5 * 3600,
  });
  assert(step.do === "commit" && server.store.write(step.plan).committed);
  assert.equal(server.view.withheld.get(address)?.until, NOW + 29 * 3600);
});

Deno.test("with a clock that was not compared yet clients keep what they have, and no client gets a new address", () => {
  const server = new Server(), unknown = { clock: "unknown" as const };
  assert.equal(server.ignored({ type: Type.discover, mac: guest }, unknown), "wrong-clock");
  assert.equal(server.lease(guest), "10.0.0.12");
  const renewal = { type: Type.request, mac: guest, ciaddr: ip("10.0.0.12") };
  assert.equal(server.reply(renewal, unknown).seconds, 4 * 3600);
  // An end that another process has stored, whose clock may be right, is not moved forward.
  const behind = { ...unknown, now: NOW - 5 * 3600 };
  assert.equal(server.reply(renewal, behind).seconds, 4 * 3600);
  assert.equal(server.expires(guest), NOW + 4 * 3600);
  assert.equal(server.reply({ type: Type.discover, mac: whiskey }, unknown).address, "10.0.0.10");
  const request = { type: Type.request, mac: whiskey, options: [requested("10.0.0.10")] };
  assert.equal(server.reply(request, unknown).address, "10.0.0.10");
});

Deno.test("while clocks disagree only addresses are given that no other client has had", () => {
  const server = new Server(), far = { attached: (network: Network) => network.name === "far" };
  const apart = { ...far, clock: "apart" as const };
  const request = (mac: string, address: string) => ({
    type: Type.request,
    mac,
    options: [requested(address)],
  });
  assert.equal(server.reply(request(guest, "10.7.0.10"), far).address, "10.7.0.10");
  const lease = server.view.member(guest);
  assert(lease);
  const end = planLeaseEnd(server.view, lease, NOW);
  assert(end && server.store.write(end).committed);
  const other = "00:00:99:00:00:02";
  assert.equal(server.reply({ type: Type.discover, mac: other }, far).address, "10.7.0.10");
  assert.equal(server.reply({ type: Type.discover, mac: other }, apart).address, "10.7.0.11");
  assert.equal(server.ignored(request(other, "10.7.0.10"), apart), "wrong-clock");
  assert.equal(server.reply(request(other, "10.7.0.11"), apart).address, "10.7.0.11");
  assert.equal(server.reply(request(guest, "10.7.0.10"), apart).address, "10.7.0.10", "its own former one");
});
