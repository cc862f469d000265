/** The networks that gatewayd answers for, each at its own sockets and from its own names, as the agent's messages say. */
import { libc } from "../../ffi/libc.ts";
import { isListeningTcp, isPacket, isUdp } from "../../ffi/socket_kind.ts";
import { Refusal } from "../common/refusal.ts";
import { Answerer, DROP, FORWARD } from "../dnsd/answer.ts";
import { COUNTER, DnsCounters, type DnsCounts } from "../dnsd/counters.ts";
import { type StreamAnswer, TcpServer } from "../dnsd/tcp.ts";
import { AnsweringThread } from "../dnsd/thread.ts";
import { TCP_MAX } from "../dnsd/wire.ts";
import type { AgentReply, FromAgent, GatewayNetwork } from "../overlay_names/gateway_messages.ts";
import { Forwarding, type ForwardingNetwork, MOST_FORWARDED, MOST_OF_ONE } from "./forwarding.ts";
import { ReceivedListener } from "./streams.ts";
import { NetworkZones } from "./zones.ts";

/** The most TCP connections of one network at once, since its machines must not use up those of others. */
const MOST_CONNECTIONS = 32;

/** A network's sockets for DNS. */
interface Sockets {
  readonly udp: number;
  readonly streams: TcpServer;
}

/** The descriptors that came with a message, by what they are for. */
interface ReceivedDescriptors {
  readonly udp?: number;
  readonly tcp?: number;
  readonly dhcp?: number;
}

/** The part that answers DHCP. */
export interface DhcpAnswerer {
  /** @param fd A packet socket, which is its own from then on; undefined: the one that it has */
  serve(network: GatewayNetwork & { readonly dhcp: object }, fd: number | undefined): void;
  leave(network: string): void;
  answer(reply: AgentReply): void;
}

/** The zones from which a network is answered; a change of its settings makes another one. */
interface Zones {
  /** The number of its table, and of its UDP socket where it is served. */
  readonly number: number;
  readonly zones: NetworkZones;
  /** True: names outside them are forwarded. */
  readonly forwards: boolean;
}

interface Served {
  sockets: Sockets | undefined;
  /** The zones from which queries are answered; undefined until the first names are complete. */
  zones: Zones | undefined;
  /** The zones that are being received; they replace the others once they are complete. */
  next:
    | { readonly zones: Zones; readonly network: GatewayNetwork; readonly handed: ReceivedDescriptors }
    | undefined;
}

/** All networks, which one thread answers over UDP and this one over TCP. */
export class Networks {
  readonly #thread: AnsweringThread;
  readonly #counters = new DnsCounters();
  readonly #forwarding: Forwarding;
  readonly #served = new Map<string, Served>();
  /** Networks that the agent has named since it connected. */
  #named = new Set<string>();
  readonly #onTrouble: (what: string) => void;
  readonly #scratch = new Uint8Array(TCP_MAX + 512);
  #answerer: Answerer | undefined;
  #number = 0;
  readonly #closing = new Set<Promise<unknown>>();

  /** @param onTrouble called with a sentence */
  constructor(
    onTrouble: (what: string) => void,
    private readonly dhcp?: DhcpAnswerer,
    /** The resolvers for other names, in networks that have these forwarded. */
    resolvers: readonly string[] = [],
  ) {
    this.#onTrouble = onTrouble;
    this.#thread = new AnsweringThread({
      maxForwarded: resolvers.length ? MOST_FORWARDED : 0,
      onForward: (query) => {
        const id = this.#served.entries().find(([, { zones }]) => zones?.number === query.socket)?.[0] ?? "";
        this.#forwarding.forward(query, id, () => this.#forwardingNetwork(id));
      },
    });
    this.#forwarding = new Forwarding({
      resolvers,
      counters: this.#counters,
      thread: () => this.#thread,
      onTrouble,
    });
  }

  #forwardingNetwork(id: string): ForwardingNetwork | undefined {
    const { zones, sockets } = this.#served.get(id) ?? {};
    return zones && { reader: zones.zones.table.reader, udp: sockets?.udp, forwards: zones.forwards };
  }

  start(): Promise<void> {
    return this.#thread.start();
  }

  /** How many networks are answered for. */
  get size(): number {
    return this.#served.size;
  }

  counters(): DnsCounts {
    return DnsCounters.sum([this.#thread.counters, this.#counters]);
  }

  isAlive(): boolean {
    return this.#thread.isAlive();
  }

  /** Prepares for an agent that sends everything from the start: another one, or one that has lost its state. */
  beginAgain(): void {
    this.#named = new Set();
    for (const served of this.#served.values()) this.#dropNext(served);
  }

  /**
   * Takes a message of the agent's with its descriptors, which are closed when they are not used.
   * @throws Error that says what is wrong with it
   */
  take(message: FromAgent, descriptors: readonly number[]): void {
    const handed = takeDescriptors(message, descriptors);
    switch (message.kind) {
      case "network":
        return this.#begin(message, handed);
      case "names":
        return this.#take(message);
      case "gone":
        return this.#remove(message.network);
      case "reply":
        return this.dhcp?.answer(message);
      case "complete":
        for (const id of this.#served.keys()) if (!this.#named.has(id)) this.#remove(id);
        return;
      default:
        throw new Error(`"${message.kind}" where it is not expected`);
    }
  }

  #begin(network: GatewayNetwork, given: ReceivedDescriptors): void {
    const { id } = network;
    this.#named.add(id);
    let served = this.#served.get(id);
    if (!served) {
      if (!network.sockets) throw new Error(`network ${id} without sockets`);
      this.#served.set(id, served = { sockets: undefined, zones: undefined, next: undefined });
    }
    // Sockets that came for names which were never complete are the newest ones still.
    const isNew = network.sockets || served.next?.network.sockets === true;
    const handed = network.sockets ? given : served.next?.handed ?? {};
    if (network.sockets) this.#dropNext(served);
    const number = this.#number = (this.#number + 1) % 0xffffffff;
    const onBlock = (block: SharedArrayBuffer) => this.#thread.setBlock(number, block);
    const { dhcp: _, ...ofDns } = network;
    if (network.forward && !this.#forwarding.isPossible) {
      this.#onTrouble(
        `network ${id} wants other names forwarded, and this host has no resolver: set dnsd.forward`,
      );
    }
    const forwards = network.forward && this.#forwarding.isPossible;
    const zones = { number, zones: this.#zones(ofDns, onBlock), forwards };
    served.next = { zones, network: { ...network, sockets: isNew }, handed };
  }

  #zones(network: GatewayNetwork, onBlock: (block: SharedArrayBuffer) => void): NetworkZones {
    const { epochs } = this.#thread;
    try {
      return new NetworkZones(network, onBlock, epochs);
    } catch (error) {
      // Another program may have written it into etcd, and no other network is to suffer.
      if (!(error instanceof Refusal)) throw error;
      this.#onTrouble(`network ${network.id} is answered without its domain: ${error.message}`);
      return new NetworkZones({ ...network, domain: "" }, onBlock, epochs);
    }
  }

  #take({ network, names, done, serial }: FromAgent & { kind: "names" }): void {
    const served = this.#served.get(network), filled = served?.next?.zones ?? served?.zones;
    if (!served || !filled) throw new Error(`names of network ${network}, which is not known`);
    for (const [label, addresses] of names) {
      try {
        filled.zones.set(label, addresses);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        // With the domain it may be too long; all others are answered.
        this.#onTrouble(`not answered in network ${network}: ${error.message}`);
      }
    }
    if (!done) return;
    filled.zones.publish(serial);
    if (served.next) this.#replace(network, served, served.next);
  }

  /** From now on a network is answered from its new names, and at its new sockets if there are some. */
  #replace(id: string, served: Served, { zones, network, handed }: NonNullable<Served["next"]>): void {
    const { zones: before, sockets: old } = served, { number } = zones;
    served.next = undefined;
    served.zones = zones;
    this.#thread.setBlock(number, zones.zones.table.reader.block);
    const { udp, tcp } = handed, { dhcp } = network;
    if (udp !== undefined && tcp !== undefined) {
      // The new sockets are opened first, so that the network is answered all the time.
      served.sockets = { udp, streams: this.#listen(id, served, tcp) };
      this.#thread.serve({ socket: number, fd: udp, table: number, recursion: zones.forwards }, MOST_OF_ONE);
      this.#end(before, old);
    } else if (network.sockets) {
      served.sockets = undefined;
      this.#end(before, old);
    } else if (before) {
      this.#end(before, undefined);
      if (old) {
        this.#thread.serve(
          { socket: number, fd: old.udp, table: number, recursion: zones.forwards },
          MOST_OF_ONE,
        );
      }
    }
    if (dhcp) this.dhcp?.serve({ ...network, dhcp }, handed.dhcp);
    else this.dhcp?.leave(id);
  }

  /** Takes a socket and its table from the thread, and closes the sockets. */
  #end(zones: Zones | undefined, sockets: Sockets | undefined): void {
    if (!zones) return;
    const left = this.#thread.leave(zones.number).then(() => {
      if (sockets) libc.close(sockets.udp);
    });
    this.#thread.forget(zones.number);
    this.#later(left);
    if (sockets) this.#later(sockets.streams.stop());
  }

  #remove(id: string): void {
    const served = this.#served.get(id);
    if (!served) return;
    this.#served.delete(id);
    this.#dropNext(served);
    this.#end(served.zones, served.sockets);
    this.dhcp?.leave(id);
  }

  /** Drops the zones that were being received. */
  #dropNext(served: Served): void {
    for (const fd of Object.values(served.next?.handed ?? {})) libc.close(fd);
    served.next = undefined;
  }

  #listen(id: string, served: Served, tcp: number): TcpServer {
    return new TcpServer(new ReceivedListener(tcp), {
      name: `TCP of network ${id}`,
      maxConnections: MOST_CONNECTIONS,
      answer: (query) => this.#answer(id, served, query),
      onTrouble: this.#onTrouble,
      onConnection: (accepted) => this.#counters.add(accepted ? COUNTER.tcpConnections : COUNTER.tcpRefused),
    });
  }

  /** Answers a query that came over TCP. */
  #answer(id: string, { zones }: Served, query: Uint8Array): ReturnType<StreamAnswer> {
    if (!zones) return undefined;
    const { reader } = zones.zones.table, counters = this.#counters;
    const answerer = this.#answerer ??= new Answerer(reader, false);
    answerer.table = reader;
    answerer.recursion = zones.forwards;
    this.#scratch.set(query);
    counters.add(COUNTER.queries);
    const length = answerer.answer(this.#scratch, 0, query.length, TCP_MAX, false);
    if (length === FORWARD) return this.#forwarding.answer(query, id, () => this.#forwardingNetwork(id));
    if (length === DROP) {
      counters.add(COUNTER.dropped);
      return undefined;
    }
    counters.answered(answerer.rcode);
    return this.#scratch.slice(0, length);
  }

  #later(work: Promise<unknown>): void {
    const done = work.catch((error) => this.#onTrouble(String(error))).finally(() =>
      this.#closing.delete(done)
    );
    this.#closing.add(done);
  }

  /** Waits for queries that are being answered, then closes everything. */
  async close(): Promise<void> {
    for (const id of [...this.#served.keys()]) this.#remove(id);
    await Promise.all(this.#closing);
    await this.#forwarding.close();
    await this.#thread.stop();
  }
}

/**
 * Assigns the descriptors of a message to their purposes.
 * @throws Error where they are others than it says, which are then closed
 */
function takeDescriptors(message: FromAgent, descriptors: readonly number[]): ReceivedDescriptors {
  const dns = message.kind === "network" && message.sockets && message.dns;
  const dhcp = message.kind === "network" && message.sockets && message.dhcp !== undefined;
  const wanted = (dns ? 2 : 0) + (dhcp ? 1 : 0);
  const [udp = -1, tcp = -1] = dns ? descriptors : [], packets = dhcp ? descriptors.at(-1) ?? -1 : -1;
  const isRight = descriptors.length === wanted && (!dns || isUdp(udp) && isListeningTcp(tcp)) &&
    (!dhcp || isPacket(packets));
  if (isRight) return { ...dns ? { udp, tcp } : {}, ...dhcp ? { dhcp: packets } : {} };
  for (const fd of descriptors) libc.close(fd);
  const expected = [
    ...dns ? ["a UDP and a listening TCP socket"] : [],
    ...dhcp ? ["a packet socket"] : [],
  ];
  throw new Error(
    `"${message.kind}" with ${descriptors.length} descriptors, where ` +
      `${expected.length ? `${expected.join(" and ")} are` : "none is"} expected`,
  );
}
