/** A resolver to which queries are forwarded, with its state: whether it answers, and whether it supports EDNS. */
import { deadline } from "../common/async.ts";
import { formatHostPort, type HostPort } from "../common/host_port.ts";
import type { Cached } from "./cache.ts";
import { COUNTER, type DnsCounters } from "./counters.ts";
import { hasAnswer, layoutOf, rcodeOf } from "./message.ts";
import { queryUpstream } from "./upstream.ts";
import { RCODE } from "./wire.ts";

/** A question as it is sent to a resolver. */
export interface DnsQuestion {
  /** The name, without the type. */
  readonly name: string;
  /** The whole query with an OPT, and without: that one ends with the question. */
  readonly withOpt: Uint8Array;
  readonly plain: Uint8Array;
}

export interface ResolverOptions {
  readonly at: HostPort;
  readonly counters: DnsCounters;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  /** Called with a sentence when it counts as down. */
  readonly onDown?: (what: string) => void;
  /** After this many milliseconds without an answer it is asked without OPT as well. Default: half of a query's time. */
  readonly impatience?: number | undefined;
}

/** After this many different names in a row that only this resolver left unanswered it is down; fewer may be their zones' fault. */
const NAMES_UNTIL_DOWN = 3;

/** A resolver that is down is tried again after this many milliseconds. */
const PROBE_EVERY = 2000;

/** For how many milliseconds no OPT is sent, after it was refused, and after only a query without it was answered. */
const REFUSED_FOR = 900_000, IGNORED_FOR = 60_000;

/** One resolver, which is asked less often while it does not answer. */
export class Resolver {
  readonly #options: ResolverOptions;
  /** Names without an answer since the last answer, up to the bound. */
  readonly #unanswered = new Set<string>();
  #probeAt = 0;
  #plainUntil = -Infinity;
  #knowsEdns = false;

  constructor(options: ResolverOptions) {
    this.#options = options;
  }

  get #isDown(): boolean {
    return this.#unanswered.size >= NAMES_UNTIL_DOWN;
  }

  /** True when a query should ask it in its turn: it is up, or one query is due that tries whether it is. */
  get isDue(): boolean {
    return !this.#isDown || this.#options.now() >= this.#probeAt;
  }

  /**
   * Asks it, without OPT where it does not know that.
   * @param timeout milliseconds
   * @returns undefined when there was no answer in time, or none that can be read
   */
  async query(question: DnsQuestion, timeout: number, closing: AbortSignal): Promise<Cached | undefined> {
    // Other queries do not try it until this one has its result.
    this.#setProbe();
    const done = new AbortController();
    const timer = setTimeout(() => done.abort(new Error("timed out")), timeout);
    try {
      const { impatience = timeout / 2 } = this.#options;
      const answer = await this.#query(question, impatience, AbortSignal.any([done.signal, closing]));
      this.#unanswered.clear();
      return answer;
    } catch {
      // Timed out, refused or unreachable: counted by the caller, and the next one is asked.
      return undefined;
    } finally {
      clearTimeout(timer);
      done.abort(new Error("answered"));
    }
  }

  /** Records a name that it left unanswered, where another resolver answered or none other could be asked. */
  failed(name: string): void {
    if (this.#isDown) return;
    this.#unanswered.add(name);
    if (!this.#isDown) return;
    this.#setProbe();
    // Another program may answer at that address next.
    this.#knowsEdns = false;
    const at = formatHostPort(this.#options.at);
    this.#options.onDown?.(
      `forward: ${at} left ${NAMES_UNTIL_DOWN} names in a row unanswered and is asked last until it answers`,
    );
  }

  #setProbe(): void {
    this.#probeAt = this.#options.now() + PROBE_EVERY;
  }

  /** A resolver without EDNS refuses a query with OPT, or never answers it (RFC 6891 §6.2.2, §7). */
  #query(question: DnsQuestion, impatience: number, signal: AbortSignal): Promise<Cached> {
    const { now } = this.#options;
    if (now() < this.#plainUntil) return this.#exchange(question.plain, question, signal);
    let refused = false, plain: Promise<Cached> | undefined;
    const queryPlain = () =>
      plain ??= this.#exchange(question.plain, question, signal).then((answer) => {
        if (!this.#refusesOpt(answer)) this.#plainUntil = now() + (refused ? REFUSED_FOR : IGNORED_FOR);
        return answer;
      });
    const withOpt = this.#exchange(question.withOpt, question, signal).then((answer) => {
      refused = this.#refusesOpt(answer);
      if (refused) return queryPlain();
      if (answer.layout.edns) this.#knowsEdns = true;
      return answer;
    });
    if (this.#knowsEdns) return withOpt;
    // Both queries are waited for then: a slow resolver answers the one with OPT first.
    return deadline(withOpt, impatience)
      .then((answer) => answer ?? Promise.any([withOpt, queryPlain()]));
  }

  #refusesOpt({ message, layout: { edns } }: Cached): boolean {
    const rcode = (edns?.rcode ?? 0) | rcodeOf(message);
    if (rcode === RCODE.SERVFAIL) return !edns && !this.#knowsEdns;
    return rcode === RCODE.FORMERR || rcode === RCODE.NOTIMP || rcode === RCODE.BADVERS;
  }

  async #exchange(query: Uint8Array, { plain }: DnsQuestion, signal: AbortSignal): Promise<Cached> {
    this.#options.counters.add(COUNTER.upstreamQueries);
    const message = await queryUpstream(this.#options.at, query, plain.length, signal);
    const layout = layoutOf(message);
    if (!layout) {
      if (hasAnswer(message)) throw new Error("an answer that cannot be read");
      // An error may be a header alone, or with what the resolver could not read either.
      const error = plain.slice();
      error.set(message.subarray(2, 4), 2);
      return { message: error, layout: emptyLayout(plain.length) };
    }
    const upper = layout.edns?.rcode ?? 0;
    // Another RCODE of EDNS's own (BADCOOKIE) concerns us and that resolver, not the client.
    const badVersion = query !== plain && (upper | rcodeOf(message)) === RCODE.BADVERS;
    if (upper !== 0 && !badVersion) throw new Error("an error of EDNS");
    return { message: message.slice(0, layout.end), layout };
  }
}

function emptyLayout(end: number): Cached["layout"] {
  return { questionEnd: end, end, additional: 0, ttls: [], ttl: 0, soa: false, edns: undefined };
}
