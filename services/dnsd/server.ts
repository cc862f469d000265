/** dnsd's server: DNS over UDP in a worker thread, DNS over TCP and forwarding in the main thread. */
import { libc } from "../../ffi/libc.ts";
import { localPort, openUdp, UdpBatch } from "../../ffi/udp.ts";
import { formatHostPort, type HostPort, parseHostPort } from "../common/host_port.ts";
import type { Problem } from "../common/http_status.ts";
import { Ip } from "../common/ip.ts";
import { invalid, messageOf, Refusal } from "../common/refusal.ts";
import { Answerer, DROP, FORWARD } from "./answer.ts";
import { COUNTER, DnsCounters, type DnsCounts } from "./counters.ts";
import { Forwarder } from "./forward.ts";
import { ownAddresses } from "./own_addresses.ts";
import { TableWriter } from "./table_writer.ts";
import { TcpServer } from "./tcp.ts";
import { AnsweringThread } from "./thread.ts";
import { RCODE, TCP_MAX, UDP_MAX } from "./wire.ts";
import type { ForwardedQuery } from "./worker.ts";
import { Zones } from "./zones.ts";

/** The number of the one table, for the thread. */
const TABLE = 0;

/** How often a port is tried that the kernel chooses. */
const MOST_TRIES = 20;

/** How often, in milliseconds, the host's own addresses are read again: no notification reports a change here. */
const OWN_ADDRESSES_EVERY = 30_000;

export interface DnsOptions {
  /** Addresses, each with or without a port: `0.0.0.0:53`, `[::]:53`. Port 0: any, the same for UDP and TCP. */
  readonly listen: readonly string[];
  /** Called before the first query is answered, so that no name of ours is answered NXDOMAIN. */
  readonly fill?: (zones: Zones) => void;
  /** Resolvers for names outside our zones, the first one preferred; none: those names are refused. */
  readonly forward?: readonly string[];
  /** Forwarded queries under way at once; more are dropped. Default 1,024. */
  readonly maxForwarded?: number;
  /** Milliseconds after which a forwarded query is answered SERVFAIL. Default 4,000. */
  readonly patience?: number;
  /** See {@link TcpServer}. */
  readonly tcp?: { readonly maxConnections?: number; readonly idle?: number };
  /** Called with a sentence when connections are refused or cannot be accepted, or a resolver counts as down. */
  readonly onTrouble?: (what: string) => void;
}

export interface DnsServer {
  /** The zones that are answered: set networks and names, then publish. */
  readonly zones: Zones;
  /** The addresses that it listens on, with the ports that were chosen: `127.0.0.1:5353`. */
  readonly addresses: readonly string[];
  counters(): DnsCounts;
  /** The problem for /readyz, if there is one. */
  problem(): Problem | undefined;
  /** Asks the thread that answers queries for a sign of life. @returns false when it has not given the last one */
  isAlive(): boolean;
  /** Waits for queries that are being answered, then closes everything. */
  stop(): Promise<void>;
}

/**
 * Starts a DNS server: UDP in a thread of its own, TCP and forwarding in this one.
 * @throws Refusal "invalid" for an address that is none, "unavailable" for one that cannot be listened on
 */
export async function startDns(options: DnsOptions): Promise<DnsServer> {
  const server = new Server(options);
  try {
    await server.start();
  } catch (error) {
    await server.stop();
    throw error;
  }
  return server;
}

class Server implements DnsServer {
  readonly zones: Zones;
  readonly addresses: string[] = [];
  readonly #options: DnsOptions;
  readonly #table: TableWriter;
  readonly #sockets: number[] = [];
  readonly #streams: TcpServer[] = [];
  readonly #thread: AnsweringThread;
  readonly #counters = new DnsCounters();
  readonly #forwarder: Forwarder | undefined;
  readonly #answerer: Answerer;
  /** The buffer in which this thread answers a message: one of a TCP connection may have the greatest length. */
  readonly #scratch = new Uint8Array(TCP_MAX + 512);
  readonly #reply = new UdpBatch(1, UDP_MAX);
  readonly #underWay = new Set<Promise<unknown>>();
  #timer: ReturnType<typeof setInterval> | undefined;
  #stopped = false;

  constructor(options: DnsOptions) {
    this.#options = options;
    this.#thread = new AnsweringThread({
      maxForwarded: options.maxForwarded ?? 1024,
      onForward: (query) => this.#forward(query),
    });
    this.#table = new TableWriter((block) => this.#thread.setBlock(TABLE, block), this.#thread.epochs);
    this.zones = new Zones(this.#table);
    const { forward = [], patience } = options;
    if (forward.length > 0) {
      this.#forwarder = new Forwarder({
        resolvers: forward,
        counters: this.#counters,
        answerOurs: (query) => this.#answerOurs(query),
        onDown: (what) => options.onTrouble?.(what),
        ...(patience === undefined ? {} : { patience }),
      });
    }
    this.#answerer = new Answerer(this.#table.reader, forward.length > 0);
  }

  async start(): Promise<void> {
    for (const text of this.#options.listen) this.#listen(text);
    this.#findOwnAddresses();
    this.#timer = setInterval(() => this.#findOwnAddresses() && this.zones.publish(), OWN_ADDRESSES_EVERY);
    // TCP connections are served by this thread, so they too wait until the zones are filled.
    this.#options.fill?.(this.zones);
    await this.#thread.start();
    this.#thread.setBlock(TABLE, this.#table.reader.block);
    const recursion = this.#forwarder !== undefined;
    this.#sockets.forEach((fd, socket) => this.#thread.serve({ socket, fd, table: TABLE, recursion }));
  }

  /** @returns true when they have changed */
  #findOwnAddresses(): boolean {
    try {
      return this.zones.setServers(ownAddresses(this.addresses, Deno.networkInterfaces()));
    } catch (error) {
      // A sandbox may forbid AF_NETLINK; everything else works without it.
      this.#options.onTrouble?.(
        `the host's addresses, for the NS of networks without name servers, cannot be read: ${
          messageOf(error)
        }`,
      );
      return false;
    }
  }

  #listen(text: string): void {
    const { host, port } = parseHostPort(text, "listen", 53);
    const ip = Ip.tryParse(host);
    if (!ip) throw invalid(`listen: "${text}" is not an address with a port, like 0.0.0.0:53`);
    try {
      for (let tries = 1;; tries++) {
        const fd = openUdp(ip.bytes, port, `${formatHostPort({ host, port })}/udp`);
        const bound = { host, port: localPort(fd) };
        try {
          if (!this.#sharesStream(bound)) this.#listenStream(bound);
        } catch (error) {
          libc.close(fd);
          // A port of the kernel's choice is free for UDP, but perhaps not for TCP.
          if (port === 0 && tries < MOST_TRIES && error instanceof Deno.errors.AddrInUse) continue;
          throw error;
        }
        this.#sockets.push(fd);
        this.addresses.push(formatHostPort(bound));
        return;
      }
    } catch (error) {
      throw new Refusal("unavailable", `dnsd.listen: ${text} cannot be listened on: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  #listenStream({ host, port }: HostPort): void {
    const stream = new TcpServer(Deno.listen({ hostname: host, port }), {
      ...this.#options.tcp,
      name: `TCP on ${formatHostPort({ host, port })}`,
      answer: (query) => this.#answerStream(query),
      onTrouble: (what) => this.#options.onTrouble?.(what),
      onConnection: (accepted) => this.#counters.add(accepted ? COUNTER.tcpConnections : COUNTER.tcpRefused),
    });
    this.#streams.push(stream);
  }

  /** Deno's `[::]` accepts IPv4 too, and no other socket can then listen on 0.0.0.0. */
  #sharesStream({ host, port }: HostPort): boolean {
    return host === "0.0.0.0" && this.#options.listen.some((text) => {
      const other = parseHostPort(text, "listen", 53);
      return other.host === "::" && other.port === port;
    });
  }

  /** Answers in the scratch space. @returns a length, DROP or FORWARD, as {@link Answerer} does */
  #answerHere(query: Uint8Array, udp: boolean): number {
    this.#answerer.table = this.#table.reader;
    this.#scratch.set(query);
    return this.#answerer.answer(this.#scratch, 0, query.length, udp ? UDP_MAX : TCP_MAX, udp);
  }

  /** Answers from our zones; undefined for any other name. @param query without RD, so that nothing is forwarded */
  #answerOurs(query: Uint8Array): Uint8Array | undefined {
    const length = this.#answerHere(query, false);
    return this.#answerer.rcode === RCODE.REFUSED ? undefined : this.#scratch.slice(0, length);
  }

  #answerStream(query: Uint8Array): Uint8Array | undefined | Promise<Uint8Array | undefined> {
    const counters = this.#counters;
    counters.add(COUNTER.queries);
    const length = this.#answerHere(query, false);
    if (length === FORWARD) {
      if (!this.#thread.forwarding()) {
        counters.add(COUNTER.overload);
        return undefined;
      }
      counters.add(COUNTER.forwarded);
      return this.#resolve(query, TCP_MAX).finally(() => this.#thread.forwarded());
    }
    if (length === DROP) {
      counters.add(COUNTER.dropped);
      return undefined;
    }
    counters.answered(this.#answerer.rcode);
    return this.#scratch.slice(0, length);
  }

  /** Answers a query that the worker could not answer, through the socket and from the address to which it was sent. */
  async #forward({ socket, origin, query }: ForwardedQuery): Promise<void> {
    try {
      // The name may be in a zone of ours by now.
      const length = this.#answerHere(query, true);
      const answer = length === FORWARD
        ? await this.#resolve(query, UDP_MAX)
        : this.#scratch.subarray(0, Math.max(length, 0));
      if (answer.length === 0) return;
      this.#reply.buffer.set(answer);
      this.#reply.setLength(0, answer.length);
      this.#reply.address(0, origin);
      const unsent = this.#reply.send(this.#sockets[socket] ?? -1, 0, 1);
      this.#counters.add(COUNTER.unsent, unsent);
    } finally {
      this.#thread.forwarded();
    }
  }

  /** The forwarder's answer, or SERVFAIL. */
  #resolve(query: Uint8Array, room: number): Promise<Uint8Array> {
    const answer = this.#queryForwarder(query, room).finally(() => this.#underWay.delete(answer));
    this.#underWay.add(answer);
    return answer;
  }

  async #queryForwarder(query: Uint8Array, room: number): Promise<Uint8Array> {
    const answer = await this.#forwarder?.resolve(query, room);
    if (answer) {
      this.#counters.answered((answer[3] ?? 0) & 15);
      return answer;
    }
    this.#counters.answered(RCODE.SERVFAIL);
    this.#scratch.set(query);
    return this.#scratch.slice(0, this.#answerer.fail(this.#scratch, 0, query.length, RCODE.SERVFAIL));
  }

  counters(): DnsCounts {
    return DnsCounters.sum([this.#thread.counters, this.#counters]);
  }

  /** It does not block readiness, since UDP is still answered. */
  isAlive(): boolean {
    return this.#thread.isAlive();
  }

  problem(): Problem | undefined {
    const problem = this.#streams.map((stream) => stream.problem()).find(Boolean);
    return problem && { ...problem, blocks: false };
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#timer);
    await this.#thread.stop();
    // Clients still get the answers that are on their way: the forwarder's patience bounds the wait.
    await Promise.allSettled([...this.#underWay]);
    await Promise.all(this.#streams.map((stream) => stream.stop()));
    this.#forwarder?.close();
    for (const fd of this.#sockets) libc.close(fd);
  }
}
