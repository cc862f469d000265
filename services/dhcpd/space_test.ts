import assert from "node:assert/strict";
import { bytesOf32 } from "../common/bytes.ts";
import { Ip } from "../common/ip.ts";
import type { LeaseSpace } from "../nex/lease_space.ts";
import { lab as nexLab } from "../nex/testing.ts";
import { joinLeases } from "../overlay_names/join_leases.ts";
import type { EndpointLeasePlan } from "../overlay_names/lease_plans.ts";
import { OverlayLeases } from "../overlay_names/lease_space.ts";
import { idOf, namedLab } from "../overlay_names/testing.ts";
import { NexView } from "../nex/view.ts";
import { clientMessage } from "./client_message.ts";
import type { Decision } from "./decision.ts";
import { Message } from "./message.ts";
import { Opt, Type } from "./numbers.ts";
import { Offers } from "./offers.ts";
import { handle } from "./protocol.ts";
import type { Arrival } from "./arrival.ts";

/** In seconds since the epoch. */
const NOW = 1_790_000_000;
const ip = (text: string) => Ip.parse(text).u32;

const settings = {
  name: "blue",
  subnet4: "10.0.0.0/24",
  domain: "blue.example",
  gateways: ["10.0.0.1"],
  nameservers: ["10.0.0.1"],
  dhcp4server: "10.0.0.1",
  Range4: { begin: "10.0.0.10", end: "10.0.0.13" },
  macRange: { begin: "52:54:00:00:00:00", end: "52:54:00:00:00:ff" },
  lease_duration: 3600,
};
const mac = (number: number) => `52:54:00:00:00:${number.toString(16).padStart(2, "0")}`;
const listed = "00:00:11:11:00:01";

/** An address space with the network above, in which `listed` is called db and has 10.0.0.13. */
interface Store {
  space(now: number): LeaseSpace;
  /** False: it conflicts. */
  commit(plan: EndpointLeasePlan): boolean;
}

const stores: Record<string, () => Store> = {
  "the space of Nex's networks": () => {
    const it = nexLab({
      "/net/blue": settings,
      [`/member/${listed}`]: {
        mac: listed,
        name: "db.blue.example",
        net: "blue",
        ip4: { address: "10.0.0.13" },
      },
      "/member/ip4/10.0.0.13": listed,
      "/member/name/db.blue.example": listed,
    });
    const view = new NexView(it.store.mirror);
    return { space: () => view, commit: (plan) => it.store.write(plan).committed };
  },
  "the space of an overlay network": () => {
    const it = namedLab(), { view } = it, id = idOf(1);
    it.apply({ network: settings, overlay: {} });
    it.members("blue", (draft) =>
      draft.add([{ list: [{ mac: listed, name: "db", ip4: "10.0.0.13" }], force: false }]));
    let made = 0;
    const host = {
      hostname: "h1",
      ip: Ip.parse("192.0.2.1"),
      apiHostname: "h1",
      newId: () => `e${++made}`,
      timestamp: () => `${made}`,
    };
    return {
      space: (now) => {
        const record = view.network(id), { settings } = view.space(id);
        assert(record && settings);
        return new OverlayLeases(view, record, settings, host, now);
      },
      commit: (plan) => {
        if (!plan.claims) return it.store.write(plan).committed;
        const joined = joinLeases(view, id, [plan], NOW * 1000);
        return joined.plan !== undefined && it.store.write(joined.plan).committed;
      },
    };
  },
};

/** A server of one space. */
class Server {
  readonly offers = new Offers();
  now = NOW;

  constructor(private readonly store: Store) {}

  handle(client: string, type: number, more: RequestOptions = {}): Decision {
    const { requested, name, ciaddr, rapid, ...arrival } = more;
    const bytes = clientMessage({
      type,
      mac: client,
      ...ciaddr === undefined ? {} : { ciaddr: ip(ciaddr) },
      options: [
        ...requested === undefined ? [] : [[Opt.requestedAddress, bytesOf32(ip(requested))] as const],
        ...name === undefined ? [] : [[Opt.hostname, new TextEncoder().encode(name)] as const],
        ...rapid ? [[Opt.rapidCommit, new Uint8Array(0)] as const] : [],
      ],
    });
    const message = new Message();
    assert(message.read(bytes, 0, bytes.length));
    return handle(this.store.space(this.now), this.offers, {
      message,
      mac: client,
      unicast: ciaddr !== undefined,
      source: ciaddr === undefined ? 0 : ip(ciaddr),
      ownFrame: true,
      received: this.now * 1000,
      addresses: [ip("10.0.0.1")],
      attached: () => true,
      now: this.now,
      storeAway: false,
      registerNames: true,
      ...arrival,
    });
  }

  /** What becomes of a message, once what it plans is committed: "ack 10.0.0.10 name", "nak", or why it is ignored. */
  say(client: string, type: number, more: RequestOptions = {}): string {
    const decision = this.handle(client, type, more);
    if (decision.do === "ignore") return decision.why;
    if (decision.do === "commit") {
      if (!this.store.commit(decision.plan)) return "conflict";
      this.offers.drop(decision.client);
    }
    const { reply } = decision;
    if (!reply) return "done";
    const kind = reply.type === Type.offer ? "offer" : reply.type === Type.ack ? "ack" : "nak";
    return [kind, ...reply.yiaddr ? [`${Ip.from4(reply.yiaddr)}`] : [], ...reply.name ? [reply.name] : []]
      .join(" ");
  }

  /** A lease of the address that is offered. */
  lease(client: string, name?: string): string {
    const more = name === undefined ? {} : { name },
      [, address] = this.say(client, Type.discover, more).split(" ");
    return address === undefined ? "none" : this.say(client, Type.request, { ...more, requested: address });
  }
}

interface RequestOptions extends Partial<Omit<Arrival, "message">> {
  readonly requested?: string;
  readonly name?: string;
  readonly ciaddr?: string;
  readonly rapid?: boolean;
}

const { discover, request, release, decline, inform } = Type;

for (const [title, open] of Object.entries(stores)) {
  const test = (what: string, body: (it: Server, store: Store) => void) =>
    Deno.test(`${title}: ${what}`, () => {
      const store = open();
      body(new Server(store), store);
    });

  test("a guest is offered the lowest free address, has it once it asks for it, and is offered it again", (it) => {
    assert.equal(it.say(mac(1), discover), "offer 10.0.0.10");
    assert.equal(it.say(mac(2), discover), "offer 10.0.0.11");
    assert.equal(it.say(mac(1), request, { requested: "10.0.0.10" }), "ack 10.0.0.10");
    assert.equal(it.lease(mac(2)), "ack 10.0.0.11");
    assert.equal(it.say(mac(1), discover, { requested: "10.0.0.12" }), "offer 10.0.0.10");
    assert.equal(it.say(mac(3), discover, { rapid: true }), "ack 10.0.0.12");
    assert.equal(it.say(mac(4), discover), "exhausted");
  });

  test("a lease is as long as the network says, also renewed, and is not shortened", (it) => {
    it.lease(mac(1));
    it.now += 1800;
    const renewed = it.handle(mac(1), request, { ciaddr: "10.0.0.10" });
    assert(renewed.do === "commit" && renewed.reply);
    assert.equal(renewed.reply.seconds, 3600);
    assert.equal(renewed.reply.clientAddress, ip("10.0.0.10"));
    assert.equal(it.say(mac(1), request, { ciaddr: "10.0.0.10" }), "ack 10.0.0.10");
  });

  test("a listed machine has its address and name, whatever it asks for, and is no guest", (it) => {
    assert.equal(
      it.say(listed, discover, { requested: "10.0.0.10", name: "x" }),
      "offer 10.0.0.13 db.blue.example",
    );
    assert.equal(it.lease(listed, "x"), "ack 10.0.0.13 db.blue.example");
    assert.equal(it.say(listed, request, { requested: "10.0.0.10" }), "nak");
    assert.equal(it.say(listed, release, { ciaddr: "10.0.0.13" }), "done");
    assert.equal(it.lease(listed), "ack 10.0.0.13 db.blue.example");
    assert.equal(it.say(listed, inform, { ciaddr: "10.0.0.13" }), "ack db.blue.example");
  });

  test("a stranger, an address of another client and one outside the range are refused", (it) => {
    assert.equal(it.say("00:00:77:00:00:01", discover), "unknown-client");
    it.lease(mac(1));
    for (const requested of ["10.0.0.10", "10.0.0.13", "10.0.0.1", "10.0.0.200", "192.0.2.1"]) {
      assert.equal(it.say(mac(2), request, { requested }), "nak", requested);
    }
  });

  test("a client's own name is made a label; another client does not get it, nor one that is listed or the server's", (it) => {
    assert.equal(it.lease(mac(1), "My Host"), "ack 10.0.0.10 my-host.blue.example");
    assert.equal(it.lease(mac(2), "my-host"), "ack 10.0.0.11");
    assert.equal(it.lease(mac(2), "db"), "ack 10.0.0.11");
    assert.equal(it.lease(mac(2), "ns"), "ack 10.0.0.11");
    assert.equal(it.lease(mac(2), "vm.blue.example"), "ack 10.0.0.11 vm.blue.example");
    assert.equal(it.lease(mac(2)), "ack 10.0.0.11 vm.blue.example");
    // A client that has not renewed for most of its lease is taken to be gone.
    it.now += 3500;
    assert.equal(it.lease(mac(3), "my-host"), "ack 10.0.0.12 my-host.blue.example");
    assert.equal(it.lease(mac(1)), "ack 10.0.0.10");
  });

  test("an address that is given back is free, and its client's again as long as no other client has it", (it) => {
    it.lease(mac(1), "vm"), it.lease(mac(2));
    assert.equal(it.say(mac(2), release, { ciaddr: "10.0.0.10" }), "not-held");
    assert.equal(it.say(mac(2), release, { ciaddr: "10.0.0.11", source: ip("10.0.0.9") }), "wrong-sender");
    assert.equal(it.say(mac(1), release, { ciaddr: "10.0.0.10" }), "done");
    assert.equal(it.say(mac(2), release, { ciaddr: "10.0.0.11" }), "done");
    assert.equal(it.say(mac(2), discover), "offer 10.0.0.11");
    assert.equal(it.lease(mac(3), "vm"), "ack 10.0.0.10 vm.blue.example");
    assert.equal(it.lease(mac(1)), "ack 10.0.0.12");
    assert.equal(it.lease(mac(2)), "ack 10.0.0.11");
  });

  test("a declined address is given to no client while there are others, and the oldest of them when there are none", (it) => {
    it.lease(mac(1));
    assert.equal(it.say(mac(1), decline, { requested: "10.0.0.11" }), "not-held");
    assert.equal(it.say(mac(1), decline, { requested: "10.0.0.10", ownFrame: false }), "wrong-sender");
    assert.equal(it.say(mac(1), decline, { requested: "10.0.0.10" }), "done");
    assert.equal(it.lease(mac(1)), "ack 10.0.0.11");
    assert.equal(it.lease(mac(2)), "ack 10.0.0.12");
    assert.equal(it.say(mac(3), request, { requested: "10.0.0.10" }), "ack 10.0.0.10");
  });

  test("with etcd away a running lease is renewed, for its time, and no client gets a new one", (it) => {
    it.lease(mac(1), "vm");
    const away = { storeAway: true };
    assert.equal(it.say(mac(2), discover, away), "store-away");
    assert.equal(it.say(mac(1), request, { ciaddr: "10.0.0.11", ...away }), "store-away");
    it.now += 600;
    const renewed = it.handle(mac(1), request, { ciaddr: "10.0.0.10", ...away });
    assert(renewed.do === "answer");
    assert.deepEqual([renewed.reply.seconds, renewed.reply.name], [3000, "vm.blue.example"]);
    it.now += 3001;
    assert.equal(it.say(mac(1), request, { ciaddr: "10.0.0.10", ...away }), "store-away");
  });

  test(
    "of two plans for one address only the first is committed, and of a client that has renewed no end",
    (it, store) => {
      const [one, two] = [1, 2].map((n) => it.handle(mac(n), request, { requested: "10.0.0.10" }));
      assert(one?.do === "commit" && two?.do === "commit");
      assert.deepEqual([store.commit(one.plan), store.commit(two.plan)], [true, false]);
      const ends = it.handle(mac(1), release, { ciaddr: "10.0.0.10" });
      it.now += 10;
      assert.equal(it.say(mac(1), request, { ciaddr: "10.0.0.10" }), "ack 10.0.0.10");
      assert(ends.do === "commit");
      assert.equal(store.commit(ends.plan), false);
    },
  );

  test("a thousand clients that only ask leave addresses for the others, and offers end after 30 s", (it) => {
    for (let i = 0; i < 1000; i++) {
      const guest = `52:54:00:00:00:${(i % 200 + 16).toString(16)}`;
      assert.match(it.say(guest, discover), /^offer 10\.0\.0\.1[0-2]$/);
    }
    assert.match(it.lease(mac(1)), /^ack 10\.0\.0\.1[0-2]$/);
    assert.ok(it.offers.size <= 3, `${it.offers.size} offers`);
    it.now += 31;
    assert.match(it.lease(mac(2)), /^ack /);
  });
}
