import { parseHostPort } from "../common/host_port.ts";
import { Ip } from "../common/ip.ts";
import { invalid } from "../common/refusal.ts";
import { Cache, type Cached } from "./cache.ts";
import { COUNTER, type Counters } from "./counters.ts";
import { type Layout, layoutOf, write16 } from "./message.ts";
import { ask, type Resolver } from "./upstream.ts";
import { HEADER, LOWER, OPT_LENGTH, RCODE, TYPE, UDP_MAX, UDP_PLAIN } from "./wire.ts";

export interface ForwarderOptions {
  /** `9.9.9.9`, `[2620:fe::fe]:53`: the first one that works is asked. */
  readonly resolvers: readonly string[];
  readonly counters: Counters;
  /** Octets of answers that are kept. Default 8 MiB. */
  readonly cacheBytes?: number;
  /** Milliseconds that a client waits: no answer by then is SERVFAIL. Default 4,000, below dig's and libc's 5,000. */
  readonly patience?: number;
  /** Milliseconds since whenever. */
  readonly now?: () => number;
}

/** How long a resolver that failed is asked only after the others. */
const SHUNNED = 30_000;

const QR = 0x80, TC = 0x02, RD = 0x01, RA = 0x80, AD = 0x20, CD = 0x10;

/** Answers from other resolvers, kept as long as their TTLs say. One question is asked once however many want it. */
export class Forwarder {
  readonly #resolvers: { at: Resolver; shunnedUntil: number }[];
  readonly #counters: Counters;
  readonly #patience: number;
  readonly #now: () => number;
  readonly #cache: Cache;
  readonly #underWay = new Map<string, Promise<Cached | undefined>>();
  readonly #closing = new AbortController();

  /** @throws Refusal "invalid" for a resolver that is no address */
  constructor(options: ForwarderOptions) {
    this.#resolvers = options.resolvers.map((text) => {
      const at = parseHostPort(text, "forward", 53);
      if (!Ip.tryParse(at.host)) throw invalid(`forward: "${text}" is not an address, like 9.9.9.9`);
      return { at, shunnedUntil: -Infinity };
    });
    this.#counters = options.counters;
    this.#patience = options.patience ?? 4000;
    this.#now = options.now ?? (() => performance.now());
    this.#cache = new Cache(options.cacheBytes ?? 8 << 20, this.#now);
  }

  /**
   * Answers a well-formed query with one question.
   * @param room octets of the longest answer that the transport takes
   * @returns undefined when no resolver has answered in time
   */
  async resolve(query: Uint8Array, room: number): Promise<Uint8Array | undefined> {
    const layout = layoutOf(query);
    if (!layout) return undefined;
    const key = keyOf(query, layout);
    let found = this.#cache.get(key);
    if (found) this.#counters.add(COUNTER.cacheHits);
    else {
      const started = this.#underWay.get(key);
      const wanted = started ?? this.#ask(query, layout, key).finally(() => this.#underWay.delete(key));
      if (!started) this.#underWay.set(key, wanted);
      found = await wanted;
    }
    return found && reply(found, query, layout, room);
  }

  /** Gives up what is under way. */
  close(): void {
    this.#closing.abort(new Error("stopped"));
  }

  /** Asks one resolver after the other, twice round, until one knows. */
  async #ask(query: Uint8Array, layout: Layout, key: string): Promise<Cached | undefined> {
    const upstream = upstreamQuery(query, layout);
    const deadline = this.#now() + this.#patience;
    // With somebody else to ask there is no point in waiting long.
    const each = this.#patience / (this.#resolvers.length > 1 ? 4 : 2);
    let other: Cached | undefined;
    for (let round = 0; round < 2; round++) {
      for (const resolver of this.#inOrder()) {
        const left = Math.min(each, deadline - this.#now());
        if (left <= 0 || this.#closing.signal.aborted) return other;
        this.#counters.add(COUNTER.upstreamQueries);
        const answer = await this.#askOne(resolver.at, upstream, layout.questionEnd, left);
        const rcode = answer && rcodeOf(answer);
        if (answer && (rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN)) {
          resolver.shunnedUntil = -Infinity;
          this.#cache.put(key, answer);
          return answer;
        }
        this.#counters.add(COUNTER.upstreamFailures);
        if (answer) other = answer;
        else resolver.shunnedUntil = this.#now() + SHUNNED;
      }
      // Every one has said no: asking again will not change that.
      if (other) return other;
    }
    return undefined;
  }

  async #askOne(
    at: Resolver,
    query: Uint8Array,
    questionEnd: number,
    timeout: number,
  ): Promise<Cached | undefined> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error("timed out")), timeout);
    try {
      const message = await ask(at, query, questionEnd, AbortSignal.any([late.signal, this.#closing.signal]));
      const layout = layoutOf(message);
      // An RCODE of EDNS's own (BADVERS, BADCOOKIE) concerns us and that resolver, not the client.
      if (!layout || layout.edns?.rcode) return undefined;
      return { message: message.slice(0, layout.end), layout };
    } catch {
      // Timed out, refused or unreachable: counted by the caller, and the next one is asked.
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  #inOrder() {
    const now = this.#now();
    const shunned = ({ shunnedUntil }: { shunnedUntil: number }) => Math.max(shunnedUntil - now, 0);
    return this.#resolvers.toSorted((a, b) => shunned(a) - shunned(b));
  }
}

function rcodeOf({ message }: Cached): number {
  return (message[3] ?? 0) & 15;
}

/** What tells answers apart: the question in lower case, DO and CD. */
function keyOf(query: Uint8Array, { questionEnd, edns }: Layout): string {
  let key = `${edns?.dnssecOk ? "D" : ""}${(query[3] ?? 0) & CD ? "C" : ""} `;
  for (let i = HEADER; i < questionEnd; i++) key += String.fromCharCode(LOWER[query[i] ?? 0] ?? 0);
  return key;
}

/** The client's question with its AD, CD and DO, RD set, and our own EDNS: none of its options goes further. */
function upstreamQuery(query: Uint8Array, { questionEnd, edns }: Layout): Uint8Array {
  const out = new Uint8Array(questionEnd + OPT_LENGTH);
  out.set(query.subarray(0, questionEnd));
  out[2] = RD;
  out[3] = (query[3] ?? 0) & (AD | CD);
  out.fill(0, 6, HEADER);
  out[11] = 1;
  writeOpt(out, questionEnd, edns?.dnssecOk ?? false);
  return out;
}

/** Makes an answer the client's: its id, flags, letters and EDNS, and no longer than it takes. */
export function reply(
  { message, layout }: Cached,
  query: Uint8Array,
  asked: Layout,
  room: number,
): Uint8Array {
  const { edns, questionEnd } = asked;
  const optLength = edns ? OPT_LENGTH : 0;
  const limit = room > UDP_MAX ? room : Math.min(room, Math.max(edns?.size ?? UDP_PLAIN, UDP_PLAIN));
  const fits = layout.end + optLength <= limit;
  const end = fits ? layout.end : questionEnd;
  const out = new Uint8Array(end + optLength);
  out.set(message.subarray(0, end));
  out.set(query.subarray(0, 2));
  // The name as the client wrote it: some check.
  out.set(query.subarray(HEADER, questionEnd), HEADER);
  const told = (message[3] ?? 0) & AD;
  const wanted = edns?.dnssecOk || ((query[3] ?? 0) & AD) !== 0;
  out[2] = QR | ((query[2] ?? 0) & RD) | (fits ? 0 : TC);
  out[3] = RA | (wanted ? told : 0) | ((query[3] ?? 0) & CD) | rcodeOf({ message, layout });
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
