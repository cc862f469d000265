/**
 * Metrics in the text form of OpenMetrics 1.0, which has exemplars. prom-client's own writes counters under another name from then
 * on, also in Prometheus' form, and numbers of buckets in another form than OpenMetrics demands.
 */
import type { Registry } from "./prometheus.ts";

export const OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/** A sample as prom-client's getMetricsAsJSON() has it; its types leave out some of the fields. */
interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number>>;
  /** Undefined: the metric's own. */
  readonly metricName?: string;
  readonly exemplar?: Exemplar | null;
}

interface Exemplar {
  readonly labelSet: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Seconds since the epoch. */
  readonly timestamp: number;
}

/** All metrics of a registry. */
export async function openMetricsText(registry: Registry): Promise<string> {
  const lines: string[] = [];
  for (const { name, help, type, values } of await registry.getMetricsAsJSON()) {
    const isCounter = String(type) === "counter";
    // A counter's samples have the suffix, and the counter itself has not.
    const family = isCounter ? name.replace(/_total$/, "") : name;
    lines.push(`# TYPE ${family} ${type}`, `# HELP ${family} ${escaped(help)}`);
    for (const sample of values as readonly Sample[]) {
      const own = isCounter ? `${family}_total` : sample.metricName ?? name;
      lines.push(`${own}${labels(sample.labels)} ${number(sample.value)}${exemplar(sample)}`);
    }
  }
  return [...lines, "# EOF", ""].join("\n");
}

/** True for a client that takes OpenMetrics at least as gladly as plain text, by its header Accept. */
export function prefersOpenMetrics(accept = ""): boolean {
  const quality = new Map<string, number>();
  for (const range of accept.toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    const q = Number(parameters.find((part) => part.startsWith("q="))?.slice("q=".length) ?? 1);
    quality.set(type, Math.max(quality.get(type) ?? 0, q));
  }
  const wanted = quality.get("application/openmetrics-text") ?? 0;
  return wanted > 0 && wanted >= (quality.get("text/plain") ?? 0);
}

function exemplar({ exemplar }: Sample): string {
  if (!exemplar) return "";
  return ` # ${labels(exemplar.labelSet) || "{}"} ${number(exemplar.value)} ${exemplar.timestamp}`;
}

function labels(set: Sample["labels"]): string {
  const pairs = Object.entries(set).map(([name, value]) =>
    `${name}="${escaped(name === "le" ? bound(value) : String(value))}"`
  );
  return pairs.length ? `{${pairs.join(",")}}` : "";
}

/** A bucket's bound, of which each number has one form: with a point. */
function bound(le: string | number): string {
  return Number.isInteger(le) ? `${le}.0` : String(le);
}

function number(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  return Number.isFinite(value) ? String(value) : value > 0 ? "+Inf" : "-Inf";
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}
