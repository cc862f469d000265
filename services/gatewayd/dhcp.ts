/**
 * Serves DHCP at the ports of overlay networks: it reads what clients send, asks the agent, and sends the answer out
 * of the port that the message came in by.
 */
import { Epoll, EventFd } from "../../ffi/epoll.ts";
import { interfaceMac, interfaceName, isRunning } from "../../ffi/interface_index.ts";
import { libc } from "../../ffi/libc.ts";
import { FrameBatch } from "../../ffi/packet.ts";
import { readable } from "../../ffi/readable.ts";
import { macFromBytes } from "../common/mac.ts";
import { MESSAGES, PortLimits } from "../common/port_limits.ts";
import { messageOf } from "../common/refusal.ts";
import { isTracing, type Span, traceparentOf } from "../common/tracing.ts";
import { Frame, PAYLOAD_AT, writeFrame } from "../dhcpd/frame.ts";
import { Message } from "../dhcpd/message.ts";
import { requestedName } from "../dhcpd/names.ts";
import { BOOTREQUEST, CHADDR_AT, CLIENT_PORT, ETHERNET, Opt, SERVER_PORT } from "../dhcpd/numbers.ts";
import { type EncodedOptions, networkOptions } from "../dhcpd/options.ts";
import { destination, type Reply, ReplyWriter } from "../dhcpd/reply.ts";
import { readNetwork } from "../nex/network.ts";
import { BRIDGE, VXLAN } from "../overlay/state.ts";
import type { AgentReply, DhcpQuery } from "../overlay_names/gateway_messages.ts";
import type { DhcpAnswerer } from "./networks.ts";
import { DhcpTraces } from "./traces.ts";

const SLOTS = 64, SIZE = 2048;
/** A message that waited in the socket for longer, in ms, is dropped: its client has asked again. */
const MOST_WAITED = 2000;
/** The most questions whose answer is awaited, and for how long, in ms: dhcpd sends none that is older. */
const MOST_PENDING = 4096, PATIENCE = 12_000;
const STOP = 0xffffffff;
/**
 * Pauses in ms before a reply is tried again where the port is not ready to send: a client may ask as soon as its link is up, and
 * the kernel makes the port's own end ready a moment later, on a busy host seconds later.
 */
const PAUSES = [10, 20, 40, 80, 160, 320, 640, 1280];

/** A network that is served. */
interface Served {
  readonly id: string;
  readonly token: number;
  fd: number;
  gateway: number;
  /** The settings as text, from which the options are made with the first answer: a thousand networks may be at rest. */
  settings: string;
  options: EncodedOptions | undefined;
}

/** A question whose answer is awaited. */
interface PendingQuery {
  readonly network: string;
  readonly message: Message;
  readonly port: number;
  readonly at: number;
  /** The question and its span, where spans are made. */
  readonly traced: { readonly question: DhcpQuery; readonly span: Span } | undefined;
}

/** A port of a network's bridge. */
interface Port {
  readonly index: number;
  readonly name: string;
}

export type DhcpCounts = Record<
  | "asked"
  | "answered"
  | "malformed"
  | "tunnel"
  | "relayed"
  | "not-for-us"
  | "wrong-sender"
  | "late"
  | "limited"
  | "unsent",
  number
>;

/** All networks, served by one loop. */
export class DhcpPorts implements DhcpAnswerer {
  readonly counts: DhcpCounts = {
    ...{ asked: 0, answered: 0, malformed: 0, tunnel: 0, relayed: 0, "not-for-us": 0, "wrong-sender": 0 },
    ...{ late: 0, limited: 0, unsent: 0 },
  };
  readonly #sendQuery: (question: DhcpQuery) => boolean;
  readonly #onTrouble: (what: string) => void;
  readonly #epoll = new Epoll();
  readonly #stop = new EventFd();
  readonly #networks = new Map<string, Served>();
  readonly #byToken = new Map<number, Served>();
  readonly #pending = new Map<number, PendingQuery>();
  readonly #limits = new PortLimits();
  readonly #traces = isTracing ? new DhcpTraces() : undefined;
  readonly #batch = new FrameBatch(SLOTS, SIZE);
  readonly #out = new FrameBatch(1, SIZE);
  readonly #frame = new Frame();
  readonly #message = new Message();
  readonly #writer = new ReplyWriter();
  readonly #running: Promise<void>;
  /** The timers of replies whose port is not ready. */
  readonly #timers = new Set<ReturnType<typeof setTimeout>>();
  #token = 0;
  #question = 0;
  #closed = false;

  /**
   * @param sendQuery Sends a question to the agent; false when it cannot be sent.
   * @param onTrouble Called with a sentence.
   */
  constructor(sendQuery: (question: DhcpQuery) => boolean, onTrouble: (what: string) => void) {
    this.#sendQuery = sendQuery;
    this.#onTrouble = onTrouble;
    this.#epoll.add(this.#stop.fd, STOP);
    this.#running = this.#run();
  }

  get size(): number {
    return this.#networks.size;
  }

  serve({ id, gateway, dhcp }: Parameters<DhcpAnswerer["serve"]>[0], fd: number | undefined): void {
    const known = this.#networks.get(id), settings = JSON.stringify(dhcp);
    if (known && fd === undefined) {
      known.gateway = gateway.address.u32;
      known.settings = settings;
      known.options = undefined;
      return;
    }
    if (known) this.leave(id);
    if (fd === undefined) return;
    const token = this.#token = (this.#token + 1) % STOP;
    const served = {
      id,
      token,
      fd,
      gateway: gateway.address.u32,
      settings,
      options: undefined,
    };
    this.#networks.set(id, served);
    this.#byToken.set(token, served);
    this.#epoll.add(fd, token);
  }

  leave(id: string): void {
    const served = this.#networks.get(id);
    if (!served) return;
    this.#networks.delete(id);
    this.#byToken.delete(served.token);
    this.#epoll.remove(served.fd);
    libc.close(served.fd);
    served.fd = -1;
  }

  /** Sends what the agent has decided, to the client that has asked. */
  answer({ kind: _, network, question, ...decided }: AgentReply): void {
    const pending = this.#pending.get(question), served = this.#networks.get(network);
    if (!pending || !served || pending.network !== network) return;
    this.#pending.delete(question);
    const options = decided.type === 6 ? {} : { options: this.#optionsOf(served) };
    this.#sendWhenReady(served, pending, { ...decided, ...options } as Reply, 0);
  }

  /** @param tries How often the port was not ready. */
  #sendWhenReady(served: Served, pending: PendingQuery, reply: Reply, tries: number): void {
    const pause = PAUSES[tries];
    if (pause === undefined || isRunning(served.fd, pending.port)) return this.#send(served, pending, reply);
    if (this.#timers.size >= MOST_PENDING) return void this.counts.unsent++;
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (served.fd >= 0) this.#sendWhenReady(served, pending, reply, tries + 1);
    }, pause);
    this.#timers.add(timer);
  }

  #optionsOf(served: Served): EncodedOptions {
    if (served.options) return served.options;
    const network = readNetwork(served.id, { modRevision: 0 }, JSON.parse(served.settings));
    const options = served.options = networkOptions(network);
    for (const bad of options.bad) this.#onTrouble(`an option is not sent: ${bad}`);
    return options;
  }

  #send({ fd }: Served, { message, port, traced }: PendingQuery, reply: Reply): void {
    const to = destination(message, reply), out = this.#out, sourceMac = interfaceMac(fd, BRIDGE);
    if (!sourceMac) return void this.counts.unsent++;
    const length = this.#writer.write(out.buffer, PAYLOAD_AT, message, reply);
    const frame = writeFrame(out.buffer, 0, length, {
      sourceMac,
      // Packets that would be routed go to the client too, which is at this very port.
      destinationMac: to.by === "link" ? to.mac : message.chaddr.subarray(0, 6),
      source: reply.serverId,
      destination: to.address,
      sourcePort: SERVER_PORT,
      destinationPort: CLIENT_PORT,
    });
    out.setLength(0, frame);
    out.sendBy(0, port);
    if (out.send(fd, 1)) return void this.counts.unsent++;
    this.counts.answered++;
    if (traced) this.#traces?.answered(traced.span, traced.question);
  }

  async #run(): Promise<void> {
    while (!this.#closed) {
      await readable(this.#epoll);
      const count = this.#epoll.wait(0);
      const tokens = Array.from({ length: count }, (_, i) => this.#epoll.token(i));
      for (const token of tokens) {
        const served = this.#byToken.get(token);
        if (!served) continue;
        try {
          this.#receive(served);
        } catch (error) {
          this.#onTrouble(`DHCP of network ${served.id}: ${messageOf(error)}`);
          // A socket that cannot be read from would wake this loop for ever.
          if (served.fd >= 0) this.leave(served.id);
        }
      }
    }
  }

  #receive(served: Served): void {
    const { counts } = this, batch = this.#batch, now = Date.now();
    const count = batch.receive(served.fd);
    for (let slot = 0; slot < count; slot++) {
      const port = batch.interfaceOf(slot), received = batch.receivedAt(slot);
      const name = interfaceName(served.fd, port);
      // Frames that the bridge itself receives have come in by a port before.
      if (name === undefined || name === BRIDGE) continue;
      if (name === VXLAN) counts.tunnel++;
      else if (now - received > MOST_WAITED) counts.late++;
      else if (!this.#limits.take(served.id, port, MESSAGES)) counts.limited++;
      else this.#read(served, slot, { index: port, name }, received);
    }
  }

  #read(served: Served, slot: number, port: Port, received: number): void {
    const { counts } = this, batch = this.#batch, frame = this.#frame, message = this.#message;
    const { buffer } = batch;
    if (!frame.read(buffer, slot * SIZE, batch.length(slot))) return void counts.malformed++;
    const unicast = frame.destination === served.gateway;
    if (!unicast && frame.destination !== 0xffffffff) return void counts["not-for-us"]++;
    const isRead = message.read(buffer, frame.payloadAt, frame.payloadLength);
    const { op, htype, hlen, type } = message;
    if (!isRead || op !== BOOTREQUEST || htype !== ETHERNET || hlen !== 6 || type < 1 || type > 8) {
      return void counts.malformed++;
    }
    // Its clients are at this very link: no relay is between, and each sends for itself.
    if (message.giaddr !== 0) return void counts.relayed++;
    const chaddr = frame.payloadAt + CHADDR_AT;
    if (!frame.isFrom(chaddr) || ((buffer[chaddr] ?? 1) & 1) !== 0) return void counts["wrong-sender"]++;
    const question = this.#question = (this.#question + 1) % Number.MAX_SAFE_INTEGER;
    const optional = {
      requested: message.u32(Opt.requestedAddress),
      server: message.u32(Opt.serverId),
      name: requestedName(message)?.slice(0, 255),
    };
    const query: DhcpQuery = {
      kind: "ask",
      network: served.id,
      question,
      port: port.name,
      type,
      mac: macFromBytes(buffer, chaddr),
      ciaddr: message.ciaddr,
      source: frame.source,
      unicast,
      received,
      ...optional,
      ...message.has(Opt.rapidCommit) ? { rapid: true } : {},
    };
    const span = this.#traces?.begin(query), traceparent = traceparentOf(span);
    if (!this.#sendQuery(traceparent === undefined ? query : { ...query, traceparent })) {
      return void counts.unsent++;
    }
    counts.asked++;
    this.#remember(question, {
      network: served.id,
      message: message.copy(),
      port: port.index,
      at: performance.now(),
      traced: span && { question: query, span },
    });
  }

  #remember(question: number, pending: PendingQuery): void {
    for (const [old, { at }] of this.#pending) {
      if (this.#pending.size < MOST_PENDING && pending.at - at < PATIENCE) break;
      this.#pending.delete(old);
    }
    this.#pending.set(question, pending);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stop.signal();
    await this.#running;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const id of [...this.#networks.keys()]) this.leave(id);
    this.#epoll.close();
    this.#stop.close();
  }
}
