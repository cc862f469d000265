/** The counters of dnsd. Each thread has its own row of doubles in shared memory, so that none waits for another. */
import { RCODE } from "./wire.ts";

const names = [
  "queries", // that were answered, dropped or forwarded
  "noerror", // answers, by RCODE: also those that came from upstream
  "formerr",
  "servfail",
  "nxdomain",
  "notimp",
  "refused",
  "badvers",
  "otherRcode",
  "dropped", // shorter than a header, or a response
  "truncated",
  "unsent", // the kernel did not send the answer
  "forwarded", // passed to the forwarder
  "overload", // for the forwarder, but too many were under way: dropped
  "cacheHits",
  "upstreamQueries",
  "upstreamFailures", // timeouts and unusable answers
  "tcpConnections",
  "tcpRefused", // over the bound on connections
] as const;

export type CounterName = typeof names[number];
export type DnsCounts = Record<CounterName, number>;

/** Counters of one thread. */
export class DnsCounters {
  readonly #row: Float64Array;

  constructor(row: SharedArrayBuffer = new SharedArrayBuffer(8 * names.length)) {
    this.#row = new Float64Array(row);
  }

  add(counter: number, n = 1): void {
    this.#row[counter]! += n;
  }

  /** Counts an answer by its RCODE. */
  answered(rcode: number): void {
    this.#row[byRcode[rcode] ?? COUNTER.otherRcode]!++;
  }

  get row(): SharedArrayBuffer {
    return this.#row.buffer as SharedArrayBuffer;
  }

  /** The sums over several threads. */
  static sum(all: readonly DnsCounters[]): DnsCounts {
    const total = (i: number) => all.reduce((sum, counters) => sum + (counters.#row[i] ?? 0), 0);
    return Object.fromEntries(names.map((name, i) => [name, total(i)])) as DnsCounts;
  }
}

/** Each counter's place in a row. */
export const COUNTER = Object.fromEntries(names.map((name, i) => [name, i])) as Record<CounterName, number>;

const byRcode: Record<number, number> = {
  [RCODE.NOERROR]: COUNTER.noerror,
  [RCODE.FORMERR]: COUNTER.formerr,
  [RCODE.SERVFAIL]: COUNTER.servfail,
  [RCODE.NXDOMAIN]: COUNTER.nxdomain,
  [RCODE.NOTIMP]: COUNTER.notimp,
  [RCODE.REFUSED]: COUNTER.refused,
  [RCODE.BADVERS]: COUNTER.badvers,
};
