/** Two replicas of dhcpd and more clients than addresses: no client is given an address that another holds. */
import assert from "node:assert/strict";
import { Ip } from "../../services/common/ip.ts";
import { createLog } from "../../services/common/log.ts";
import { type ClientMessage, clientMessage } from "../../services/dhcpd/client_message.ts";
import { Exchanges } from "../../services/dhcpd/exchanges.ts";
import { oneSpace } from "../../services/dhcpd/spaces.ts";
import { Message } from "../../services/dhcpd/message.ts";
import { Opt, Type } from "../../services/dhcpd/numbers.ts";
import { bytesOf32 } from "../../services/common/bytes.ts";
import type { Reply } from "../../services/dhcpd/reply.ts";
import { macsWith } from "../../services/nex/testing.ts";
import { NexView } from "../../services/nex/view.ts";
import { openNexStore } from "../../services/store/nex_store.ts";
import { labEtcd } from "../lab/etcd.ts";

const SERVER = Ip.parse("10.0.0.1").u32;
const POOL = 150, CLIENTS = 200;
/** Each client goes on for this many rounds, and for up to the second many until enough was seen: a busy machine is slower. */
const ROUNDS = 40, MOST_ROUNDS = 400;

const network = {
  name: "small",
  subnet4: "10.0.0.0/16",
  dhcp4server: "10.0.0.1",
  Range4: { begin: "10.0.1.0", end: `10.0.1.${POOL - 1}` },
  macRange: macsWith("00:00:99"),
};

/** Replicas without sockets: `deliver` is called with the reply that one of them sends, and its transaction id. */
async function replicas(endpoint: string, count: number, deliver: (xid: number, reply: Reply) => void) {
  const log = createLog("dhcpd", { level: "error", format: "text" });
  return await Promise.all(Array.from({ length: count }, async () => {
    const settings = {
      endpoints: [endpoint],
      configured: true,
      tls: undefined,
      dataDir: undefined,
      alsoListen: [],
    };
    const store = openNexStore(settings, log);
    await store.mirror.ready();
    const send = (_: undefined, message: Message, reply: Reply) => deliver(message.xid, reply);
    const exchanges = new Exchanges<undefined>({
      store,
      spaces: oneSpace(new NexView(store.mirror)),
      log,
      send,
      flush() {},
    });
    return { store, exchanges };
  }));
}

Deno.test("two replicas and more clients than addresses, coming and going: no client is told an address that another holds", async () => {
  await using etcd = await labEtcd();
  const waiting = new Map<number, (reply: Reply) => void>(), givenUp = new Map<number, number>();
  /** How long a reply is waited for, in ms: longer where a busy machine's came when it had been given up. */
  let usual = 300;
  const both = await replicas(etcd.endpoint, 2, (xid, reply) => {
    const taken = waiting.get(xid), sent = givenUp.get(xid);
    if (taken) taken(reply);
    else if (sent !== undefined) usual = Math.max(usual, Math.min(2_000, 2 * (performance.now() - sent)));
  });
  const [first] = both;
  assert(first);
  await first.store.committer.commit({
    guards: [],
    ops: [{ put: "/net/small", value: JSON.stringify(network) }],
  });
  for (const { store } of both) {
    while (!store.mirror.get("/net/small")) await new Promise((r) => setTimeout(r, 5));
  }

  /** Sends to one replica, or to both as a broadcast does; the first reply, or undefined after a while. */
  let xid = 0;
  const exchange = async (given: ClientMessage, patience = usual): Promise<Reply | undefined> => {
    const sent = performance.now(), { promise, resolve } = Promise.withResolvers<Reply | undefined>();
    const message = { ...given, xid: ++xid };
    waiting.set(message.xid, resolve);
    const timer = setTimeout(() => resolve(undefined), patience);
    const bytes = clientMessage(message), decoded = new Message();
    const one = Math.floor(Math.random() * 3);
    both.forEach(({ exchanges }, i) => {
      if (i !== one && one !== 2) return;
      assert(decoded.read(bytes, 0, bytes.length));
      exchanges.take(undefined, {
        message: decoded,
        mac: message.mac,
        unicast: false,
        source: message.ciaddr ?? 0,
        ownFrame: true,
        received: Date.now(),
        addresses: [SERVER],
        attached: undefined,
        now: Math.ceil(Date.now() / 1000),
        registerNames: true,
      });
    });
    const reply = await promise;
    clearTimeout(timer);
    waiting.delete(message.xid);
    if (!reply && patience >= 300) givenUp.set(message.xid, sent);
    return reply;
  };

  const holder = new Map<number, string>();
  let acks = 0, naks = 0;
  const conflicts = () => both.reduce((sum, { exchanges }) => sum + exchanges.counts.conflicts, 0);
  const isEnough = () => acks > 1000 && naks > 5 && conflicts() > 50;
  const client = async (mac: string) => {
    const server = [Opt.serverId, bytesOf32(SERVER)] as const;
    let mine = 0;
    for (let round = 0; round < (isEnough() ? ROUNDS : MOST_ROUNDS); round++) {
      if (!mine) {
        const offer = await exchange({ type: Type.discover, mac });
        if (!offer) continue;
        const options = [[Opt.requestedAddress, bytesOf32(offer.yiaddr)], server] as const;
        const answer = await exchange({ type: Type.request, mac, options });
        if (answer?.type === Type.nak) naks++;
        if (answer?.type !== Type.ack) continue;
        mine = answer.yiaddr;
      } else {
        const answer = await exchange({ type: Type.request, mac, ciaddr: mine });
        if (answer?.type !== Type.ack) continue;
        assert.equal(answer.yiaddr, mine);
      }
      acks++;
      assert.equal(holder.get(mine) ?? mac, mac, `${Ip.from4(mine)} was given to ${mac} too`);
      holder.set(mine, mac);
      if (Math.random() < 0.5) continue;
      holder.delete(mine);
      const gone = { type: Math.random() < 0.95 ? Type.release : Type.decline, mac };
      const options = gone.type === Type.release
        ? { ciaddr: mine, options: [server] }
        : { options: [[Opt.requestedAddress, bytesOf32(mine)], server] as const };
      await exchange({ ...gone, ...options }, 5);
      mine = 0;
    }
  };
  await Promise.all(
    Array.from({ length: CLIENTS }, (_, i) => client(`00:00:99:00:00:${i.toString(16).padStart(2, "0")}`)),
  );
  for (const { exchanges, store } of both) {
    await exchanges.close();
    store.close();
  }
  assert(isEnough(), `${acks} ACKs, ${naks} NAKs, ${conflicts()} conflicts`);
});
