/** Forwards queries for names outside our zones to other resolvers, and caches their answers. */
import { write16 } from "../common/bytes.ts";
import { parseHostPort } from "../common/host_port.ts";
import { Ip } from "../common/ip.ts";
import { invalid } from "../common/refusal.ts";
import { type AnswerOurs, completeAliases } from "./alias.ts";
import { Cache, type Cached } from "./cache.ts";
import { COUNTER, type DnsCounters } from "./counters.ts";
import { hasAnswer, type Layout, layoutOf, lowerCase, rcodeOf } from "./message.ts";
import { type DnsQuestion, Resolver } from "./resolver.ts";
import { HEADER, OPT_LENGTH, TYPE, UDP_MAX, UDP_PLAIN } from "./wire.ts";

export interface ForwarderOptions {
  /** `9.9.9.9`, `[2620:fe::fe]:53`: the first one is asked, the next where it has no answer. */
  readonly resolvers: readonly string[];
  readonly counters: DnsCounters;
  /** Octets of answers that are cached. Default 8 MiB. */
  readonly cacheBytes?: number;
  /** Milliseconds that a client waits: no answer by then is SERVFAIL. Default 4,000, below dig's and libc's 5,000. */
  readonly patience?: number;
  /** Milliseconds without an answer, after which a {@link Resolver} is asked without OPT as well. Default: half of its time. */
  readonly impatience?: number;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
  /** Answers the target of an upstream's alias, where it is in a zone of ours. */
  readonly answerOurs?: AnswerOurs;
  /** Called with a sentence when a resolver counts as down. */
  readonly onDown?: (what: string) => void;
}

const QR = 0x80, TC = 0x02, RD = 0x01, RA = 0x80, AD = 0x20, CD = 0x10;

/** Answers from other resolvers, cached for their TTLs. A question is asked once, however many clients wait for its answer. */
export class Forwarder {
  readonly #resolvers: Resolver[];
  readonly #counters: DnsCounters;
  readonly #patience: number;
  readonly #now: () => number;
  readonly #answerOurs: AnswerOurs;
  readonly #cache: Cache;
  readonly #underWay = new Map<string, Promise<Cached | undefined>>();
  readonly #closing = new AbortController();

  /** @throws Refusal "invalid" for a resolver that is no address */
  constructor(options: ForwarderOptions) {
    const { counters, now = () => performance.now(), onDown = () => {}, impatience } = options;
    this.#resolvers = options.resolvers.map((text) => {
      const at = parseHostPort(text, "forward", 53);
      if (!Ip.tryParse(at.host)) throw invalid(`forward: "${text}" is not an address, like 9.9.9.9`);
      return new Resolver({ at, counters, now, onDown, impatience });
    });
    this.#counters = counters;
    this.#patience = options.patience ?? 4000;
    this.#now = now;
    this.#answerOurs = options.answerOurs ?? (() => undefined);
    this.#cache = new Cache(options.cacheBytes ?? 8 << 20, this.#now);
  }

  /**
   * Answers a well-formed query with one question.
   * @param room octets of the longest answer that the transport takes
   * @param answerOurs in the place of that of all queries
   * @returns undefined when no resolver has answered in time
   */
  async resolve(
    query: Uint8Array,
    room: number,
    answerOurs = this.#answerOurs,
  ): Promise<Uint8Array | undefined> {
    const layout = layoutOf(query);
    if (!layout) return undefined;
    const key = keyOf(query, layout);
    let found = this.#cache.get(key);
    if (found) this.#counters.add(COUNTER.cacheHits);
    else {
      const started = this.#underWay.get(key);
      const wanted = started ?? this.#query(query, layout, key).finally(() => this.#underWay.delete(key));
      if (!started) this.#underWay.set(key, wanted);
      found = await wanted;
    }
    // The cache holds the upstream's answer, since our own records may change meanwhile.
    return found && reply(completeAliases(found, answerOurs), query, layout, room);
  }

  /** Aborts the queries that are under way. */
  close(): void {
    this.#closing.abort(new Error("stopped"));
  }

  /** Asks one resolver after the other, in two rounds, until one has an answer. */
  async #query(query: Uint8Array, layout: Layout, key: string): Promise<Cached | undefined> {
    const question = questionOf(query, layout);
    const deadline = this.#now() + this.#patience;
    // With several resolvers, the next one is asked soon.
    const each = this.#patience / (this.#resolvers.length > 1 ? 4 : 2);
    // If no resolver answers, the zone is at fault: names of a dead zone must not mark a resolver as down.
    const silent = new Set<Resolver>();
    let other: Cached | undefined;
    for (let round = 0; round < 2; round++) {
      for (const resolver of this.#inOrder()) {
        const left = Math.min(each, deadline - this.#now());
        if (left <= 0 || this.#closing.signal.aborted) return other;
        const answer = await resolver.query(question, left, this.#closing.signal);
        if (answer) silent.delete(resolver);
        else silent.add(resolver);
        if (answer && hasAnswer(answer.message)) {
          for (const one of silent) one.failed(question.name);
          this.#cache.put(key, answer);
          return answer;
        }
        this.#counters.add(COUNTER.upstreamFailures);
        other = answer ?? other;
      }
      // Every resolver has answered with an error, which a second round would not change.
      if (other) return other;
    }
    if (this.#resolvers.length === 1 && !this.#closing.signal.aborted) {
      this.#resolvers[0]?.failed(question.name);
    }
    return undefined;
  }

  /** The resolvers in the order of the configuration, those that are down last. */
  #inOrder(): Resolver[] {
    const due = this.#resolvers.map((resolver) => resolver.isDue);
    return [...this.#resolvers.filter((_, i) => due[i]), ...this.#resolvers.filter((_, i) => !due[i])];
  }
}

/** The cache key of a query: the question in lower case, DO and CD. */
function keyOf(query: Uint8Array, { questionEnd, edns }: Layout): string {
  const flags = `${edns?.dnssecOk ? "D" : ""}${(query[3] ?? 0) & CD ? "C" : ""}`;
  return `${flags} ${lowerCase(query, HEADER, questionEnd)}`;
}

/** The client's question with its AD, CD and DO, with RD set, and with our own EDNS: the client's options are not forwarded. */
function questionOf(query: Uint8Array, { questionEnd, edns }: Layout): DnsQuestion {
  const withOpt = new Uint8Array(questionEnd + OPT_LENGTH);
  withOpt.set(query.subarray(0, questionEnd));
  withOpt[2] = RD;
  withOpt[3] = (query[3] ?? 0) & (AD | CD);
  withOpt.fill(0, 6, HEADER);
  const plain = withOpt.slice(0, questionEnd);
  withOpt[11] = 1;
  writeOpt(withOpt, questionEnd, edns?.dnssecOk ?? false);
  return { name: lowerCase(query, HEADER, questionEnd - 4), withOpt, plain };
}

/** Adapts an answer to the client: its id, flags, spelling of the name, EDNS, and the length that it accepts. */
export function reply(
  { message, layout }: Cached,
  query: Uint8Array,
  queryLayout: Layout,
  room: number,
): Uint8Array {
  const { edns, questionEnd } = queryLayout;
  const optLength = edns ? OPT_LENGTH : 0;
  const limit = room > UDP_MAX ? room : Math.min(room, Math.max(edns?.size ?? UDP_PLAIN, UDP_PLAIN));
  const fits = layout.end + optLength <= limit;
  const end = fits ? layout.end : questionEnd;
  const out = new Uint8Array(end + optLength);
  out.set(message.subarray(0, end));
  out.set(query.subarray(0, 2));
  // The name as the client spelled it, which some clients check.
  out.set(query.subarray(HEADER, questionEnd), HEADER);
  const told = (message[3] ?? 0) & AD;
  const wanted = edns?.dnssecOk || ((query[3] ?? 0) & AD) !== 0;
  out[2] = QR | ((query[2] ?? 0) & RD) | (fits ? 0 : TC);
  out[3] = RA | (wanted ? told : 0) | ((query[3] ?? 0) & CD) | rcodeOf(message);
  if (!fits) out.fill(0, 6, HEADER);
  write16(out, 10, (fits ? layout.additional : 0) + (edns ? 1 : 0));
  if (edns) writeOpt(out, end, edns.dnssecOk);
  return out;
}

function writeOpt(out: Uint8Array, at: number, dnssecOk: boolean): void {
  out.fill(0, at, at + OPT_LENGTH);
  out[at + 2] = TYPE.OPT;
  write16(out, at + 3, UDP_MAX);
  out[at + 7] = dnssecOk ? 0x80 : 0;
}
