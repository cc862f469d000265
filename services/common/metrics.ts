/** Prometheus metrics of one process: its registry, and metrics whose values are read when they are scraped. */
import process from "node:process";
import type { HistogramConfiguration, LabelValues } from "prom-client";
import { Counter, Gauge, Histogram, Registry } from "./prometheus.ts";
import { isTracing, type SpanContext } from "./tracing.ts";

export { Counter, Gauge, Registry } from "./prometheus.ts";

/** How long something took, in seconds. Where spans are made, each bucket has an exemplar: the trace of its newest observation. */
export class Durations<T extends string> {
  readonly #histogram: Histogram<T>;

  /** @param hasExemplars Default: where spans are made. */
  constructor(
    { registers = [], ...rest }: HistogramConfiguration<T>,
    private readonly hasExemplars = isTracing,
  ) {
    // prom-client refuses exemplars where it is told of a registry whose text has none; here openmetrics.ts writes them.
    this.#histogram = new Histogram({ ...rest, registers: [], enableExemplars: hasExemplars });
    for (const registry of registers) registry.registerMetric(this.#histogram);
  }

  /** @param span A span of what took that long. */
  observe(labels: LabelValues<T>, seconds: number, span?: SpanContext): void {
    if (!this.hasExemplars) return this.#histogram.observe(labels, seconds);
    // prom-client's type has the histogram's own labels here.
    const exemplarLabels = (span ? { trace_id: span.traceId } : {}) as LabelValues<T>;
    this.#histogram.observe({ labels, value: seconds, exemplarLabels });
  }
}

/** Creates a registry with the program's version, processor time, memory and start. */
export function createMetrics(service: string, version: string): Registry {
  // prom-client's own default metrics read Node's internals, which Deno only imitates.
  const registry = new Registry(), registers = [registry];
  new Gauge({ name: "strand_info", help: "Always 1.", labelNames: ["service", "version"], registers })
    .set({ service, version }, 1);
  new Gauge({ name: "process_start_time_seconds", help: "When it started, since the epoch.", registers })
    .set(performance.timeOrigin / 1000);
  gauge(registry, "process_resident_memory_bytes", "Resident memory.", () => Deno.memoryUsage().rss);
  counter(registry, "process_cpu_seconds_total", "User and system processor time, of all threads.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
  return registry;
}

/** The series of a metric, which differ in labels, with the value of each. */
export type Series<L extends string> = Iterable<
  readonly [labels: Readonly<Record<L, string>>, value: number]
>;

/** A gauge without labels whose value is read at each scrape. */
export function gauge(registry: Registry, name: string, help: string, read: () => number): void {
  labelledGauges(registry, name, help, [], () => [[{}, read()]]);
}

/** A counter without labels whose value is read at each scrape. */
export function counter(registry: Registry, name: string, help: string, read: () => number): void {
  labelledCounters(registry, name, help, [], () => [[{}, read()]]);
}

/** Counters that differ in one label, whose values are read at each scrape. */
export function counters(
  registry: Registry,
  name: string,
  help: string,
  label: string,
  read: () => Record<string, number>,
): void {
  const series = (): Series<string> =>
    Object.entries(read()).map(([value, count]) => [{ [label]: value }, count]);
  labelledCounters(registry, name, help, [label], series);
}

/** Gauges that differ in labels, which are read at each scrape: one that is not among them then has no value. */
export function labelledGauges<L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[],
  read: () => Series<L>,
): void {
  new Gauge({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      this.reset();
      for (const [labels, value] of read()) this.set(labels, value);
    },
  });
}

/** Counters that differ in labels, which are read at each scrape. */
export function labelledCounters<L extends string>(
  registry: Registry,
  name: string,
  help: string,
  labelNames: readonly L[],
  read: () => Series<L> | Promise<Series<L>>,
): void {
  const take = (series: Series<L>) => {
    metric.reset();
    for (const [labels, value] of series) metric.inc(labels, value);
  };
  const metric = new Counter({
    name,
    help,
    labelNames,
    registers: [registry],
    collect() {
      const found = read();
      return found instanceof Promise ? found.then(take) : take(found);
    },
  });
}
