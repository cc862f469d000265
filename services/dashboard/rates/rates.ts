/** Collects the rates of the last hour: it asks services for their metrics at intervals, and keeps the counts in memory. */
import { abortable, everyFromNow, repeat } from "../../common/async.ts";
import type { Config } from "../../common/config.ts";
import { formatHostPort, type HostPort } from "../../common/host_port.ts";
import { request } from "../../common/http/request.ts";
import { messageOf } from "../../common/refusal.ts";
import { serviceNames } from "../../store/machine_status.ts";
import { type Measure, readCounts, type ServiceName } from "./measures.ts";

/** How often they are asked, in ms, how long one may take, and how large its answer may be in bytes. */
export const EVERY = 15_000, PATIENCE = 3000, LARGEST = 1024 * 1024;
/** How many rounds are kept: those of an hour. */
export const ROUNDS = 3600_000 / EVERY;

export interface ScrapeTarget {
  readonly at: HostPort;
  /** The service of this machine that has this address by its `metrics-listen`; undefined: `dashboard.metrics` names it. */
  readonly own?: ServiceName;
}

/** Rates in events a second, the oldest first; NaN: not known. */
export interface RateSeries {
  readonly service: ServiceName;
  readonly address: string;
  readonly measure: Measure;
  readonly rates: readonly number[];
  /** How many there were in the intervals that are known. */
  readonly total: number;
}

/** A service that did not answer the last time. */
export interface Unanswered {
  readonly target: ScrapeTarget;
  readonly why: string;
}

interface TargetState {
  readonly target: ScrapeTarget;
  readonly address: string;
  service?: ServiceName;
  /** The counts of the last answer, and the time of that. */
  last?: { readonly at: number; readonly counts: ReadonlyMap<Measure, number> };
  readonly rings: Map<Measure, Ring>;
  why?: string;
}

/** The services that are asked: those of this machine as `strand status` knows them, and those that the configuration names. */
export function targetsOf(config: Config): ScrapeTarget[] {
  const own = serviceNames.map((name): ScrapeTarget => ({ at: config[name].metricsListen, own: name }));
  const known = new Set(own.map(({ at }) => formatHostPort(at)));
  const more = config.dashboard.metrics.filter((at) => !known.has(formatHostPort(at)));
  return [...own, ...more.map((at) => ({ at }))];
}

/** A service's metrics, by HTTP. Throws Error where they do not come whole, in time and with status 200. */
export async function scrapeMetrics(at: HostPort): Promise<string> {
  const { status, body } = await request(at, "GET", "/metrics", PATIENCE, LARGEST + 1);
  if (status !== 200) throw new Error(`it answers with status ${status}`);
  if (new TextEncoder().encode(body).length > LARGEST) {
    throw new Error(`its answer has more than ${LARGEST} bytes`);
  }
  return body;
}

/** Asks services at intervals, and keeps what they have counted for an hour. */
export class Rates {
  readonly #states: readonly TargetState[];
  #running: Promise<void> | undefined;
  readonly #closing = new AbortController();
  #end: (() => Promise<void>) | undefined;

  /**
   * @param scrape Answers with a service's metrics, in Prometheus' text format.
   * @param clock The time in ms, from any beginning.
   */
  constructor(
    targets: readonly ScrapeTarget[],
    private readonly scrape: (at: HostPort) => Promise<string>,
    private readonly clock: () => number = () => performance.now(),
  ) {
    this.#states = targets.map((target) => ({
      target,
      address: formatHostPort(target.at),
      rings: new Map(),
    }));
  }

  /** Asks at intervals until it is closed. */
  start(): void {
    this.#end = repeat(everyFromNow(EVERY), () => this.round());
  }

  /** A service that has not answered by now is not waited for. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#end?.();
  }

  /** Asks each once; a round that is going on is waited for. */
  round(): Promise<void> {
    return this.#running ??= this.#round().finally(() => this.#running = undefined);
  }

  /** The rates of services that have answered within the hour. */
  lines(): RateSeries[] {
    return this.#states.flatMap(({ service, address, rings }) =>
      service === undefined ? [] : [...rings].map(([measure, ring]) => ({
        service,
        address,
        measure,
        rates: ring.rates(),
        total: ring.total(),
      }))
    );
  }

  /** The services that did not answer the last time. */
  unanswered(): Unanswered[] {
    return this.#states.flatMap(({ target, why }) => why === undefined ? [] : [{ target, why }]);
  }

  /** The services that have answered at an address of `dashboard.metrics`. */
  named(): Set<ServiceName> {
    return new Set(this.#states.flatMap(({ target: { own }, service }) => own || !service ? [] : [service]));
  }

  /** All at once, of which the configuration has a limit: a round ends before the next, also where none of them answers. */
  async #round(): Promise<void> {
    await Promise.all(this.#states.map((one) => this.#one(one)));
  }

  async #one(one: TargetState): Promise<void> {
    try {
      const { service, counts } = readCounts(
        await abortable(this.scrape(one.target.at), this.#closing.signal),
      );
      const at = this.clock(), { last } = one;
      if (one.service !== service) one.rings.clear();
      for (const [measure, count] of counts) {
        const before = one.service === service ? last?.counts.get(measure) : undefined;
        let ring = one.rings.get(measure);
        if (!ring) one.rings.set(measure, ring = new Ring());
        // A count that is smaller than before: it was started again, and how much it had counted until then is not known.
        const isKnown = last && before !== undefined && count >= before && at > last.at;
        ring.add(isKnown ? count - before : NaN, isKnown ? (at - last.at) / 1000 : NaN);
      }
      one.service = service;
      one.last = { at, counts };
      delete one.why;
    } catch (error) {
      one.why = messageOf(error);
      // Events until it answers again are counted as one interval, which has no round of its own.
      for (const ring of one.rings.values()) ring.add(NaN, NaN);
      if ([...one.rings.values()].some((ring) => !ring.isEmpty)) return;
      one.rings.clear();
      delete one.last;
      delete one.service;
    }
  }
}

/** The counts of an hour's intervals, in a memory of fixed size. */
class Ring {
  readonly #counts = new Float64Array(ROUNDS).fill(NaN);
  readonly #seconds = new Float64Array(ROUNDS).fill(NaN);
  #next = 0;

  add(count: number, seconds: number): void {
    this.#counts[this.#next] = count;
    this.#seconds[this.#next] = seconds;
    this.#next = (this.#next + 1) % ROUNDS;
  }

  /** True: nothing is known of the whole hour. */
  get isEmpty(): boolean {
    return this.#counts.every(Number.isNaN);
  }

  rates(): number[] {
    return Array.from({ length: ROUNDS }, (_, i) => {
      const at = (this.#next + i) % ROUNDS;
      return (this.#counts[at] ?? NaN) / (this.#seconds[at] ?? NaN);
    });
  }

  total(): number {
    return this.#counts.reduce((sum, count) => sum + (Number.isNaN(count) ? 0 : count), 0);
  }
}
