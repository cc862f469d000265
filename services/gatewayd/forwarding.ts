/**
 * Forwards a network's queries for names outside it to the host's resolvers, by dnsd's code, where the network's
 * settings say so. An alias in an answer that leads into the client's own network is completed from there; no other
 * network's names are used.
 */
import { UdpBatch } from "../../ffi/udp.ts";
import { Answerer, DROP, FORWARD } from "../dnsd/answer.ts";
import { COUNTER, type DnsCounters } from "../dnsd/counters.ts";
import { Forwarder } from "../dnsd/forward.ts";
import type { TableReader } from "../dnsd/table.ts";
import { RCODE, TCP_MAX, UDP_MAX } from "../dnsd/wire.ts";
import type { ForwardedQuery } from "../dnsd/worker.ts";

/** The most queries that are being forwarded, of all networks and of one, so that no network uses up what others need. */
export const MOST_FORWARDED = 1024, MOST_OF_ONE = 128;

/** A network whose machines ask. */
export interface ForwardingNetwork {
  readonly reader: TableReader;
  /** Its UDP socket; undefined: it has none any more. */
  readonly udp: number | undefined;
  /** True: other names are forwarded. */
  readonly forwards: boolean;
}

export interface ForwardingOptions {
  /** Addresses with ports, the first one preferred; none: other names are refused. */
  readonly resolvers: readonly string[];
  readonly counters: DnsCounters;
  /** See {@link AnsweringThread}: the queries of UDP are counted there, and those of TCP are to be. */
  readonly thread: () => { forwarding(): boolean; forwarded(socket?: number): void };
  /** Called with a sentence. */
  readonly onTrouble: (what: string) => void;
}

/** The forwarders of this host, for all networks. */
export class Forwarding {
  readonly #options: ForwardingOptions;
  readonly #forwarder: Forwarder | undefined;
  readonly #scratch = new Uint8Array(TCP_MAX + 512);
  readonly #reply = new UdpBatch(1, UDP_MAX);
  readonly #underWay = new Map<string, number>();
  readonly #working = new Set<Promise<unknown>>();
  #answerer: Answerer | undefined;

  constructor(options: ForwardingOptions) {
    const { resolvers, counters, onTrouble: onDown } = this.#options = options;
    if (resolvers.length) this.#forwarder = new Forwarder({ resolvers, counters, onDown });
  }

  /** True when there is a resolver to ask. */
  get isPossible(): boolean {
    return this.#forwarder !== undefined;
  }

  /** Answers a query over UDP that the thread has counted as forwarded. @param network Undefined: it is gone. */
  forward(
    { socket, origin, query }: ForwardedQuery,
    id: string,
    network: () => ForwardingNetwork | undefined,
  ): void {
    const { counters, thread } = this.#options;
    const work = this.#resolve(query, id, network, UDP_MAX).then((answer) => {
      const udp = network()?.udp;
      if (!answer || udp === undefined) return;
      this.#reply.buffer.set(answer);
      this.#reply.setLength(0, answer.length);
      this.#reply.address(0, origin);
      counters.add(COUNTER.unsent, this.#reply.send(udp, 0, 1));
    }).finally(() => thread().forwarded(socket));
    this.#follow(work);
  }

  /** Answers a query over TCP; undefined: it gets no answer. */
  async answer(
    query: Uint8Array,
    id: string,
    network: () => ForwardingNetwork | undefined,
  ): Promise<Uint8Array | undefined> {
    const { counters, thread } = this.#options;
    if (!thread().forwarding()) {
      counters.add(COUNTER.overload);
      return undefined;
    }
    counters.add(COUNTER.forwarded);
    const work = this.#resolve(query, id, network, TCP_MAX).finally(() => thread().forwarded());
    this.#follow(work);
    return await work;
  }

  /** Aborts what is under way. */
  async close(): Promise<void> {
    this.#forwarder?.close();
    await Promise.allSettled(this.#working);
  }

  async #resolve(
    query: Uint8Array,
    id: string,
    network: () => ForwardingNetwork | undefined,
    room: number,
  ): Promise<Uint8Array | undefined> {
    const { counters } = this.#options, before = this.#underWay.get(id) ?? 0, source = network();
    if (!source) return undefined;
    // The name may be in the network by now.
    const here = this.#answerHere(source, query, room);
    if (here !== FORWARD) return here;
    if (before >= MOST_OF_ONE) {
      counters.add(COUNTER.overload);
      return undefined;
    }
    this.#underWay.set(id, before + 1);
    try {
      const found = await this.#forwarder?.resolve(query, room, (target) => {
        const now = network();
        const answer = now && this.#answerHere({ ...now, forwards: false }, target, TCP_MAX);
        return answer === FORWARD || this.#answerer?.rcode === RCODE.REFUSED ? undefined : answer;
      });
      if (found) {
        counters.answered((found[3] ?? 0) & 15);
        return found;
      }
      counters.answered(RCODE.SERVFAIL);
      this.#scratch.set(query);
      const length = this.#of(source).fail(this.#scratch, 0, query.length, RCODE.SERVFAIL);
      return length === DROP ? undefined : this.#scratch.slice(0, length);
    } finally {
      const left = (this.#underWay.get(id) ?? 1) - 1;
      if (left) this.#underWay.set(id, left);
      else this.#underWay.delete(id);
    }
  }

  #answerHere(
    source: ForwardingNetwork,
    query: Uint8Array,
    room: number,
  ): Uint8Array | undefined | typeof FORWARD {
    this.#scratch.set(query);
    const length = this.#of(source).answer(this.#scratch, 0, query.length, room, room === UDP_MAX);
    if (length === FORWARD) return FORWARD;
    return length === DROP ? undefined : this.#scratch.slice(0, length);
  }

  #of({ reader, forwards }: ForwardingNetwork): Answerer {
    const answerer = this.#answerer ??= new Answerer(reader, forwards);
    answerer.table = reader;
    answerer.recursion = forwards;
    return answerer;
  }

  #follow(work: Promise<unknown>): void {
    const done = work.catch((error) => this.#options.onTrouble(String(error))).finally(() =>
      this.#working.delete(done)
    );
    this.#working.add(done);
  }
}
